//! What a program has delivered. A job belongs to the program that began it, counts its batches from 0, and expects them in
//! this order, so that a program that was stopped queries where to go on.
//!
//! | a batch | then |
//! |---|---|
//! | the expected one | its books go to the library, which says which of them it had already |
//! | the last one again, with the same content | the same answer, and nothing else |
//! | the last one again, with other content | 409 |
//! | any other | 409 with the expected number |
//!
//! The library comes first and the record second. A process that ends between the two sends the same books again, which the
//! library takes as the same. What the library has is compared there: another program may have changed a book since.

use std::fmt::Write as _;
use std::sync::Arc;

use clock::Clock;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, TransactionTrait as _, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::error::Error;
use crate::library::{Book, Library};
use rows::{append, begin, has_event, run, statement};

mod rows;

/// The most books of one batch, as the library takes them.
pub const MAX_BATCH: usize = 50;

/// Who asks for which job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobName {
    /// The program, as the edge proved it.
    pub owner: String,
    /// The name that the program gave the job.
    pub id: String,
}

impl JobName {
    /// Checks the name of a job: 1 to 64 of `A-Za-z0-9._-`.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn new(owner: String, id: String) -> Result<Self, Error> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        match (1..=64).contains(&id.len()) && id.bytes().all(is_plain) {
            true => Ok(Self { owner, id }),
            false => Err(Error::Invalid(
                "a job has 1 to 64 letters, digits, dots, dashes and underscores".to_owned(),
            )),
        }
    }
}

/// The progress of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    /// The number of the batch that is expected next.
    pub next: i64,
    /// The number of the newest event.
    pub events: i64,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// The number of the next batch.
    pub next: i64,
    /// How many books were new.
    pub added: usize,
    /// How many books replaced an earlier form, or were released.
    pub changed: usize,
    /// How many books the library had with the same content.
    pub unchanged: usize,
}

/// An event of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEvent {
    /// The number, from 1.
    pub number: i64,
    /// `batch` or `file`.
    pub name: String,
    /// One line of JSON.
    pub data: String,
}

/// All jobs.
#[derive(Clone, Debug)]
pub struct Jobs {
    database: DatabaseConnection,
    library: Library,
    clock: Arc<dyn Clock>,
    changes: watch::Sender<u64>,
}

struct Row {
    next: i64,
    events: i64,
    last_digest: Option<String>,
    last_outcome: Option<String>,
}

impl Jobs {
    /// Keeps jobs in `database`.
    #[must_use]
    pub fn new(database: DatabaseConnection, library: Library, clock: Arc<dyn Clock>) -> Self {
        Self { database, library, clock, changes: watch::Sender::new(0) }
    }

    /// Returns whether the database answers.
    pub async fn reachable(&self) -> bool {
        self.database.ping().await.is_ok()
    }

