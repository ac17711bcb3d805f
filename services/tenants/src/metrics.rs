//! What this service counts for Prometheus, beside what every service counts ([`kit::metrics`]): what leaves the outbox, and how
//! offboardings go.

use std::sync::Arc;

use clock::Clock;
use events::outbox::Counts;
use events::outbox::metrics::{Kind, Rows};
use events::statement::sql;
use kit::Metrics;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbErr};

use crate::invalidation;

/// The name of this service.
pub(crate) const SERVICE: &str = "tenants";

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

/// The workers that are counted.
#[derive(Clone, Debug)]
pub struct Workers {
    /// Of the worker that publishes events.
    pub events: Arc<Counts>,
    /// Of the worker that pushes states to the edge; absent without Redis.
    pub invalidations: Option<Arc<Counts>>,
}

/// Begins to count.
///
/// # Errors
/// Two metrics have one name.
pub fn start(
    database: &DatabaseConnection,
    clock: Arc<dyn Clock>,
    workers: Workers,
    steps: &Steps,
) -> Result<Metrics, prometheus::Error> {
    let metrics = Metrics::new(SERVICE)?;
    metrics.show_database(database)?;
    let kinds = vec![
        Kind::events(vec![workers.events]),
        Kind {
            shown: "invalidation",
            stored: &[invalidation::KIND],
            workers: workers.invalidations.into_iter().collect(),
        },
    ];
    let rows = Rows::new(SERVICE, kinds, database.clone(), clock, metrics.registry())?;
    metrics.read_with("outbox", move || {
        let rows = rows.clone();
        async move { rows.read().await }
    });
    let phases = IntGaugeVec::new(Opts::new("tenants_offboardings", "Offboardings by phase"), &["phase"])?;
    metrics.registry().register(Box::new(phases.clone()))?;
    let database = database.clone();
    metrics.read_with("offboardings", move || {
        let (database, phases) = (database.clone(), phases.clone());
        async move { count_phases(&database, &phases).await }
    });
    metrics.registry().register(Box::new(steps.0.clone()))?;
    Ok(metrics)
}

async fn count_phases(database: &DatabaseConnection, phases: &IntGaugeVec) -> Result<(), DbErr> {
    phases.reset();
    let count = "SELECT phase, count(*) FROM offboardings GROUP BY phase";
    for row in database.query_all_raw(sql(database, count, [])).await? {
        let phase: String = row.try_get_by_index(0)?;
        phases.with_label_values(&[phase.as_str()]).set(row.try_get_by_index(1)?);
    }
    Ok(())
}
