//! Books inside of answers about activity.

use std::collections::HashMap;

use serde::Serialize;
use time::OffsetDateTime;

use crate::activity::tag::{Pair, Tag};
use crate::activity::tastes::{Subject, Taste};
use crate::catalogue::{Book, BooksOfTags, Catalogue, NamedTag};
use crate::error::Error;
use crate::routes::view::{as_needed, milliseconds};

/// A book on the older surface: the fields of the library in another order, and times without zero milliseconds.
#[derive(Clone, Serialize)]
pub(super) struct OlderBook {
    id: i32,
    title: String,
    tags: Vec<Pair>,
    kind: String,
    language: String,
    page: i16,
    #[serde(serialize_with = "as_needed")]
    created_at: OffsetDateTime,
    #[serde(serialize_with = "as_needed")]
    updated_at: OffsetDateTime,
}

/// A book on the later surface, as the library answers it there.
#[derive(Clone, Serialize)]
pub(super) struct LaterBook {
    id: i32,
    title: String,
    kind: String,
    tags: Vec<NamedTag>,
    legacy: bool,
    published_at: Option<Millis>,
    #[serde(serialize_with = "milliseconds")]
    created_at: OffsetDateTime,
    #[serde(serialize_with = "milliseconds")]
    updated_at: OffsetDateTime,
}

#[derive(Clone, Copy, Serialize)]
#[serde(transparent)]
struct Millis(#[serde(serialize_with = "milliseconds")] OffsetDateTime);

impl From<Book> for OlderBook {
    fn from(book: Book) -> Self {
        let Book { id, title, kind, tags, language, page, created_at, updated_at, .. } = book;
        let tags = tags.into_iter().map(|NamedTag { kind, name }| Pair(kind, name)).collect();
        Self { id, title, tags, kind: kind.replace('-', "_"), language, page, created_at, updated_at }
    }
}

impl From<Book> for LaterBook {
    fn from(book: Book) -> Self {
        let Book { id, title, kind, tags, legacy, published_at, created_at, updated_at, .. } = book;
        let published_at = published_at.map(Millis);
        Self { id, title, kind, tags, legacy, published_at, created_at, updated_at }
    }
}

/// The books of a list of tastes.
pub(super) struct Books {
    by_id: HashMap<i32, Book>,
    by_tag: HashMap<Tag, Vec<Book>>,
}

impl Books {
    /// Asks the library for the books of `tastes`: once for the books, and for the tags in groups. Which books of a tag are
    /// `wanted` is read only if there is a tag.
    pub(super) async fn of(
        catalogue: &Catalogue,
        tastes: &[Taste],
        wanted: impl FnOnce() -> Result<BooksOfTags, Error>,
    ) -> Result<Self, Error> {
        let (mut ids, mut tags) = (Vec::new(), Vec::new());
        for taste in tastes {
            match &taste.subject {
                Subject::Book(id) => ids.push(*id),
                Subject::Tag(tag) => tags.push(tag),
            }
        }
        let wanted = if tags.is_empty() { None } else { Some(wanted()?) };
        let by_id = catalogue.by_ids(ids).await?;
        let by_tag = match wanted {
            Some(wanted) => catalogue.by_tags(&tags, wanted).await?,
            None => HashMap::new(),
        };
        Ok(Self { by_id, by_tag })
    }

    /// Returns the book with this id, if the library has it.
    pub(super) fn book<T: From<Book>>(&self, id: i32) -> Option<T> {
        self.by_id.get(&id).cloned().map(T::from)
    }

    /// Returns the books with this tag.
    pub(super) fn with<T: From<Book>>(&self, tag: &Tag) -> Vec<T> {
        self.by_tag.get(tag).into_iter().flatten().cloned().map(T::from).collect()
    }
}