    /// Returns a receiver that changes with every event of this process.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns the progress of a job. A job that has not begun expects batch 0.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn progress(&self, job: &JobName) -> Result<Progress, Error> {
        let row = self.row(job).await?;
        Ok(row.map_or(Progress { next: 0, events: 0 }, |row| Progress { next: row.next, events: row.events }))
    }

    /// Delivers a batch.
    ///
    /// # Errors
    /// [`Error`], as the table of this module says.
    pub async fn deliver(&self, job: &JobName, number: i64, books: &[Book]) -> Result<Outcome, Error> {
        if books.is_empty() || books.len() > MAX_BATCH {
            return Err(Error::Invalid(format!("a batch has 1 to {MAX_BATCH} books")));
        }
        let digests = books.iter().map(digest).collect::<Result<Vec<_>, _>>()?;
        let whole = hex(&Sha256::digest(digests.concat()));
        if let Some(outcome) = self.expected(job, number, &whole).await? {
            return Ok(outcome);
        }
        let written = self.library.put(books).await?;
        let (added, changed) = (written.added.len(), written.changed.len());
        let unchanged = books.len().saturating_sub(added.saturating_add(changed));
        let outcome = Outcome { next: number.saturating_add(1), added, changed, unchanged };
        self.record(job, number, &whole, &outcome).await
    }

    /// Returns the earlier outcome for the last batch, nothing for the expected one, and an error for any other.
    async fn expected(&self, job: &JobName, number: i64, digest: &str) -> Result<Option<Outcome>, Error> {
        let row = self.row(job).await?;
        let next = row.as_ref().map_or(0, |row| row.next);
        if number == next {
            return Ok(None);
        }
        let Some(row) = row.filter(|row| number.checked_add(1) == Some(row.next)) else {
            return Err(Error::OtherBatch { next });
        };
        if row.last_digest.as_deref() != Some(digest) {
            return Err(Error::Changed(number));
        }
        let outcome = row.last_outcome.as_deref().and_then(|text| serde_json::from_str(text).ok());
        outcome.map(Some).ok_or(Error::OtherBatch { next })
    }

    /// Records a delivered batch and its event, together.
    async fn record(
        &self,
        job: &JobName,
        number: i64,
        digest: &str,
        outcome: &Outcome,
    ) -> Result<Outcome, Error> {
        let text = encoded(outcome)?;
        let transaction = self.database.begin().await?;
        begin(&transaction, job, self.clock.now()).await?;
        let update = "UPDATE sync_jobs SET next = next + 1, last_digest = $3, last_outcome = $4 \
                      WHERE owner = $1 AND id = $2 AND next = $5";
        let values: Vec<Value> = vec![
            job.owner.as_str().into(),
            job.id.as_str().into(),
            digest.into(),
            text.as_str().into(),
            number.into(),
        ];
        if run(&transaction, update, values).await? == 0 {
            transaction.rollback().await?;
            // Another request delivered this batch meanwhile, or an earlier one.
            let next = self.progress(job).await?.next;
            return self.expected(job, number, digest).await?.ok_or(Error::OtherBatch { next });
        }
        append(&transaction, job, "batch", &text).await?;
        transaction.commit().await?;
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        Ok(outcome.clone())
    }

    /// Adds an event about something other than a batch, unless the job has the same one: what is announced again after a
    /// lost answer happened once.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn announce(&self, job: &JobName, name: &str, data: &impl Serialize) -> Result<(), Error> {
        let data = encoded(data)?;
        let transaction = self.database.begin().await?;
        begin(&transaction, job, self.clock.now()).await?;
        if has_event(&transaction, job, name, &data).await? {
            transaction.rollback().await?;
            return Ok(());
        }
        append(&transaction, job, name, &data).await?;
        transaction.commit().await?;
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    /// Returns up to 100 events after the event `after`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn events(&self, job: &JobName, after: i64) -> Result<Vec<JobEvent>, Error> {
        let select = "SELECT number, name, data FROM sync_events WHERE owner = $1 AND job = $2 AND number > $3 \
                      ORDER BY number LIMIT 100";
        let values = vec![job.owner.as_str().into(), job.id.as_str().into(), after.into()];
        let rows = self.database.query_all_raw(statement(&self.database, select, values)).await?;
        let event = |row: sea_orm::QueryResult| {
            Ok(JobEvent {
                number: row.try_get("", "number")?,
                name: row.try_get("", "name")?,
                data: row.try_get("", "data")?,
            })
        };
        rows.into_iter().map(event).collect()
    }

    async fn row(&self, job: &JobName) -> Result<Option<Row>, Error> {
        let select =
            "SELECT next, events, last_digest, last_outcome FROM sync_jobs WHERE owner = $1 AND id = $2";
        let values = vec![job.owner.as_str().into(), job.id.as_str().into()];
        let row = self.database.query_one_raw(statement(&self.database, select, values)).await?;
        let read = |row: sea_orm::QueryResult| {
            Ok(Row {
                next: row.try_get("", "next")?,
                events: row.try_get("", "events")?,
                last_digest: row.try_get("", "last_digest")?,
                last_outcome: row.try_get("", "last_outcome")?,
            })
        };
        row.map(read).transpose()
    }
}

fn encoded(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Invalid(error.to_string()))
}

/// The digest of a book: its fields in one order, so that the order in the program's JSON does not count.
fn digest(book: &Book) -> Result<String, Error> {
    Ok(hex(&Sha256::digest(encoded(book)?)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
