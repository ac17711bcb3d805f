//! What is in the outbox and not delivered, for metrics.

use sea_orm::{ConnectionTrait, DbErr};
use time::OffsetDateTime;

use crate::statement::sql;

/// The rows that are not delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// How many wait for a worker, or for their next attempt.
    pub waiting: i64,
    /// How many are dead.
    pub dead: i64,
    /// When the oldest of those that wait was written.
    pub oldest: Option<OffsetDateTime>,
}

/// Counts the rows of `kind`, or of every kind.
///
/// # Errors
/// The error of the database.
pub async fn unfinished(database: &impl ConnectionTrait, kind: Option<&str>) -> Result<Unfinished, DbErr> {
    let kind = kind.map(str::to_owned);
    // Each condition is that of an index (`crate::tables::Unfinished`), so delivered rows are not read.
    let waiting =
        "FROM outbox_events WHERE processed_at IS NULL AND failed_at IS NULL AND kind = COALESCE($1, kind)";
    let dead = "FROM outbox_events WHERE failed_at IS NOT NULL AND kind = COALESCE($1, kind)";
    let count = format!("SELECT (SELECT count(*) {waiting}), (SELECT count(*) {dead})");
    let Some(counts) = database.query_one_raw(sql(database, &count, [kind.clone().into()])).await? else {
        return Ok(Unfinished::default());
    };
    // Not `min`: SQLite returns a text then, which is no time.
    let oldest = format!("SELECT created_at {waiting} ORDER BY created_at LIMIT 1");
    let oldest = database.query_one_raw(sql(database, &oldest, [kind.into()])).await?;
    Ok(Unfinished {
        waiting: counts.try_get_by_index(0)?,
        dead: counts.try_get_by_index(1)?,
        oldest: oldest.map(|row| row.try_get_by_index(0)).transpose()?,
    })
}
