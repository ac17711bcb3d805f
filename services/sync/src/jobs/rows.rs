//! The rows of jobs and their events.

use clock::UnixTime;
use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement, Value};

use super::JobName;
use crate::error::Error;

/// The most jobs of one program: a week of a program that begins one every minute. After that the one that was idle for the
/// longest time is forgotten.
const MAX_JOBS: i64 = 10_000;

/// How many jobs are forgotten at once. One is begun at a time, so this is a bound for a table that was filled otherwise.
const FORGOTTEN_AT_ONCE: i64 = 100;

/// How many events of a job are kept. A reader that is further behind begins with the oldest of them.
const KEPT_EVENTS: i64 = 1_000;

/// Makes the job's row if it is missing, or records that the job is used.
pub(super) async fn begin(database: &DatabaseTransaction, job: &JobName, now: UnixTime) -> Result<(), Error> {
    let used = i64::try_from(now.millis()).unwrap_or(i64::MAX);
    let values = || -> Vec<Value> { vec![job.owner.as_str().into(), job.id.as_str().into(), used.into()] };
    let update = "UPDATE sync_jobs SET used_at = $3 WHERE owner = $1 AND id = $2";
    if run(database, update, values()).await? == 1 {
        return Ok(());
    }
    let insert = "INSERT INTO sync_jobs (owner, id, next, events, used_at) VALUES ($1, $2, 0, 0, $3) \
                  ON CONFLICT (owner, id) DO NOTHING";
    run(database, insert, values()).await?;
    forget_idle(database, job).await
}

/// Forgets the jobs of the program that are above the limit, longest idle first, but not `job`.
async fn forget_idle(database: &DatabaseTransaction, job: &JobName) -> Result<(), Error> {
    let select = "SELECT id FROM sync_jobs WHERE owner = $1 AND id <> $2 \
                  ORDER BY used_at DESC, id LIMIT $3 OFFSET $4";
    let kept = MAX_JOBS.saturating_sub(1);
    let values =
        vec![job.owner.as_str().into(), job.id.as_str().into(), FORGOTTEN_AT_ONCE.into(), kept.into()];
    for row in database.query_all_raw(statement(database, select, values)).await? {
        let id: String = row.try_get("", "id")?;
        for delete in [
            "DELETE FROM sync_events WHERE owner = $1 AND job = $2",
            "DELETE FROM sync_jobs WHERE owner = $1 AND id = $2",
        ] {
            run(database, delete, vec![job.owner.as_str().into(), id.as_str().into()]).await?;
        }
    }
    Ok(())
}

/// Returns whether the job has this event, among those that are kept.
pub(super) async fn has_event(
    database: &DatabaseTransaction,
    job: &JobName,
    name: &str,
    data: &str,
) -> Result<bool, Error> {
    let select =
        "SELECT 1 FROM sync_events WHERE owner = $1 AND job = $2 AND name = $3 AND data = $4 LIMIT 1";
    let values = vec![job.owner.as_str().into(), job.id.as_str().into(), name.into(), data.into()];
    Ok(database.query_one_raw(statement(database, select, values)).await?.is_some())
}

/// Adds an event to the job, and drops those that are too old.
pub(super) async fn append(
    database: &DatabaseTransaction,
    job: &JobName,
    name: &str,
    data: &str,
) -> Result<(), Error> {
    let key = || -> Vec<Value> { vec![job.owner.as_str().into(), job.id.as_str().into()] };
    let count = "UPDATE sync_jobs SET events = events + 1 WHERE owner = $1 AND id = $2";
    run(database, count, key()).await?;
    // PostgreSQL has to know the types of values that stand alone in a SELECT.
    let insert = "INSERT INTO sync_events (owner, job, number, name, data) \
                  SELECT owner, id, events, CAST($3 AS varchar), CAST($4 AS varchar) FROM sync_jobs WHERE owner = $1 AND id = $2";
    run(database, insert, [key(), vec![name.into(), data.into()]].concat()).await?;
    let forget = "DELETE FROM sync_events WHERE owner = $1 AND job = $2 AND number <= \
                  (SELECT events FROM sync_jobs WHERE owner = $1 AND id = $2) - $3";
    run(database, forget, [key(), vec![KEPT_EVENTS.into()]].concat()).await?;
    Ok(())
}

/// Both databases take `$1` for the first value.
pub(super) fn statement(database: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(database.get_database_backend(), sql, values)
}

pub(super) async fn run(
    database: &impl ConnectionTrait,
    sql: &str,
    values: Vec<Value>,
) -> Result<u64, Error> {
    Ok(database.execute_raw(statement(database, sql, values)).await?.rows_affected())
}
