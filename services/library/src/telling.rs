//! Delivers the [news](crate::news) of books to the users service, and completes [renewals](crate::renewal). Both may be
//! repeated: the users service tells each person of a book once, and a renewal is completed once.

use events::outbox::{Deliver, Item, Outcome};
use kit::peer::CallFailed;
use tonic::Code;

use crate::books::Books;
use crate::error::Error;
use crate::news::{APPEARED, Appeared, RENEWED, Renewed};
use crate::people::People;
use crate::renewal;

/// The kinds of rows that it delivers.
pub const KINDS: &[&str] = &[APPEARED, RENEWED];

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
        KINDS
    }

    async fn deliver(&self, item: &Item) -> Outcome {
        let told = match item.kind.as_str() {
            APPEARED => match serde_json::from_str(&item.payload) {
                Ok(Appeared { book }) => self.tell(book).await,
                Err(error) => return Outcome::Refused { error: error.to_string() },
            },
            RENEWED => match serde_json::from_str(&item.payload) {
                Ok(Renewed { old, new }) => renewal::complete(&self.books, &self.people, old, new).await,
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
