//! The books, at the library: asked through the edge's listener for services, once for a whole list.

use std::collections::HashMap;

use kit::peer::{CallFailed, Peer};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::activity::tag::{Pair, Tag};
use crate::error::Error;

/// The most tags in one question. Names of tags have up to 200 characters, and a body at most 64 KiB.
const TAGS_AT_ONCE: usize = 50;

/// A book with the fields of both surfaces.
#[derive(Clone, Debug, Deserialize)]
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
    #[serde(with = "time::serde::rfc3339::option")]
    pub published_at: Option<OffsetDateTime>,
    /// When it appeared at its source.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A tag as an object.
#[derive(Clone, Debug, Deserialize, Serialize)]
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
    /// The order, as the library writes it.
    pub sort_by: &'static str,
}

/// The library, with the questions of this service.
#[derive(Clone, Debug)]
pub struct Catalogue(Peer);

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Command<'a> {
    HasBook { book_id: i32 },
    HasBookTag { book_tag: (&'a str, &'a str) },
}

#[derive(Deserialize)]
struct Has {
    has: bool,
}

#[derive(Serialize)]
struct ByTags<'a> {
    tags: Vec<(&'a str, &'a str)>,
    per_page: u64,
    page: u64,
    sort_by: &'static str,
}

impl Catalogue {
    /// Asks the library as `peer`.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        Self(peer)
    }

    /// Returns whether there is such a book.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub async fn has_book(&self, id: i32) -> Result<bool, Error> {
        self.has(&Command::HasBook { book_id: id }).await
    }

    /// Returns whether there is such a tag.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub async fn has_tag(&self, tag: &Tag) -> Result<bool, Error> {
        self.has(&Command::HasBookTag { book_tag: (&tag.kind, &tag.name) }).await
    }

    async fn has(&self, command: &Command<'_>) -> Result<bool, Error> {
        let reply = self.0.call(http::Method::POST, "/_/command", Some(command)).await;
        let has: Result<Has, CallFailed> = reply.and_then(|reply| reply.json());
        has.map(|answer| answer.has).map_err(Error::Library)
    }

    /// Returns the existing ones of `ids`, of which there are at most 100.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub async fn by_ids(&self, mut ids: Vec<i32>) -> Result<HashMap<i32, Book>, Error> {
        // The library refuses an id that is there twice, and ids below 1 are those of no book.
        ids.retain(|id| *id > 0);
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let query: Vec<String> = ids.iter().map(|id| format!("ids[]={id}")).collect();
        let reply = self.0.get(&format!("/_/books?{}", query.join("&"))).await;
        let books: Result<Vec<Book>, CallFailed> = reply.and_then(|reply| reply.json());
        Ok(books.map_err(Error::Library)?.into_iter().map(|book| (book.id, book)).collect())
    }

    /// Returns books of each of `tags`. Tags without books are left out.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub async fn by_tags(
        &self,
        tags: &[&Tag],
        wanted: BooksOfTags,
    ) -> Result<HashMap<Tag, Vec<Book>>, Error> {
        let mut all = HashMap::new();
        for some in tags.chunks(TAGS_AT_ONCE) {
            let BooksOfTags { per_page, page, sort_by } = wanted;
            let tags = some.iter().map(|tag| (tag.kind.as_str(), tag.name.as_str())).collect();
            let question = ByTags { tags, per_page, page, sort_by };
            let reply = self.0.call(http::Method::POST, "/_/books/by-tags", Some(&question)).await;
            let found: Result<Vec<(Pair, Vec<Book>)>, CallFailed> = reply.and_then(|reply| reply.json());
            all.extend(found.map_err(Error::Library)?.into_iter().map(|(tag, books)| (tag.into(), books)));
        }
        Ok(all)
    }
}
