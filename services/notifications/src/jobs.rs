//! Jobs on a schedule. Each has a row; of several processes one runs it, by a lease.
//!
//! A job runs at whole multiples of its interval since 1970 (every hour means at the full hour), as a cron table would say. A
//! time that was missed is made up for once. A process that ends in the middle leaves a lease, and another one runs the job
//! when that has ended; so a job must be safe to run again.

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, UnixTime};
use events::moment::column;
use events::statement::sql;
use events::{handled, outbox};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::timeout;
use utoipa::ToSchema;

/// How often a process looks for jobs that are due.
const POLL: Duration = Duration::from_secs(5);

/// How long a job belongs to its process, and may take: removing a thousand rows takes seconds.
pub const LEASE: Duration = Duration::from_mins(5);

/// Rows that one run removes at most, in steps of [`STEP`]. The next run goes on.
const MOST: u64 = 100_000;

/// Rows of one statement, which must end within the database's limit of five seconds.
const STEP: u32 = 1_000;

/// How long delivered rows, and with them their idempotency keys, are kept: longer than any client repeats a request.
const KEEP_DELIVERED: Duration = Duration::from_hours(7 * 24);

/// How long marks of handled events are kept: longer than a queue or an outbox keeps an event.
const KEEP_HANDLED: Duration = Duration::from_hours(30 * 24);

/// How long devices that are gone are remembered. Their owner has removed the token long before.
const KEEP_GONE: Duration = Duration::from_hours(90 * 24);

/// The jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Removes delivered messages, and the marks of their sending.
    RemoveDelivered,
    /// Removes old marks of handled events.
    RemoveHandled,
    /// Forgets devices that are gone for long.
    ForgetDevices,
}

impl Job {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RemoveDelivered, Self::RemoveHandled, Self::ForgetDevices];

    /// The name in the table and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RemoveDelivered => "remove-delivered",
            Self::RemoveHandled => "remove-handled",
            Self::ForgetDevices => "forget-devices",
        }
    }

    /// The time between two runs.
    #[must_use]
    pub const fn every(self) -> Duration {
        match self {
            Self::RemoveDelivered | Self::RemoveHandled => Duration::from_hours(1),
            Self::ForgetDevices => Duration::from_hours(24),
        }
    }

    async fn step(self, database: &DatabaseConnection, now: UnixTime) -> Result<u64, DbErr> {
        let before = |age: Duration| UnixTime::from_millis(now.millis().saturating_sub(millis(age)));
        match self {
            Self::RemoveDelivered => {
                let old = "DELETE FROM sendings WHERE id IN (\
                           SELECT id FROM sendings WHERE state = 'sent' AND changed_at < $1 ORDER BY id LIMIT $2)";
                let values = [column(before(KEEP_DELIVERED)).into(), i64::from(STEP).into()];
                let marks = database.execute_raw(sql(database, old, values)).await?.rows_affected();
                Ok(marks.max(outbox::purge(database, before(KEEP_DELIVERED), STEP).await?))
            }
            Self::RemoveHandled => handled::purge(database, before(KEEP_HANDLED), STEP).await,
            Self::ForgetDevices => {
                let old = "DELETE FROM gone_devices WHERE digest IN (\
                           SELECT digest FROM gone_devices WHERE since < $1 ORDER BY digest LIMIT $2)";
                let values = [column(before(KEEP_GONE)).into(), i64::from(STEP).into()];
                Ok(database.execute_raw(sql(database, old, values)).await?.rows_affected())
            }
        }
    }
}

/// A job, as its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// The time between two runs.
    pub every: Duration,
    /// When it is due.
    pub next_run_at: OffsetDateTime,
    /// Until when a process may be running it.
    pub lease_until: Option<OffsetDateTime>,
    /// Runs that began.
    pub runs: i64,
    /// Runs that failed.
    pub failures: i64,
    /// When the last run began.
    pub last_began_at: Option<OffsetDateTime>,
    /// When the last run ended. Before it began: that run is going on, or its process ended.
    pub last_ended_at: Option<OffsetDateTime>,
    /// Why the last run failed, if it did.
    pub last_error: Option<String>,
    /// When the last run that succeeded ended.
    pub last_success_at: Option<OffsetDateTime>,
}

/// What a job does, or what came of its last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = JobState)]
pub enum State {
    /// It never ran.
    Waiting,
    /// A process runs it.
    Running,
    /// Its last run succeeded.
    Succeeded,
    /// Its last run failed, or its process ended in the middle.
    Failed,
}

