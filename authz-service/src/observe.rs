//! The observers: whatever counts, remembers or reports decisions after they fell.
//!
//! They stand above the stages. They read a finished [`Verdict`] and the counters of other modules, no stage imports
//! them, and nothing that they do changes a decision or makes it wait.
//!
//! * [`metrics`] counts; [`log`] writes one line for each refusal.
//! * [`recent`] remembers the last decisions by request id, as a [`record`] with its [`stage`]s and what was lacking ([`lack`]).
//! * [`audit`] writes down those of consequence, [`spans`] reports each to a collector if there is one.

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
    /// Every count.
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
        // A second audit would be a defect of the assembly; the first one goes on.
        let _ = self.audit.set(audit);
    }

    /// Where events go; absent before an audit was opened.
    #[must_use]
    pub fn audit(&self) -> Option<&Audit> {
        self.audit.get()
    }

    /// Sends spans through `spans` from now on. Only the first call counts.
    pub fn open_spans(&self, spans: Spans) {
        let _ = self.spans.set(spans);
    }

    /// Where spans go; absent without a collector.
    #[must_use]
    pub fn spans(&self) -> Option<&Spans> {
        self.spans.get()
    }

    /// Hands `verdict` on `input`, which fell just now by `clock` and took `took`, to every observer. Never waits.
    /// `input` is absent when the question could not be read.
    pub fn observe(
        &self,
        verdict: &Verdict,
        input: Option<&CheckInput<'_>>,
        clock: &dyn Clock,
        took: Duration,
    ) {
        self.metrics.record(verdict, took);
        // A defect in what remembers a decision must not undo the decision; the panic itself is in the log.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let now = clock.now();
            self.remember(verdict, input, now);
            if let Some(spans) = self.spans.get() {
                spans.record(verdict, input, now, took);
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
