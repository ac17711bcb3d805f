//! Dead rows: their list, a second chance, their removal, and that of what is done.

use clock::UnixTime;
use sea_orm::{ConnectionTrait, DbErr};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::moment;
use crate::statement::sql;

/// The most dead rows of one page.
pub const MAX_PAGE: u16 = 100;

/// A dead row. The payload is left out: it may contain personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id.
    pub id: Uuid,
    /// Which kind of delivery it needs.
    pub kind: String,
    /// Names the effect.
    pub idempotency_key: String,
    /// How often it was tried.
    pub attempts: i32,
    /// Why it is dead.
    pub last_error: String,
    /// When it was written.
    pub created_at: OffsetDateTime,
    /// When it was given up.
    pub failed_at: OffsetDateTime,
}

/// Returns at most `most` dead rows (and at most [`MAX_PAGE`]), the oldest first, behind the row `after`.
///
/// # Errors
/// The error of the database.
pub async fn dead(
    database: &impl ConnectionTrait,
    after: Option<Uuid>,
    most: u16,
) -> Result<Vec<DeadLetter>, DbErr> {
    let text = "SELECT id, kind, idempotency_key, attempts, last_error, created_at, failed_at FROM outbox_events \
                WHERE failed_at IS NOT NULL AND id > $1 ORDER BY id LIMIT $2";
    let values = [after.unwrap_or(Uuid::nil()).into(), i64::from(most.min(MAX_PAGE)).into()];
    let rows = database.query_all_raw(sql(database, text, values)).await?;
    let read = |row: &sea_orm::QueryResult| {
        Ok(DeadLetter {
            id: row.try_get_by_index(0)?,
            kind: row.try_get_by_index(1)?,
            idempotency_key: row.try_get_by_index(2)?,
            attempts: row.try_get_by_index(3)?,
            last_error: row.try_get_by_index::<Option<String>>(4)?.unwrap_or_default(),
            created_at: row.try_get_by_index(5)?,
            failed_at: row.try_get_by_index(6)?,
        })
    };
    rows.iter().map(read).collect()
}

/// Lets the workers try the dead row `id` again, as if it were new. Returns false when no dead row has this id.
///
/// # Errors
/// The error of the database.
pub async fn revive(database: &impl ConnectionTrait, id: Uuid, now: UnixTime) -> Result<bool, DbErr> {
    let text = "UPDATE outbox_events SET failed_at = NULL, attempts = 0, next_attempt_at = $2 \
                WHERE id = $1 AND failed_at IS NOT NULL";
    let values = [id.into(), moment::column(now).into()];
    Ok(database.execute_raw(sql(database, text, values)).await?.rows_affected() > 0)
}

/// Removes the dead row `id`, and its idempotency key with it. Returns false when no dead row has this id.
///
/// # Errors
/// The error of the database.
pub async fn remove(database: &impl ConnectionTrait, id: Uuid) -> Result<bool, DbErr> {
    let text = "DELETE FROM outbox_events WHERE id = $1 AND failed_at IS NOT NULL";
    Ok(database.execute_raw(sql(database, text, [id.into()])).await?.rows_affected() > 0)
}

/// Removes at most `most` rows that were delivered before `before`, and returns their number. Their idempotency keys are
/// forgotten with them. Dead rows stay.
///
/// # Errors
/// The error of the database.
pub async fn purge(database: &impl ConnectionTrait, before: UnixTime, most: u32) -> Result<u64, DbErr> {
    let text = "DELETE FROM outbox_events WHERE id IN (\
                SELECT id FROM outbox_events WHERE processed_at < $1 ORDER BY id LIMIT $2)";
    let values = [moment::column(before).into(), i64::from(most).into()];
    Ok(database.execute_raw(sql(database, text, values)).await?.rows_affected())
}
