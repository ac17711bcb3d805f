//! Counts in the text format of Prometheus.

use std::sync::Arc;

use clock::Clock;
use events::Exchange;
use events::outbox::{Counts, Unfinished, unfinished};
use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use sea_orm::{ConnectionTrait, DbErr};

use crate::jobs;
use crate::queue::{MAIL, PUSH};
use crate::work::Tally;

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

/// Returns the counts of this process, and the state of the outbox and of the jobs at the time of `clock`.
///
/// # Errors
/// [`NoMetrics`].
pub async fn text(
    database: &impl ConnectionTrait,
    clock: &dyn Clock,
    tally: &Tally,
) -> Result<String, NoMetrics> {
    let registry = Registry::new();
    let attempts = Opts::new("notifications_attempts_total", "Attempts of this process by kind and result");
    let attempts = IntCounterVec::new(attempts, &["kind", "result"])?;
    for (kind, all) in [("message", &tally.messages), ("event", &tally.events)] {
        let sum =
            |count: fn(&Counts) -> u64| all.iter().map(|counts: &Arc<Counts>| count(counts)).sum::<u64>();
        for (result, count) in [
            ("delivered", sum(Counts::delivered)),
            ("failed", sum(Counts::failed)),
            ("dead", sum(Counts::dead)),
        ] {
            attempts.with_label_values(&[kind, result]).inc_by(count);
        }
    }
    let rows = Opts::new("notifications_outbox_rows", "Rows of the outbox that wait, or are dead");
    let rows = IntGaugeVec::new(rows, &["state"])?;
    let Unfinished { waiting, dead, oldest: _ } = unfinished(database, None).await?;
    rows.with_label_values(&["waiting"]).set(waiting);
    rows.with_label_values(&["dead"]).set(dead);
    let age = Opts::new(
        "notifications_outbox_oldest_seconds",
        "The age of the oldest row that waits; 0 when none does",
    );
    let age = IntGaugeVec::new(age, &["kind"])?;
    let now = i64::try_from(clock.now().seconds()).unwrap_or(i64::MAX);
    for kind in [PUSH, MAIL, Exchange::Events.kind()] {
        let oldest = unfinished(database, Some(kind)).await?.oldest;
        let seconds = oldest.map_or(0, |since| now.saturating_sub(since.unix_timestamp()).max(0));
        age.with_label_values(&[kind]).set(seconds);
    }
    let success = Opts::new(
        "notifications_job_last_success_timestamp_seconds",
        "When the last run of a job that succeeded ended; 0 when none did",
    );
    let success = IntGaugeVec::new(success, &["job"])?;
    let failures =
        Opts::new("notifications_job_failures_total", "Runs of a job, by all processes, that failed");
    let failures = IntCounterVec::new(failures, &["job"])?;
    for job in jobs::status(database).await? {
        let at = job.last_success_at.map_or(0, time::OffsetDateTime::unix_timestamp);
        success.with_label_values(&[job.name.as_str()]).set(at);
        failures.with_label_values(&[job.name.as_str()]).inc_by(u64::try_from(job.failures).unwrap_or(0));
    }
    let all: [Box<dyn Collector>; 5] =
        [Box::new(attempts), Box::new(rows), Box::new(age), Box::new(success), Box::new(failures)];
    for metric in all {
        registry.register(metric)?;
    }
    Ok(TextEncoder::new().encode_to_string(&registry.gather())?)
}
