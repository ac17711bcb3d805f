//! What the sinks of the audit have in common: a bounded queue in front of each, and its counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::IntCounter;

use crate::observe::audit::event::Event;

/// How many events wait in front of a sink: some 4 MB. At ten thousand refusals a second a sink may stand still
/// for almost a second before anything is lost.
pub const MAX_WAITING: usize = 8_192;

/// How many refusals of strangers wait in front of a sink.
#[derive(Clone, Debug, Default)]
pub struct Strangers(Arc<AtomicUsize>);

impl Strangers {
    /// The most: half of a queue. The other half is for everybody else.
    const MOST: usize = MAX_WAITING / 2;

    /// Whether `event` may wait; counts it when it is one of a stranger's.
    #[must_use]
    pub fn enter(&self, event: &Event) -> bool {
        let more = |waiting: usize| (waiting < Self::MOST).then_some(waiting + 1);
        !event.is_anonymous() || self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// `event` waits no longer.
    pub fn leave(&self, event: &Event) {
        if event.is_anonymous() {
            let less = |waiting: usize| waiting.checked_sub(1);
            // None waiting is a number that nothing is taken from.
            let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        }
    }
}

/// Counts of one sink.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Events that arrived.
    pub written: IntCounter,
    /// Events that did not.
    pub dropped: IntCounter,
}
