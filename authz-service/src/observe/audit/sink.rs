//! The shared parts of the audit's sinks: a bounded queue in front of each, and its counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::IntCounter;

use crate::observe::audit::event::Event;

/// How many events wait in front of a sink: about 4 MB. At ten thousand refusals a second a sink may hang for
/// almost a second before an event is lost.
pub const MAX_WAITING: usize = 8_192;

/// How many refusals of unverified callers wait in front of a sink.
#[derive(Clone, Debug, Default)]
pub struct Strangers(Arc<AtomicUsize>);

impl Strangers {
    /// The most: half of a queue. The other half is for all other events.
    const MOST: usize = MAX_WAITING / 2;

    /// Whether `event` may wait; counts it when it is a refusal of an unverified caller.
    #[must_use]
    pub fn enter(&self, event: &Event) -> bool {
        let more = |waiting: usize| (waiting < Self::MOST).then_some(waiting + 1);
        !event.is_anonymous() || self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// Notes that `event` no longer waits.
    pub fn leave(&self, event: &Event) {
        if event.is_anonymous() {
            let less = |waiting: usize| waiting.checked_sub(1);
            // At zero nothing is subtracted.
            let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        }
    }
}

/// The sending end of a sink's bounded queue.
pub trait Waiting {
    /// Puts `event` into the queue, or returns it when the queue is full or closed. It never waits.
    ///
    /// # Errors
    /// The event.
    fn offer(&self, event: Arc<Event>) -> Result<(), Arc<Event>>;
}

/// The entrance of a sink: it counts each event that finds no room.
#[derive(Clone, Debug)]
pub struct Queue<W> {
    waiting: W,
    counts: Counts,
    strangers: Strangers,
}

impl<W: Waiting> Queue<W> {
    /// The entrance of `waiting`. The sink calls [`Strangers::leave`] on `strangers` for each event that it takes out.
    #[must_use]
    pub const fn new(waiting: W, counts: Counts, strangers: Strangers) -> Self {
        Self { waiting, counts, strangers }
    }

    /// Puts `event` into the queue, or drops and counts it.
    pub fn put(&self, event: Arc<Event>) {
        if !self.strangers.enter(&event) {
            self.counts.dropped.inc();
            return;
        }
        if let Err(event) = self.waiting.offer(event) {
            self.strangers.leave(&event);
            self.counts.dropped.inc();
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
