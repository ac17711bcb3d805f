//! What people hear about books: that one has appeared, and that one is to replace another.
//!
//! A row of the outbox is written in the transaction of the change, and a worker calls the users service
//! ([`telling`](crate::telling)). So a book is never announced that is not there, a killed service announces later, and a request
//! does not wait for the users service.

use std::time::Duration;

use events::Outbox;
use events::outbox::{Entry, OutboxError};
use kit::generation::Surface;
use sea_orm::DatabaseTransaction;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::error::Error;

/// A book has appeared.
pub(crate) const APPEARED: &str = "library.book.appeared";

/// A book is to replace another one.
pub(crate) const RENEWED: &str = "library.book.renewed";

/// How long the request itself has for a renewal, before a worker tries. A call ends after two seconds at most.
const RENEWED_BY_REQUEST: Duration = Duration::from_secs(5);

/// The content of a row. It names books; their tags are read when it is delivered.
#[derive(Serialize, Deserialize)]
pub(crate) struct Appeared {
    pub(crate) book: i32,
}

/// As [`Appeared`].
#[derive(Serialize, Deserialize)]
pub(crate) struct Renewed {
    pub(crate) old: i32,
    pub(crate) new: i32,
}

/// When people are told of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// When it is added: the older surface has no releases.
    WhenAdded,
    /// When it is released.
    WhenReleased,
}

impl From<Surface> for Announced {
    fn from(surface: Surface) -> Self {
        match surface {
            Surface::Older => Self::WhenAdded,
            Surface::Later => Self::WhenReleased,
        }
    }
}

/// Writes the rows.
#[derive(Clone, Debug)]
pub struct News {
    /// Where they are written.
    pub outbox: Outbox,
    /// When people are told of a book.
    pub announced: Announced,
}

impl News {
    /// Writes that `book` has appeared. It appears once: a second row is not written.
    ///
    /// # Errors
    /// [`Error::Outbox`]. The change must be rolled back then.
    pub(crate) async fn appeared(&self, change: &DatabaseTransaction, book: i32) -> Result<(), Error> {
        let key = format!("{APPEARED}:{book}");
        self.put(change, APPEARED, &Appeared { book }, &key, Duration::ZERO).await
    }

    /// Writes that `new` is to replace `old`, since `at`. A worker reads the row when the request has had its time.
    ///
    /// # Errors
    /// [`Error::Outbox`]. The change must be rolled back then.
    pub(crate) async fn renewed(
        &self,
        change: &DatabaseTransaction,
        old: i32,
        new: i32,
        at: OffsetDateTime,
    ) -> Result<(), Error> {
        // A renewal that is repeated later moves what people have expressed since then.
        let key = format!("{RENEWED}:{old}:{new}:{}", at.unix_timestamp_nanos() / 1_000_000);
        self.put(change, RENEWED, &Renewed { old, new }, &key, RENEWED_BY_REQUEST).await
    }

    async fn put(
        &self,
        change: &DatabaseTransaction,
        kind: &str,
        content: &impl Serialize,
        key: &str,
        delay: Duration,
    ) -> Result<(), Error> {
        let payload = serde_json::to_string(content).map_err(|error| {
            Error::Outbox(OutboxError::Database(sea_orm::DbErr::Custom(error.to_string())))
        })?;
        let entry = Entry { kind, payload: &payload, idempotency_key: key, delay };
        self.outbox.put(change, entry).await.map(drop).map_err(Error::Outbox)
    }
}
