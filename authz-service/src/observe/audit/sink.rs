//! What the sinks of the audit have in common: a bounded queue in front of each, and its counts.

use prometheus::IntCounter;

/// How many events wait in front of a sink: some 4 MB. At ten thousand refusals a second a sink may stand still
/// for almost a second before anything is lost.
pub const MAX_WAITING: usize = 8_192;

/// Counts of one sink.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Events that arrived.
    pub written: IntCounter,
    /// Events that did not.
    pub dropped: IntCounter,
}
