//! What this service counts for Prometheus, beside what every service counts ([`kit::metrics`]).

use prometheus::{Error, IntCounter, Registry};

/// The counts of this process.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Notes that were written.
    pub written: IntCounter,
}

impl Counts {
    /// Begins to count, and lists the counts in `registry`.
    ///
    /// # Errors
    /// The library refuses a name.
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let written = IntCounter::new("skeleton_notes_written_total", "Notes that this process has written")?;
        registry.register(Box::new(written.clone()))?;
        Ok(Self { written })
    }
}
