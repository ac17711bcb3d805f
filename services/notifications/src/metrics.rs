//! What this service counts for Prometheus, beside what every service counts ([`kit::metrics`]): attempts and rows of its outbox
//! ([`events::outbox::metrics`]).

use std::sync::Arc;

use clock::Clock;
use events::outbox::Counts;
use events::outbox::metrics::{Kind, Rows};
use kit::{Metrics, StartError};
use prometheus::{IntCounter, IntGaugeVec, Opts};
use sea_orm::{DatabaseConnection, DbErr};

use crate::jobs;
use crate::message::{MAIL, PUSH};
use crate::sending::SERVICE;
use crate::work::Tally;

/// Counts the push messages of this process that had no device any more.
///
/// # Errors
/// [`StartError`], when the metric has no valid name.
pub fn gone_devices() -> Result<IntCounter, StartError> {
    let help = "Push messages that were not sent because their device is gone; also among the delivered ones";
    Ok(IntCounter::new("notifications_device_gone_total", help)?)
}

/// Begins to count, with the counts of the workers, and of the devices that are `gone`.
///
/// # Errors
/// [`StartError`], when two metrics have one name.
pub fn start(
    database: &DatabaseConnection,
    clock: Arc<dyn Clock>,
    tally: Tally,
    gone: IntCounter,
) -> Result<Metrics, StartError> {
    let metrics = Metrics::new(SERVICE)?;
    metrics.show_database(database)?;
    metrics.registry().register(Box::new(gone))?;
    let of = |kind: &'static str| -> Vec<Arc<Counts>> {
        let workers = tally.messages.iter().filter(|(kinds, _)| kinds.contains(&kind));
        workers.map(|(_, counts)| Arc::clone(counts)).collect()
    };
    let kinds = vec![
        Kind { shown: PUSH, stored: &[PUSH], workers: of(PUSH) },
        Kind { shown: MAIL, stored: &[MAIL], workers: of(MAIL) },
        Kind::events(tally.events),
    ];
    let rows = Rows::new(SERVICE, kinds, database.clone(), clock, metrics.registry())?;
    metrics.read_with("outbox", move || {
        let rows = rows.clone();
        async move { rows.read().await }
    });
    let schedule = Schedule::new(&metrics)?;
    let database = database.clone();
    metrics.read_with("jobs", move || {
        let (database, schedule) = (database.clone(), schedule.clone());
        async move { schedule.read(&database).await }
    });
    Ok(metrics)
}

/// What came of the scheduled jobs, by all processes.
#[derive(Clone, Debug)]
struct Schedule {
    success: IntGaugeVec,
    failures: IntGaugeVec,
}

impl Schedule {
    fn new(metrics: &Metrics) -> Result<Self, StartError> {
        let success = Opts::new(
            "notifications_job_last_success_timestamp_seconds",
            "When the last run of a job that succeeded ended; 0 when none did",
        );
        let success = IntGaugeVec::new(success, &["job"])?;
        // Read from the table, which counts the runs of all processes: a gauge can be set.
        let failures =
            Opts::new("notifications_job_failures", "Runs of a job, by all processes, that failed");
        let failures = IntGaugeVec::new(failures, &["job"])?;
        metrics.registry().register(Box::new(success.clone()))?;
        metrics.registry().register(Box::new(failures.clone()))?;
        Ok(Self { success, failures })
    }

    async fn read(&self, database: &DatabaseConnection) -> Result<(), DbErr> {
        self.success.reset();
        self.failures.reset();
        for job in jobs::status(database).await? {
            let at = job.last_success_at.map_or(0, time::OffsetDateTime::unix_timestamp);
            self.success.with_label_values(&[job.name.as_str()]).set(at);
            self.failures.with_label_values(&[job.name.as_str()]).set(job.failures);
        }
        Ok(())
    }
}
