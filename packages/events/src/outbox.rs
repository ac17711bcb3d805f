//! What has to happen after a change, written in the transaction of the change: both happen, or neither.
//!
//! A row is delivered by a [`Worker`]; any number of workers of any number of processes may run. A worker *claims* rows: it
//! takes them for [`LEASE`] and counts an attempt. The number of the attempt and the end of the lease are also the
//! proof of the claim, so a worker that was too slow cannot finish a row that another one has taken over.
//!
//! | a row | `processed_at` | `failed_at` | `next_attempt_at` |
//! |---|---|---|---|
//! | waits, or waits again after a failure | — | — | when it is due |
//! | is being delivered | — | — | when the lease ends |
//! | is delivered | when | — | |
//! | is dead: refused, or failed [`MAX_ATTEMPTS`] times | — | when; `last_error` says why | |

mod claim;
mod dead;
mod house;
pub mod metrics;
mod tenant;
mod unfinished;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr};
use tokio::sync::watch;

use crate::envelope::{Envelope, InvalidEvent};
use crate::exchange::Exchange;
use crate::moment;
use crate::statement::{json, sql};

pub use claim::{Item, LEASE, MAX_ATTEMPTS};
pub use dead::{DeadLetter, MAX_PAGE, dead, purge, remove, revive};
pub use house::{delete_delivered, keep_house};
pub use tenant::{Rows, forget_tenant};
pub use unfinished::{Unfinished, unfinished};
pub use worker::{Counts, DELIVER_WITHIN, Deliver, Outcome, Worker};

/// The most bytes of a payload. An event has at most 64 KiB, and a message to a person a few.
pub const MAX_PAYLOAD_BYTES: usize = 128 * 1024;

/// The most bytes of a kind or an idempotency key: what `varchar` columns of older databases take.
pub const MAX_KEY_BYTES: usize = 255;

/// The name of the payload in errors.
const PAYLOAD: &str = "payload";

/// Writes rows, and wakes the workers of this process.
#[derive(Clone, Debug)]
pub struct Outbox {
    clock: Arc<dyn Clock>,
    /// Each worker sees each change of it, so none misses a row of its kind.
    wake: watch::Sender<()>,
}

/// A new row.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Which kind of delivery it needs: see [`Deliver::kinds`].
    pub kind: &'a str,
    /// The content, as JSON.
    pub payload: &'a str,
    /// Names the effect. A second row with the same key is not written, so a repeated request has one effect.
    pub idempotency_key: &'a str,
    /// How long to wait before the first attempt.
    pub delay: Duration,
}

/// Whether a row was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was.
    Written,
    /// There is one with the same key already.
    AlreadyThere,
}

/// A row cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The event is not valid.
    #[error(transparent)]
    Event(#[from] InvalidEvent),
    /// The kind, the key or the payload is too long, or empty.
    #[error("the {what} of an outbox row has 1 to {max} bytes, not {length}")]
    Length {
        /// Which of them.
        what: &'static str,
        /// The most bytes.
        max: usize,
        /// The bytes that it has.
        length: usize,
    },
    /// The kind, the key or the payload has NUL in it, which PostgreSQL stores nowhere.
    #[error("the {0} of an outbox row has no NUL")]
    Nul(&'static str),
    /// The database failed.
    #[error("the outbox cannot be written: {0}")]
    Database(#[from] DbErr),
}

impl Outbox {
    /// An outbox at the time of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, wake: watch::Sender::new(()) }
    }

    /// Writes a row in the transaction of the change that it follows from.
    ///
    /// # Errors
    /// [`OutboxError`]. The change must be rolled back then.
    pub async fn put(&self, change: &DatabaseTransaction, entry: Entry<'_>) -> Result<Put, OutboxError> {
        let texts = [
            ("kind", MAX_KEY_BYTES, entry.kind),
            ("idempotency key", MAX_KEY_BYTES, entry.idempotency_key),
            (PAYLOAD, MAX_PAYLOAD_BYTES, entry.payload),
        ];
        for (what, max, text) in texts {
            if text.is_empty() || text.len() > max {
                return Err(OutboxError::Length { what, max, length: text.len() });
            }
            if text.contains('\0') || (what == PAYLOAD && has_nul(text)) {
                return Err(OutboxError::Nul(what));
            }
        }
        let now = self.clock.now();
        let values = [
            moment::id(now).into(),
            entry.kind.into(),
            entry.payload.into(),
            entry.idempotency_key.into(),
            moment::column(now).into(),
            moment::column(now.plus(entry.delay)).into(),
        ];
        let statement = format!(
            "INSERT INTO outbox_events (id, kind, payload, idempotency_key, created_at, next_attempt_at) \
             VALUES ($1, $2, {}, $4, $5, $6) ON CONFLICT (idempotency_key) DO NOTHING",
            json("$3", change)
        );
        let written = change.execute_raw(sql(change, &statement, values)).await?.rows_affected();
        Ok(if written == 0 { Put::AlreadyThere } else { Put::Written })
    }

    /// Writes `event`, to be published to `exchange` by a [`crate::relay::Relay`]. Its id is the idempotency key.
    ///
    /// # Errors
    /// [`OutboxError`]. The change must be rolled back then.
    pub async fn announce(
        &self,
        change: &DatabaseTransaction,
        exchange: Exchange,
        event: &Envelope,
    ) -> Result<Put, OutboxError> {
        let (payload, key) = (event.to_json()?, event.id.to_string());
        let entry =
            Entry { kind: exchange.kind(), payload: &payload, idempotency_key: &key, delay: Duration::ZERO };
        self.put(change, entry).await
    }

    /// Wakes the workers of this process. Call it after the commit; without it the row is found by the next poll, within
    /// [`worker::POLL`].
    pub fn committed(&self) {
        self.wake.send_replace(());
    }
}

/// Whether a text in `json` has the escape `\u0000`: SQLite stores it, and `jsonb` does not.
fn has_nul(json: &str) -> bool {
    let mut rest = json;
    while let Some((_, escape)) = rest.split_once('\\') {
        if escape.starts_with("u0000") {
            return true;
        }
        // The second of two backslashes begins no escape.
        rest = escape.strip_prefix('\\').unwrap_or(escape);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::has_nul;

    #[test]
    fn nul_is_found_as_json_writes_it() {
        for json in [r#"{"a":"\u0000"}"#, r#"{"\u0000":1}"#, r#"["\\\u0000"]"#, r#"["\"\n\u0000"]"#] {
            assert!(has_nul(json), "{json}");
        }
        for json in [r#"{"a":"\\u0000"}"#, r#"["u0000"]"#, r#"["\u0001"]"#, r#"["\\\\u0000","\u00e9"]"#, ""] {
            assert!(!has_nul(json), "{json}");
        }
    }
}
