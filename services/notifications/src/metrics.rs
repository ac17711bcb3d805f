//! Counts in the text format of Prometheus.

use std::sync::Arc;

use events::outbox::{Counts, Unfinished, unfinished};
use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use sea_orm::{ConnectionTrait, DbErr};

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

/// Returns the counts of this process, and the numbers of rows in the outbox.
///
/// # Errors
/// [`NoMetrics`].
pub async fn text(database: &impl ConnectionTrait, tally: &Tally) -> Result<String, NoMetrics> {
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
    let all: [Box<dyn Collector>; 2] = [Box::new(attempts), Box::new(rows)];
    for metric in all {
        registry.register(metric)?;
    }
    Ok(TextEncoder::new().encode_to_string(&registry.gather())?)
}
