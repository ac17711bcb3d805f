//! Counts for Prometheus: what leaves the outbox, and how offboardings go.

use std::sync::Arc;

use clock::Clock;
use events::Exchange;
use events::outbox::{Counts, Unfinished, unfinished};
use events::statement::sql;
use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use sea_orm::{ConnectionTrait, DbErr};

use crate::invalidation;

/// The kinds of rows, as they are shown and as the outbox calls them.
const KINDS: [(&str, &str); 2] = [("event", Exchange::Events.kind()), ("invalidation", invalidation::KIND)];

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub enum NoMetrics {
    /// The database failed.
    #[error("the outbox cannot be counted: {0}")]
    Database(#[from] DbErr),
    /// The library refused a name or a value.
    #[error("metrics cannot be written: {0}")]
    Text(#[from] prometheus::Error),
}

/// How the steps of offboardings ended in this process.
#[derive(Clone, Debug)]
pub struct Steps(IntCounterVec);

impl Steps {
    /// Counters at zero.
    ///
    /// # Errors
    /// The error of the library.
    pub fn new() -> Result<Self, prometheus::Error> {
        let options = Opts::new(
            "tenants_offboarding_steps_total",
            "Steps of offboardings of this process by step and result: done, failed (and repeated), undone (everything is taken back)",
        );
        Ok(Self(IntCounterVec::new(options, &["step", "result"])?))
    }

    /// Counts that `step` ended with `result`.
    pub(crate) fn count(&self, step: &str, result: &str) {
        self.0.with_label_values(&[step, result]).inc();
    }
}

/// The counts of one process.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Of the worker that publishes events.
    pub events: Arc<Counts>,
    /// Of the worker that pushes states to the edge; absent without Redis.
    pub invalidations: Option<Arc<Counts>>,
    /// Of the worker of offboardings.
    pub steps: Steps,
}

/// Returns the counts of this process and the state of the outbox and of offboardings in `database`, at the time of `clock`.
///
/// # Errors
/// [`NoMetrics`].
pub async fn text(
    database: &impl ConnectionTrait,
    clock: &dyn Clock,
    tally: &Tally,
) -> Result<String, NoMetrics> {
    let registry = Registry::new();
    let attempts = Opts::new("tenants_attempts_total", "Deliveries of this process by kind and result");
    let attempts = IntCounterVec::new(attempts, &["kind", "result"])?;
    for (kind, counts) in [("event", Some(&tally.events)), ("invalidation", tally.invalidations.as_ref())] {
        let Some(counts) = counts else { continue };
        for (result, count) in
            [("delivered", counts.delivered()), ("failed", counts.failed()), ("dead", counts.dead())]
        {
            attempts.with_label_values(&[kind, result]).inc_by(count);
        }
    }
    let rows = Opts::new("tenants_outbox_rows", "Rows of the outbox that wait, or are dead");
    let rows = IntGaugeVec::new(rows, &["kind", "state"])?;
    let age =
        Opts::new("tenants_outbox_oldest_seconds", "The age of the oldest row that waits; 0 when none does");
    let age = IntGaugeVec::new(age, &["kind"])?;
    for (kind, stored) in KINDS {
        let Unfinished { waiting, dead, oldest } = unfinished(database, Some(stored)).await?;
        rows.with_label_values(&[kind, "waiting"]).set(waiting);
        rows.with_label_values(&[kind, "dead"]).set(dead);
        let now = i64::try_from(clock.now().seconds()).unwrap_or(i64::MAX);
        let seconds = oldest.map_or(0, |since| now.saturating_sub(since.unix_timestamp()).max(0));
        age.with_label_values(&[kind]).set(seconds);
    }
    let offboardings = Opts::new("tenants_offboardings", "Offboardings by phase");
    let offboardings = IntGaugeVec::new(offboardings, &["phase"])?;
    let count = "SELECT phase, count(*) FROM offboardings GROUP BY phase";
    for row in database.query_all_raw(sql(database, count, [])).await? {
        let phase: String = row.try_get_by_index(0)?;
        offboardings.with_label_values(&[phase.as_str()]).set(row.try_get_by_index(1)?);
    }
    let steps = tally.steps.0.clone();
    let all: [Box<dyn Collector>; 5] =
        [Box::new(attempts), Box::new(rows), Box::new(age), Box::new(offboardings), Box::new(steps)];
    for metric in all {
        registry.register(metric)?;
    }
    Ok(TextEncoder::new().encode_to_string(&registry.gather())?)
}
