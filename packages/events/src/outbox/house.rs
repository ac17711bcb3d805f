//! Keeps the outbox small.

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, UnixTime};
use sea_orm::{DatabaseConnection, DbErr};

use super::purge;

/// How often delivered rows are deleted. They are harmless; an hour keeps a deletion small.
const INTERVAL: Duration = Duration::from_hours(1);

/// How long a delivered row stays, for an operator who looks for what became of a change.
const DELIVERED_STAY: Duration = Duration::from_hours(7 * 24);

/// The most rows of one deletion, which locks them. A turn repeats it until none is left.
const MAX_DELETED: u32 = 10_000;

/// Deletes the rows of `database` that were delivered more than a week ago, every hour, until it is dropped. Dead rows stay.
pub async fn keep_house(database: DatabaseConnection, clock: Arc<dyn Clock>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        if let Err(error) = delete_delivered(&database, clock.now()).await {
            tracing::warn!(%error, "cannot delete delivered rows of the outbox");
        }
    }
}

/// Deletes every row that was delivered more than a week before `now`, in steps, and returns their number: one turn of
/// [`keep_house`]. So the outbox has the deliveries of a week, however many an hour has.
///
/// # Errors
/// The error of the database. The steps before it stay done.
pub async fn delete_delivered(database: &DatabaseConnection, now: UnixTime) -> Result<u64, DbErr> {
    let before = UnixTime::from_seconds(now.seconds().saturating_sub(DELIVERED_STAY.as_secs()));
    let mut deleted = 0_u64;
    loop {
        let step = purge(database, before, MAX_DELETED).await?;
        deleted = deleted.saturating_add(step);
        if step < u64::from(MAX_DELETED) {
            return Ok(deleted);
        }
    }
}
