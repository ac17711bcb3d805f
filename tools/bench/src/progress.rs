//! Progress messages on standard error during a run.

use std::time::Instant;

use crate::load::Measured;

/// Prints progress.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
}

impl Progress {
    /// Starts the clock.
    pub(crate) fn begin() -> Self {
        Self { started: Instant::now() }
    }

    /// Prints one line, with the time since the beginning.
    pub(crate) fn say(&self, what: &str) {
        let seconds = self.started.elapsed().as_secs();
        eprintln!("{:>2}:{:02}  {what}", seconds / 60, seconds % 60);
    }

    /// Prints one measurement.
    pub(crate) fn round(&self, what: &str, one: &Measured) {
        let refused = if one.refused > 0 { format!("  {} refused", one.refused) } else { String::new() };
        self.say(&format!(
            "{what:<26} {:>7.0} requests/s  {:>6.1} µs Envoy  {:>6.1} µs authorizer{refused}",
            one.rate, one.envoy_us, one.authorizer_us
        ));
    }

    /// Seconds since the beginning.
    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}
