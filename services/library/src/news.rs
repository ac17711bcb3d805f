//! What people hear about books: that one has appeared, and that one replaces another.
//!
//! A row of the outbox is written in the transaction of the change, and a worker calls the users service. So a book is never
//! announced that is not there, a killed service announces later, and a request does not wait for the users service. Both
//! calls may be repeated: the users service tells each person of a book once.

use std::time::Duration;

use events::Outbox;
use events::outbox::{Deliver, Entry, Item, OutboxError, Outcome};
use kit::generation::Surface;
use kit::peer::CallFailed;
use sea_orm::DatabaseTransaction;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tonic::Code;

use crate::books::Books;
use crate::error::Error;
use crate::people::People;

/// A book has appeared.
const APPEARED: &str = "library.book.appeared";

/// A book replaces another one.
const RENEWED: &str = "library.book.renewed";

/// The content of a row. It names books; their tags are read when it is delivered.
#[derive(Serialize, Deserialize)]
struct Appeared {
    book: i32,
}

/// As [`Appeared`].
#[derive(Serialize, Deserialize)]
struct Renewed {
    old: i32,
    new: i32,
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
        self.put(change, APPEARED, &Appeared { book }, &format!("{APPEARED}:{book}")).await
    }

    /// Writes that `new` replaces `old`, since `at`.
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
        self.put(change, RENEWED, &Renewed { old, new }, &key).await
    }

    async fn put(
        &self,
        change: &DatabaseTransaction,
        kind: &str,
        content: &impl Serialize,
        key: &str,
    ) -> Result<(), Error> {
        let payload = serde_json::to_string(content).map_err(|error| {
            Error::Outbox(OutboxError::Database(sea_orm::DbErr::Custom(error.to_string())))
        })?;
        let entry = Entry { kind, payload: &payload, idempotency_key: key, delay: Duration::ZERO };
        self.outbox.put(change, entry).await.map(drop).map_err(Error::Outbox)
    }
}

/// Delivers the rows to the users service.
#[derive(Clone, Debug)]
pub struct Telling {
    /// The books, with their tags.
    pub books: Books,
    /// The users service.
    pub people: People,
}

impl Deliver for Telling {
    fn kinds(&self) -> &'static [&'static str] {
        &[APPEARED, RENEWED]
    }

    async fn deliver(&self, item: &Item) -> Outcome {
        let told = match item.kind.as_str() {
            APPEARED => match serde_json::from_str(&item.payload) {
                Ok(Appeared { book }) => self.tell(book).await,
                Err(error) => return Outcome::Refused { error: error.to_string() },
            },
            RENEWED => match serde_json::from_str(&item.payload) {
                Ok(Renewed { old, new }) => self.people.renew(old, new).await.map_err(Error::People),
                Err(error) => return Outcome::Refused { error: error.to_string() },
            },
            other => return Outcome::Refused { error: format!("{other:?} is a kind of another service") },
        };
        match told {
            Ok(()) => Outcome::Delivered,
            Err(Error::People(error)) => outcome(&error),
            Err(error) => Outcome::Unavailable { error: kit::answer::Chain(&error).to_string() },
        }
    }
}

impl Telling {
    async fn tell(&self, book: i32) -> Result<(), Error> {
        match self.books.one(book).await {
            Ok(book) => self.people.announce(book.id, &book.tags).await.map_err(Error::People),
            // It was removed from the database since.
            Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A failed call: the users service or the edge is away, refuses for now, or refuses for good.
fn outcome(error: &CallFailed) -> Outcome {
    let shown = kit::answer::Chain(error).to_string();
    match error {
        CallFailed::Rpc { code: Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled, .. }
        | CallFailed::Transport(_) => Outcome::Unavailable { error: shown },
        CallFailed::Rpc { code: Code::InvalidArgument | Code::OutOfRange, .. } => {
            Outcome::Refused { error: shown }
        }
        // UNAUTHENTICATED, PERMISSION_DENIED and UNIMPLEMENTED are an edge that does not let the library pass, or an older
        // users service: a person corrects it meanwhile.
        CallFailed::Rpc { .. } | CallFailed::Status(_) | CallFailed::Answer(_) | CallFailed::Signing(_) => {
            Outcome::Failed { error: shown, after: None }
        }
    }
}
