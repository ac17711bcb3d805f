//! Prometheus metrics. Every label value is bounded: names from the edge file and codes from the source.
//!
//! [`decisions`] counts verdicts, [`parts`] hands every other part its counters, and [`gauges`] shows what this replica
//! holds.

pub mod decisions;
mod gauges;
pub mod parts;
mod register;

use std::time::Duration;

use prometheus::{Encoder as _, IntCounter, Registry, TextEncoder};

use crate::authorizer::Authorizer;
use crate::observe::metrics::decisions::{Count, DecisionCounts};
use crate::observe::metrics::gauges::Gauges;
use crate::observe::metrics::parts::PartCounts;
use crate::observe::metrics::register::Register;
use crate::snapshot::{Snapshot, Snapshots};
use crate::verdict::Verdict;

/// Every metric of this service.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: DecisionCounts,
    gauges: Gauges,
    /// The counters of everything but decisions.
    pub parts: PartCounts,
}

impl Metrics {
    /// Registers every metric for the routes of `snapshot`, and the count of dropped log lines.
    ///
    /// # Errors
    /// When two metrics have one name: a defect.
    pub fn new(snapshot: &Snapshot, dropped_log_lines: &IntCounter) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(dropped_log_lines.clone()))?;
        let register = Register { registry: &registry };
        let decisions = DecisionCounts::new(&register, snapshot)?;
        let gauges = Gauges::new(&register)?;
        let parts = PartCounts::new(&register)?;
        gauges.follow(snapshot);
        Ok(Self { registry, decisions, gauges, parts })
    }

    /// Counts for `snapshot` from now on, as the newest revision.
    pub fn follow(&self, snapshot: &Snapshot) {
        self.decisions.follow(snapshot);
        self.gauges.follow(snapshot);
    }

    /// Counts `verdict`, which took `time`.
    pub fn record(&self, verdict: &Verdict, time: Duration) {
        self.decisions.record(verdict, time);
    }

    /// Counts `uses` requests that the edge, at `revision`, allowed on `route` by leases of `policy`. Routes
    /// and policies that no revision has count as unknown, so that a client cannot invent labels.
    pub fn leased(&self, snapshots: &Snapshots, revision: &str, route: &str, policy: &str, uses: u64) {
        self.decisions.leased(snapshots, revision, route, policy, uses);
    }

    /// Updates the gauges from `authorizer`, and whether this replica is `ready`.
    pub fn observe(&self, authorizer: &Authorizer, ready: bool) {
        self.gauges.observe(authorizer, ready);
    }

    /// The decisions counted so far, without empty rows, sorted.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        self.decisions.counts()
    }

    /// Every metric in Prometheus's text format.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
