//! The books, at the library: asked through the edge's listener for services, once for the books of a list, and for those of
//! its tags in groups whose answer has room for them.

use std::collections::HashMap;
use std::sync::Arc;

use kit::grpc;
use kit::peer::{CallFailed, Channel, MAX_ANSWER_BYTES, Peer, answered};
use proto::catalogue::v1::catalogue_client::CatalogueClient;
use proto::catalogue::v1::{
    Book as BookMessage, HasBookRequest, HasTagRequest, ListBooksByTagsRequest, ListBooksRequest, Order,
    Tag as TagMessage,
};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::activity::tag::Tag;
use crate::error::Error;

/// The most tags in one question, as the library answers it.
const TAGS_AT_ONCE: usize = 100;

/// The most books in one answer about tags: each can have 40 KiB then, which is more than one with 200 tags has.
const BOOKS_AT_ONCE: u64 = 200;

/// How many lists with more than one answer about tags are made at the same time. Such a list can have ten thousand books.
const LONG_LISTS: usize = 4;

/// A book with the fields of both surfaces.
#[derive(Debug)]
pub struct Book {
    /// Its id.
    pub id: i32,
    /// Its title.
    pub title: String,
    /// Its kind, with `-`.
    pub kind: String,
    /// Its tags, in their order.
    pub tags: Vec<NamedTag>,
    /// Its language.
    pub language: String,
    /// Its number of pages.
    pub page: i16,
    /// Whether another book replaces it.
    pub legacy: bool,
    /// When it was released.
    pub published_at: Option<OffsetDateTime>,
    /// When it appeared at its source.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

/// A tag as an object.
#[derive(Clone, Debug, Serialize)]
pub struct NamedTag {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// Which books of each tag.
#[derive(Clone, Copy, Debug)]
pub struct BooksOfTags {
    /// The most books of each tag, from 1 to 100.
    pub per_page: u64,
    /// The number of the part, from 1.
    pub page: u64,
    /// The order of the books of each tag.
    pub order: Order,
}

/// The library, with the questions of this service.
#[derive(Clone, Debug)]
pub struct Catalogue {
    client: CatalogueClient<Channel>,
    long_lists: Arc<Semaphore>,
}

/// The books of some tags.
#[derive(Debug, Default)]
pub struct OfTags {
    /// The books of each tag. Those without books are left out, and a book with several of them is there once in memory.
    pub books: HashMap<Tag, Vec<Arc<Book>>>,
    /// The turn of a long list, which the next one gets when this is dropped.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Catalogue {
    /// Asks the library as `peer`.
    #[must_use]
    pub fn new(peer: &Peer) -> Self {
        let client = CatalogueClient::new(peer.channel()).max_decoding_message_size(MAX_ANSWER_BYTES);
        Self { client, long_lists: Arc::new(Semaphore::new(LONG_LISTS)) }
    }

    /// Returns whether there is such a book.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub async fn has_book(&self, id: i32) -> Result<bool, Error> {
        let asked = answered(self.client.clone().has_book(HasBookRequest { book_id: id })).await;
        asked.map(|answer| answer.has).map_err(Error::Library)
    }

    /// Returns whether there is such a tag.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub async fn has_tag(&self, tag: &Tag) -> Result<bool, Error> {
        let asked = answered(self.client.clone().has_tag(HasTagRequest { tag: Some(tag.into()) })).await;
        asked.map(|answer| answer.has).map_err(Error::Library)
    }

    /// Returns the existing ones of `ids`, of which there are at most 100.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub async fn by_ids(&self, mut ids: Vec<i32>) -> Result<HashMap<i32, Arc<Book>>, Error> {
        // The library refuses an id that is there twice, and ids below 1 are those of no book.
        ids.retain(|id| *id > 0);
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let found = answered(self.client.clone().list_books(ListBooksRequest { ids })).await;
        let books = found.and_then(|answer| whole(answer.books)).map_err(Error::Library)?;
        Ok(books.into_iter().map(|book| (book.id, Arc::new(book))).collect())
    }

    /// Returns books of each of `tags`. Of the lists that take more than one question, a few are made at a time: a list waits for
    /// its turn until its request ends.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub async fn by_tags(&self, tags: &[&Tag], wanted: BooksOfTags) -> Result<OfTags, Error> {
        let BooksOfTags { per_page, page, order } = wanted;
        let at_once = usize::try_from(BOOKS_AT_ONCE / per_page.max(1)).unwrap_or(TAGS_AT_ONCE);
        // A part behind the largest number is empty, and so is that one.
        let page = u32::try_from(page).unwrap_or(u32::MAX);
        let per_page = u32::try_from(per_page).unwrap_or(u32::MAX);
        let at_once = at_once.clamp(1, TAGS_AT_ONCE);
        let turn = if tags.len() > at_once {
            // It fails only for a semaphore that was closed, and this one never is.
            Arc::clone(&self.long_lists).acquire_owned().await.ok()
        } else {
            None
        };
        let (mut all, mut known) = (HashMap::new(), HashMap::new());
        for some in tags.chunks(at_once) {
            let tags = some.iter().map(|tag| TagMessage::from(*tag)).collect();
            let question = ListBooksByTagsRequest { tags, per_page, page, order: order.into() };
            let found =
                answered(self.client.clone().list_books_by_tags(question)).await.map_err(Error::Library)?;
            for of_tag in found.tags {
                let TagMessage { kind, name } = of_tag.tag.unwrap_or_default();
                let books = whole(of_tag.books).map_err(Error::Library)?.into_iter();
                let once = |book: Book| Arc::clone(known.entry(book.id).or_insert_with(|| Arc::new(book)));
                all.insert(Tag { kind, name }, books.map(once).collect());
            }
        }
        Ok(OfTags { books: all, _turn: turn })
    }
}

/// Reads books. One with a field that cannot be is a fault of the answer.
fn whole(books: Vec<BookMessage>) -> Result<Vec<Book>, CallFailed> {
    let read = |book: BookMessage| -> Option<Book> {
        let named = |TagMessage { kind, name }| NamedTag { kind, name };
        Some(Book {
            id: book.id,
            title: book.title,
            kind: book.kind,
            tags: book.tags.into_iter().map(named).collect(),
            language: book.language,
            page: i16::try_from(book.pages).ok()?,
            legacy: book.legacy,
            published_at: grpc::time(book.published_at),
            created_at: grpc::time(book.created_at)?,
            updated_at: grpc::time(book.updated_at)?,
        })
    };
    let invalid = |id| CallFailed::Answer(format!("the book {id} has a number or a time that cannot be"));
    books
        .into_iter()
        .map(|book| {
            let id = book.id;
            read(book).ok_or_else(|| invalid(id))
        })
        .collect()
}

impl From<&Tag> for TagMessage {
    fn from(tag: &Tag) -> Self {
        Self { kind: tag.kind.clone(), name: tag.name.clone() }
    }
}