impl Status {
    /// Returns the state at the time `now`.
    #[must_use]
    pub fn state(&self, now: UnixTime) -> State {
        let is_leased = self.lease_until.is_some_and(|until| until > column(now));
        match (self.last_began_at, self.last_ended_at) {
            _ if is_leased => State::Running,
            (None, _) => State::Waiting,
            (Some(began), Some(ended)) if ended >= began && self.last_error.is_none() => State::Succeeded,
            (Some(_), _) => State::Failed,
        }
    }
}

/// Runs what is due until `stop`.
pub async fn run(database: DatabaseConnection, clock: Arc<dyn Clock>, mut stop: watch::Receiver<bool>) {
    loop {
        for job in Job::ALL {
            if let Err(error) = run_due(&database, job, clock.as_ref()).await {
                tracing::warn!(job = job.name(), %error, "a job did not run; it stays due");
            }
        }
        // An error means that the sender is gone, which ends the work, too.
        if timeout(POLL, stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

/// Runs `job` if it is due and no other process runs it. Returns whether it ran.
///
/// # Errors
/// The error of the database about the schedule. That of the job is in its status.
pub async fn run_due(database: &DatabaseConnection, job: Job, clock: &dyn Clock) -> Result<bool, DbErr> {
    let now = clock.now();
    let every = i64::try_from(job.every().as_secs()).unwrap_or(i64::MAX);
    // A new job is due at once. A changed interval counts from the next run on.
    let new = "INSERT INTO scheduled_jobs (name, every_seconds, next_run_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
    database.execute_raw(sql(database, new, [job.name().into(), every.into(), column(now).into()])).await?;
    let claim = "UPDATE scheduled_jobs SET lease_until = $3, last_began_at = $2, runs = runs + 1, every_seconds = $4 \
                 WHERE name = $1 AND next_run_at <= $2 AND (lease_until IS NULL OR lease_until <= $2) RETURNING runs";
    let values = [job.name().into(), column(now).into(), column(now.plus(LEASE)).into(), every.into()];
    let Some(row) = database.query_one_raw(sql(database, claim, values)).await? else { return Ok(false) };
    let run: i64 = row.try_get_by_index(0)?;
    let result = timeout(LEASE, all_steps(database, job, now)).await;
    let error = match result {
        Ok(Ok(removed)) => {
            tracing::info!(job = job.name(), removed, "a job ended");
            None
        }
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("it took longer than {LEASE:?}")),
    };
    if let Some(error) = &error {
        tracing::error!(job = job.name(), %error, "a job failed; it runs again at its next time");
    }
    // The number of the run proves that the lease is still this one.
    let end = "UPDATE scheduled_jobs SET lease_until = NULL, next_run_at = $3, last_ended_at = $4, last_error = $5, \
               failures = failures + $6, last_success_at = CASE WHEN $6 = 0 THEN $4 ELSE last_success_at END \
               WHERE name = $1 AND runs = $2";
    let failed = i64::from(error.is_some());
    let values = [
        job.name().into(),
        run.into(),
        column(next(now, job.every())).into(),
        column(clock.now()).into(),
        error.into(),
        failed.into(),
    ];
    database.execute_raw(sql(database, end, values)).await?;
    Ok(true)
}

async fn all_steps(database: &DatabaseConnection, job: Job, now: UnixTime) -> Result<u64, DbErr> {
    let mut removed = 0;
    while removed < MOST {
        let step = job.step(database, now).await?;
        removed += step;
        if step < u64::from(STEP) {
            break;
        }
    }
    Ok(removed)
}

/// The next multiple of `every` behind `now`.
fn next(now: UnixTime, every: Duration) -> UnixTime {
    let every = millis(every).max(1);
    UnixTime::from_millis((now.millis() / every).saturating_add(1).saturating_mul(every))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the status of every job that was ever due here.
///
/// # Errors
/// The error of the database.
pub async fn status(database: &impl ConnectionTrait) -> Result<Vec<Status>, DbErr> {
    let text = "SELECT name, every_seconds, next_run_at, lease_until, runs, failures, last_began_at, last_ended_at, last_error, \
                last_success_at FROM scheduled_jobs ORDER BY name LIMIT 100";
    let rows = database.query_all_raw(sql(database, text, [])).await?;
    let read = |row: &sea_orm::QueryResult| {
        let seconds: i64 = row.try_get_by_index(1)?;
        Ok(Status {
            name: row.try_get_by_index(0)?,
            every: Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
            next_run_at: row.try_get_by_index(2)?,
            lease_until: row.try_get_by_index(3)?,
            runs: row.try_get_by_index(4)?,
            failures: row.try_get_by_index(5)?,
            last_began_at: row.try_get_by_index(6)?,
            last_ended_at: row.try_get_by_index(7)?,
            last_error: row.try_get_by_index(8)?,
            last_success_at: row.try_get_by_index(9)?,
        })
    };
    rows.iter().map(read).collect()
}
