//! The observers: they count, remember or report decisions after they are made.
//!
//! They are above the stages. They read a finished [`Verdict`] and the counters of other modules, no stage
//! imports them, and nothing in them changes a decision or makes it wait.
//!
//! * [`metrics`] counts; [`log`] writes one line for each refusal.
//! * [`recent`] remembers the last decisions by request id, as a [`record`] with its [`stage`]s and the
//!   caller's [`lack`].
//! * [`audit`] records decisions of consequence, [`spans`] reports each decision to a collector if there is
//!   one.

pub mod audit;
pub mod lack;
mod log;
pub mod metrics;
mod name;
pub mod recent;
pub mod record;
pub mod spans;
pub mod stage;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clock::{Clock, UnixTime};

use crate::check::CheckInput;
use crate::observe::audit::Audit;
use crate::observe::metrics::Metrics;
use crate::observe::recent::Decisions;
use crate::observe::record::Record;
use crate::observe::spans::Spans;
use crate::verdict::Verdict;

/// Every observer of one replica.
#[derive(Debug)]
pub struct Observers {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The last decisions.
    pub decisions: Decisions,
    audit: OnceLock<Audit>,
    spans: OnceLock<Spans>,
}

impl Observers {
    /// Observers that count in `metrics`, without an audit and a collector.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, decisions: Decisions::default(), audit: OnceLock::new(), spans: OnceLock::new() }
    }

    /// Sends events to `audit` from now on. Only the first call counts.
    pub fn open(&self, audit: Audit) {
        // A second audit would be a defect of the assembly; the first one stays.
        let _ = self.audit.set(audit);
    }

    /// The audit; absent before one was opened.
    #[must_use]
    pub fn audit(&self) -> Option<&Audit> {
        self.audit.get()
    }

    /// Sends spans through `spans` from now on. Only the first call counts.
    pub fn open_spans(&self, spans: Spans) {
        let _ = self.spans.set(spans);
    }

    /// The spans; absent without a collector.
    #[must_use]
    pub fn spans(&self) -> Option<&Spans> {
        self.spans.get()
    }

    /// Passes `verdict` on `input`, which was just made by `clock` and took `took`, to every observer. Never
    /// waits. `input` is absent when the check was unreadable. `traceparent` is that of the call by which Envoy asked.
    pub fn observe(
        &self,
        verdict: &Verdict,
        input: Option<&CheckInput<'_>>,
        traceparent: Option<&str>,
        clock: &dyn Clock,
        took: Duration,
    ) {
        self.metrics.record(verdict, took);
        // A defect in an observer must not undo the decision; the panic itself is in the log.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let now = clock.now();
            self.remember(verdict, input, now);
            if let Some(spans) = self.spans.get() {
                spans.record(verdict, input, traceparent, (now, took));
            }
        }));
        log::log(verdict, input);
    }

    fn remember(&self, verdict: &Verdict, input: Option<&CheckInput<'_>>, now: UnixTime) {
        let record = Arc::new(Record::of(verdict, input, now));
        if let Some(audit) = self.audit.get()
            && record.is_of_consequence()
        {
            audit.decision(&record);
        }
        self.decisions.push(record);
    }
}
