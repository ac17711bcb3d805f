//! Handles each event once, however often it arrives: the id of the event is written in the transaction of its effect, so
//! that a second arrival finds it there.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, UnixTime};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait as _};

use crate::envelope::Envelope;
use crate::moment;
use crate::statement::sql;

/// The effect of events.
pub trait Handle: Send + Sync + 'static {
    /// Has the effect of `event` within `effect`, which is committed afterwards. Everything that must happen once is in this
    /// transaction; what happens elsewhere goes through the [`crate::Outbox`].
    fn handle(
        &self,
        effect: &DatabaseTransaction,
        event: &Envelope,
    ) -> impl Future<Output = Result<(), NotHandled>> + Send;
}

/// Why an event had no effect.
#[derive(Debug, thiserror::Error)]
pub enum NotHandled {
    /// It can never have one: its data are not what its type promises.
    #[error("{0}")]
    Refused(String),
    /// It may have one later.
    #[error("{0}")]
    Failed(String),
    /// The database failed.
    #[error("{0}")]
    Database(#[from] DbErr),
}

/// Whether an event had its effect now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// Now.
    Now,
    /// Before, so nothing was done.
    Before,
}

/// Has the effect of `event` for `consumer`, unless it had it before.
///
/// # Errors
/// [`NotHandled`]. Nothing of the effect has happened then.
pub async fn once(
    database: &DatabaseConnection,
    consumer: &str,
    event: &Envelope,
    handler: &impl Handle,
    now: UnixTime,
) -> Result<Handled, NotHandled> {
    let effect = database.begin().await?;
    // The first statement writes. On SQLite a transaction that read first could not become the writer; on PostgreSQL a
    // second handler of the same event waits here for the first.
    let text = "INSERT INTO handled_events (consumer, event_id, handled_at) VALUES ($1, $2, $3) \
                ON CONFLICT (consumer, event_id) DO NOTHING";
    let values = [consumer.into(), event.id.into(), moment::column(now).into()];
    if effect.execute_raw(sql(&effect, text, values)).await?.rows_affected() == 0 {
        effect.rollback().await?;
        return Ok(Handled::Before);
    }
    handler.handle(&effect, event).await?;
    effect.commit().await?;
    Ok(Handled::Now)
}

/// Counts that `event` was handed to `consumer` again, and returns how often that was so far. A consumer that ends in the
/// middle of an event leaves no other trace of it.
///
/// # Errors
/// The error of the database.
pub async fn again(
    database: &impl ConnectionTrait,
    consumer: &str,
    event: &Envelope,
    now: UnixTime,
) -> Result<i32, DbErr> {
    let text = "INSERT INTO redelivered_events (consumer, event_id, times, last_at) VALUES ($1, $2, 1, $3) \
                ON CONFLICT (consumer, event_id) DO UPDATE SET times = redelivered_events.times + 1, last_at = $3 \
                RETURNING times";
    let values = [consumer.into(), event.id.into(), moment::column(now).into()];
    let row = database.query_one_raw(sql(database, text, values)).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}

/// How often old marks are deleted. They are harmless; an hour keeps a deletion small.
const HOUSEKEEPING: Duration = Duration::from_hours(1);

/// How long a mark stays: longer than any queue or outbox keeps an event.
const MARKS_STAY: Duration = Duration::from_hours(30 * 24);

/// The most marks of one deletion, which locks them. A turn repeats it until none is left.
const MAX_DELETED: u32 = 10_000;

/// Deletes old marks until it is dropped. Every service that consumes events runs it.
pub async fn keep_house(database: DatabaseConnection, clock: Arc<dyn Clock>) {
    loop {
        tokio::time::sleep(HOUSEKEEPING).await;
        if let Err(error) = delete_old(&database, clock.now()).await {
            tracing::warn!(%error, "cannot delete marks of handled events");
        }
    }
}

/// Deletes every mark from more than 30 days before `now`, in steps, and returns their number: one turn of
/// [`keep_house`]. So there are the marks of 30 days, however many events an hour has.
///
/// # Errors
/// The error of the database. The steps before it stay done.
pub async fn delete_old(database: &DatabaseConnection, now: UnixTime) -> Result<u64, DbErr> {
    let before = UnixTime::from_seconds(now.seconds().saturating_sub(MARKS_STAY.as_secs()));
    let mut deleted = 0_u64;
    loop {
        // The marks of both tables together: with fewer, neither step was full.
        let step = purge(database, before, MAX_DELETED).await?;
        deleted = deleted.saturating_add(step);
        if step < u64::from(MAX_DELETED) {
            return Ok(deleted);
        }
    }
}

/// Removes at most `most` marks of each table from before `before`, and returns their number. An event that arrives
/// again after that is handled again, so keep marks longer than any queue or outbox keeps events: 30 days are plenty.
///
/// # Errors
/// The error of the database.
pub async fn purge(database: &impl ConnectionTrait, before: UnixTime, most: u32) -> Result<u64, DbErr> {
    let mut removed = 0;
    for (table, time) in [("handled_events", "handled_at"), ("redelivered_events", "last_at")] {
        let text = format!(
            "DELETE FROM {table} WHERE (consumer, event_id) IN (\
             SELECT consumer, event_id FROM {table} WHERE {time} < $1 ORDER BY {time} LIMIT $2)"
        );
        let values = [moment::column(before).into(), i64::from(most).into()];
        removed += database.execute_raw(sql(database, &text, values)).await?.rows_affected();
    }
    Ok(removed)
}
