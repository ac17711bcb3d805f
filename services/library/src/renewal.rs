//! A book replaces another one: first what people expressed moves to it, at the users service, then the library shows it
//! in the other's place. That is the legacy backend's order: a person never finds the new book without what they
//! expressed about the old one.
//!
//! ```text
//! begin     renewing_as = new, and a row of the outbox     one transaction
//! people    users service: RenewBook                       to the book that is shown then; may be repeated
//! complete  renewed_as = new, renewing_as = null           unless it is done
//! ```
//!
//! The request takes all three steps. When the users service is away, or this service ends in between, the book is
//! `currently-renewing` until a worker has completed it ([`crate::telling`]).

use crate::books::Books;
use crate::error::Error;
use crate::people::People;

/// Replaces the book `old` by the book `new`. Without the users service it is completed later.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] if both are the same, [`Error::Store`], [`Error::Outbox`].
pub(crate) async fn renew(books: &Books, people: &People, old: i32, new: i32) -> Result<(), Error> {
    books.begin_renewal(old, new).await?;
    match complete(books, people, old, new).await {
        // The row of the outbox completes it.
        Err(Error::People(_)) => Ok(()),
        done => done,
    }
}

/// Completes a renewal that has begun. A repetition does nothing.
///
/// # Errors
/// [`Error::People`], [`Error::Store`].
pub(crate) async fn complete(books: &Books, people: &People, old: i32, new: i32) -> Result<(), Error> {
    if !books.is_to_replace(old, new).await? {
        return Ok(());
    }
    let shown = books.shown_for(old, new).await?;
    people.renew(old, shown).await.map_err(Error::People)?;
    books.complete_renewal(old, new, shown).await
}
