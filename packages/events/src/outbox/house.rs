//! Keeps the outbox small.

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, UnixTime};
use sea_orm::DatabaseConnection;

use super::purge;

/// How often delivered rows are deleted. They are harmless; an hour keeps a deletion small.
const INTERVAL: Duration = Duration::from_hours(1);

/// How long a delivered row stays, for an operator who looks for what became of a change.
const DELIVERED_STAY: Duration = Duration::from_hours(7 * 24);

/// The most rows of one deletion, which locks them.
const MAX_DELETED: u32 = 10_000;

/// Deletes the rows of `database` that were delivered more than a week ago, every hour, until it is dropped. Dead rows stay.
pub async fn keep_house(database: DatabaseConnection, clock: Arc<dyn Clock>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let before = UnixTime::from_seconds(clock.now().seconds().saturating_sub(DELIVERED_STAY.as_secs()));
        if let Err(error) = purge(&database, before, MAX_DELETED).await {
            tracing::warn!(%error, "cannot delete delivered rows of the outbox");
        }
    }
}
