//! Claims rows and records what came of them. Each statement is atomic by itself, so no transaction stays open while a row
//! is delivered.

use std::fmt;
use std::time::Duration;

use clock::UnixTime;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::moment;
use crate::statement::sql;

/// How long a claimed row belongs to its worker. A killed worker's rows are claimed again after it. Three times
/// [`DELIVER_WITHIN`](crate::outbox::DELIVER_WITHIN), so that the result of a slow delivery can still be recorded.
pub const LEASE: Duration = Duration::from_mins(1);

/// Attempts until a row is dead. With waits that double from a second to ten minutes this is about an hour and a half: a
/// provider's usual outage. Attempts during which the far side was unavailable do not count.
pub const MAX_ATTEMPTS: i32 = 16;

/// The most characters of an error that are kept.
const MAX_ERROR_CHARS: usize = 1_000;

/// A claimed row. `Debug` leaves its payload out, which may be personal.
#[derive(Clone)]
pub struct Item {
    /// Its id.
    pub id: Uuid,
    /// Which kind of delivery it needs.
    pub kind: String,
    /// The content, as JSON.
    pub payload: String,
    /// Names the effect; the far side may use it, too.
    pub idempotency_key: String,
    /// The number of this attempt, from 1.
    pub attempt: i32,
    /// When the lease of this claim ends.
    lease: OffsetDateTime,
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, attempt, .. } = self;
        f.debug_struct("Item")
            .field("id", id)
            .field("kind", kind)
            .field("attempt", attempt)
            .finish_non_exhaustive()
    }
}

impl Item {
    fn read(row: &QueryResult, lease: OffsetDateTime) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.try_get_by_index(0)?,
            kind: row.try_get_by_index(1)?,
            payload: row.try_get_by_index(2)?,
            idempotency_key: row.try_get_by_index(3)?,
            attempt: row.try_get_by_index(4)?,
            lease,
        })
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Delivered,
    Again {
        error: String,
        after: Duration,
    },
    /// As `Again`, and the attempt does not count.
    Unavailable {
        error: String,
        after: Duration,
    },
    Dead {
        error: String,
    },
}

/// Claims at most `most` due rows of `kinds`, the longest due first.
///
/// On PostgreSQL, workers skip rows that another one is claiming at the moment. SQLite has one writer at a time.
pub(super) async fn claim(
    database: &impl ConnectionTrait,
    kinds: &[&str],
    now: UnixTime,
    most: u64,
) -> Result<Vec<Item>, DbErr> {
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<String> = (0..kinds.len()).map(|place| format!("${}", place + 4)).collect();
    let is_postgres = database.get_database_backend() == DbBackend::Postgres;
    let lock = if is_postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    // Materialized: a planner that runs the inner query again for each row would claim more rows than the limit.
    let text = format!(
        "WITH due AS MATERIALIZED (\
           SELECT id FROM outbox_events WHERE processed_at IS NULL AND failed_at IS NULL AND next_attempt_at <= $1 \
           AND kind IN ({}) ORDER BY next_attempt_at, id LIMIT $3{lock}) \
         UPDATE outbox_events SET attempts = attempts + 1, next_attempt_at = $2 WHERE id IN (SELECT id FROM due) \
         RETURNING id, kind, CAST(payload AS text), idempotency_key, attempts",
        places.join(", ")
    );
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let lease = moment::column(now.plus(LEASE));
    let first = [moment::column(now).into(), lease.into(), most.into()];
    let values = first.into_iter().chain(kinds.iter().map(|kind| (*kind).into()));
    let rows = database.query_all_raw(sql(database, &text, values)).await?;
    let mut items = rows.iter().map(|row| Item::read(row, lease)).collect::<Result<Vec<_>, _>>()?;
    // UPDATE returns rows in no order; ids are in the order of their writing.
    items.sort_by_key(|item| item.id);
    Ok(items)
}

/// Records how the attempt of `item` ended. Returns false when another worker has claimed the row since, or when this
/// was recorded before.
///
/// A record may be repeated, because a database that ends can commit it and not say so. The number of an attempt that
/// does not count is given out again, so it alone does not prove the claim: each claim has a lease of its own, and each
/// record ends it.
pub(super) async fn record(
    database: &impl ConnectionTrait,
    item: &Item,
    ended: &Ended,
    now: UnixTime,
) -> Result<bool, DbErr> {
    let (set, error, at) = match ended {
        Ended::Delivered => ("processed_at = $3, last_error = $4", None, now),
        Ended::Again { error, after } => {
            ("next_attempt_at = $3, last_error = $4", Some(error), now.plus(*after))
        }
        Ended::Unavailable { error, after } => {
            ("attempts = attempts - 1, next_attempt_at = $3, last_error = $4", Some(error), now.plus(*after))
        }
        Ended::Dead { error } => ("failed_at = $3, last_error = $4", Some(error), now),
    };
    let text = format!(
        "UPDATE outbox_events SET {set} WHERE id = $1 AND attempts = $2 AND next_attempt_at = $5 \
         AND processed_at IS NULL AND failed_at IS NULL"
    );
    let values = [
        item.id.into(),
        item.attempt.into(),
        moment::column(at).into(),
        error.map(|error| storable(error)).into(),
        item.lease.into(),
    ];
    Ok(database.execute_raw(sql(database, &text, values)).await?.rows_affected() > 0)
}

/// `error` as PostgreSQL takes it: bounded, without NUL.
fn storable(error: &str) -> String {
    error.chars().filter(|c| *c != '\0').take(MAX_ERROR_CHARS).collect()
}

#[cfg(test)]
mod tests;
