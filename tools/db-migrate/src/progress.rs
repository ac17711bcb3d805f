//! What happens, on standard error: one line for each event, as text or as JSON. Results go to standard output.

use std::io::Write as _;
use std::time::Duration;

/// How often work that takes long reports how far it is.
pub const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Writes events.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    json: bool,
}

impl Progress {
    /// Writes JSON lines (`{"step": …, "event": …}`) if `json`, and text otherwise.
    #[must_use]
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Writes that something happened in `step`. A closed or full standard error loses the line and stops nothing.
    pub fn event(self, step: &str, event: &str) {
        let line = if self.json {
            serde_json::json!({ "step": step, "event": event }).to_string()
        } else {
            format!("{step}: {event}")
        };
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
