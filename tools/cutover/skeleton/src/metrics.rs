//! Counts in the text format of Prometheus.

use prometheus::{Error, IntCounter, Registry, TextEncoder};

/// The counts of this process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Notes that were written.
    pub written: IntCounter,
}

impl Metrics {
    /// Begins to count.
    ///
    /// # Errors
    /// The library refuses a name.
    pub fn new() -> Result<Self, Error> {
        let written = IntCounter::new("skeleton_notes_written_total", "Notes that this process has written")?;
        let registry = Registry::new();
        registry.register(Box::new(written.clone()))?;
        Ok(Self { registry, written })
    }

    /// Returns the counts as text.
    ///
    /// # Errors
    /// The library refuses a value.
    pub fn text(&self) -> Result<String, Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
