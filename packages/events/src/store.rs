//! An append-only event store, for trails that must not change and for state that is made of its history.
//!
//! A stream has events with the versions 1, 2, 3 …. An append names the version that it saw last; when another append was
//! faster, that is a [`Appended::Conflict`], and the caller reads again and decides again. The database itself refuses every
//! change and removal of a stored event ([`crate::tables::Streams`]).

use clock::UnixTime;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait as _};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::envelope::EventType;
use crate::moment;
use crate::outbox::{MAX_KEY_BYTES, MAX_PAYLOAD_BYTES};
use crate::statement::{json, sql};

/// The most events of one append. What belongs together is few; a larger import appends several times.
pub const MAX_APPEND: usize = 100;

/// Events of one page.
const PAGE: u16 = 256;

/// What is to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// What happened.
    pub kind: EventType,
    /// Its data.
    pub payload: Value,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its place in the stream, from 1.
    pub version: i64,
    /// Its id, a UUIDv7.
    pub id: Uuid,
    /// What happened.
    pub kind: EventType,
    /// Its data.
    pub payload: Value,
    /// When it was stored.
    pub recorded_at: OffsetDateTime,
}

/// What came of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The stream has this version now.
    At(i64),
    /// The stream has another version than the expected one: nothing may be appended. In a transaction of the caller, roll it
    /// back.
    Conflict,
}

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The stream's name, the number of events or a payload is too long, or empty.
    #[error("{0}")]
    Size(String),
    /// The database failed.
    #[error("the event store cannot be used: {0}")]
    Database(#[from] DbErr),
    /// A stored event cannot be read: another program wrote it.
    #[error("version {version} of the stream {stream:?} cannot be read: {error}")]
    Unreadable {
        /// The stream.
        stream: String,
        /// The version.
        version: i64,
        /// Why.
        error: String,
    },
}

/// State that is made of a stream.
pub trait Projection: Default {
    /// Takes the next event in.
    fn apply(&mut self, event: &Stored);
}

/// Appends `facts` to `stream`, whose last known version is `expected` (0 for a new stream), in a transaction of its own.
///
/// # Errors
/// [`StoreError`].
pub async fn append(
    database: &DatabaseConnection,
    stream: &str,
    expected: i64,
    facts: &[Fact],
    now: UnixTime,
) -> Result<Appended, StoreError> {
    let change = database.begin().await?;
    let appended = append_in(&change, stream, expected, facts, now).await?;
    match appended {
        Appended::At(_) => change.commit().await?,
        Appended::Conflict => change.rollback().await?,
    }
    Ok(appended)
}

/// The same in the transaction of a change, which the facts are about.
///
/// # Errors
/// [`StoreError`].
pub async fn append_in(
    change: &DatabaseTransaction,
    stream: &str,
    expected: i64,
    facts: &[Fact],
    now: UnixTime,
) -> Result<Appended, StoreError> {
    check(stream, facts)?;
    let insert = format!(
        "INSERT INTO stored_events (stream, version, id, kind, payload, recorded_at) VALUES ($1, $2, $3, $4, {}, $6) \
         ON CONFLICT (stream, version) DO NOTHING",
        json("$5", change)
    );
    let mut version = expected;
    // Writing first: on SQLite a transaction that read first could not become the writer. On PostgreSQL a second append of
    // the same version waits here for the first.
    for fact in facts {
        version = version.saturating_add(1);
        let values = [
            stream.into(),
            version.into(),
            moment::id(now).into(),
            fact.kind.as_str().into(),
            fact.payload.to_string().into(),
            moment::column(now).into(),
        ];
        if change.execute_raw(sql(change, &insert, values)).await?.rows_affected() == 0 {
            return Ok(Appended::Conflict);
        }
    }
    // A gap would mean that the caller expected a version that the stream never had.
    if expected > 0 {
        let before = "SELECT 1 FROM stored_events WHERE stream = $1 AND version = $2";
        let values = [stream.into(), expected.into()];
        if change.query_one_raw(sql(change, before, values)).await?.is_none() {
            return Ok(Appended::Conflict);
        }
    }
    Ok(Appended::At(version))
}

fn check(stream: &str, facts: &[Fact]) -> Result<(), StoreError> {
    if stream.is_empty() || stream.len() > MAX_KEY_BYTES || stream.contains('\0') {
        return Err(StoreError::Size(format!(
            "the name of a stream has 1 to {MAX_KEY_BYTES} bytes and no NUL"
        )));
    }
    if facts.is_empty() || facts.len() > MAX_APPEND {
        return Err(StoreError::Size(format!(
            "append 1 to {MAX_APPEND} events at once, not {}",
            facts.len()
        )));
    }
    match facts.iter().find(|fact| fact.payload.to_string().len() > MAX_PAYLOAD_BYTES) {
        Some(fact) => Err(StoreError::Size(format!(
            "the data of {} have more than {MAX_PAYLOAD_BYTES} bytes; store a reference to the content",
            fact.kind
        ))),
        None => Ok(()),
    }
}

/// Returns at most `most` events of `stream` (and at most 256) behind the version `after`; 0 begins at the start.
///
/// # Errors
/// [`StoreError`].
pub async fn read(
    database: &impl ConnectionTrait,
    stream: &str,
    after: i64,
    most: u16,
) -> Result<Vec<Stored>, StoreError> {
    let text = "SELECT version, id, kind, CAST(payload AS text), recorded_at FROM stored_events \
                WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3";
    let values = [stream.into(), after.into(), i64::from(most.min(PAGE)).into()];
    let rows = database.query_all_raw(sql(database, text, values)).await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let version = row.try_get_by_index(0)?;
        let unreadable = |error: &dyn std::fmt::Display| StoreError::Unreadable {
            stream: stream.to_owned(),
            version,
            error: error.to_string(),
        };
        let (kind, payload): (String, String) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        events.push(Stored {
            version,
            id: row.try_get_by_index(1)?,
            kind: kind.parse().map_err(|error| unreadable(&error))?,
            payload: serde_json::from_str(&payload).map_err(|error| unreadable(&error))?,
            recorded_at: row.try_get_by_index(4)?,
        });
    }
    Ok(events)
}

/// Returns at most `most` names of streams (and at most 256) that begin with `prefix`, in the order of their bytes, behind
/// the name `after`.
///
/// # Errors
/// [`StoreError`].
pub async fn streams(
    database: &impl ConnectionTrait,
    prefix: &str,
    after: &str,
    most: u16,
) -> Result<Vec<String>, StoreError> {
    // Version 1 of each stream is its one row here. The prefix is compared as it is: LIKE would read `%` and `_` in it.
    let text = "SELECT stream FROM stored_events WHERE version = 1 AND stream > $1 AND substr(stream, 1, length($2)) = $2 \
                ORDER BY stream LIMIT $3";
    let values = [after.into(), prefix.into(), i64::from(most.min(PAGE)).into()];
    let rows = database.query_all_raw(sql(database, text, values)).await?;
    Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
}

/// Makes `P` anew of all events of `stream`, page by page, and returns it with the stream's version.
///
/// # Errors
/// [`StoreError`].
pub async fn rebuild<P: Projection>(
    database: &impl ConnectionTrait,
    stream: &str,
) -> Result<(P, i64), StoreError> {
    let (mut projection, mut version) = (P::default(), 0);
    loop {
        let page = read(database, stream, version, PAGE).await?;
        let Some(last) = page.last() else { return Ok((projection, version)) };
        version = last.version;
        page.iter().for_each(|event| projection.apply(event));
    }
}
