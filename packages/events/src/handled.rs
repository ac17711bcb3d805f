//! Handles each event once, however often it arrives: the id of the event is written in the transaction of its effect, so
//! that a second arrival finds it there.

use std::future::Future;

use clock::UnixTime;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait as _};

use crate::envelope::Envelope;
use crate::moment;
use crate::outbox::sql;

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

/// Removes at most `most` marks of events that were handled before `before`, and returns their number. An event that arrives
/// again after that is handled again, so keep marks longer than any queue or outbox keeps events: 30 days are plenty.
///
/// # Errors
/// The error of the database.
pub async fn purge(database: &impl ConnectionTrait, before: UnixTime, most: u32) -> Result<u64, DbErr> {
    let text = "DELETE FROM handled_events WHERE (consumer, event_id) IN (\
                SELECT consumer, event_id FROM handled_events WHERE handled_at < $1 ORDER BY handled_at LIMIT $2)";
    let values = [moment::column(before).into(), i64::from(most).into()];
    Ok(database.execute_raw(sql(database, text, values)).await?.rows_affected())
}
