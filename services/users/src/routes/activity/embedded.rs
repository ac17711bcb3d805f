//! Books inside of answers about activity.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::activity::tag::Tag;
use crate::activity::tastes::{Subject, Taste};
use crate::catalogue::{Book, BooksOfTags, Catalogue, NamedTag, OfTags};
use crate::error::Error;
use crate::routes::view::{as_needed, milliseconds};

/// A book on the older surface: the fields of the library in another order, and times without zero milliseconds.
pub(super) struct OlderBook(Arc<Book>);

/// A book on the later surface, as the library answers it there.
pub(super) struct LaterBook(Arc<Book>);

#[derive(Serialize)]
struct Older<'a> {
    id: i32,
    title: &'a str,
    /// Each tag as its kind and its name.
    tags: Vec<(&'a str, &'a str)>,
    kind: String,
    language: &'a str,
    page: i16,
    #[serde(serialize_with = "as_needed")]
    created_at: OffsetDateTime,
    #[serde(serialize_with = "as_needed")]
    updated_at: OffsetDateTime,
}

#[derive(Serialize)]
struct Later<'a> {
    id: i32,
    title: &'a str,
    kind: &'a str,
    tags: &'a [NamedTag],
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

impl From<Arc<Book>> for OlderBook {
    fn from(book: Arc<Book>) -> Self {
        Self(book)
    }
}

impl From<Arc<Book>> for LaterBook {
    fn from(book: Arc<Book>) -> Self {
        Self(book)
    }
}

impl Serialize for OlderBook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Book { id, title, kind, tags, language, page, created_at, updated_at, .. } = &*self.0;
        let older = Older {
            id: *id,
            title,
            tags: tags.iter().map(|tag| (tag.kind.as_str(), tag.name.as_str())).collect(),
            kind: kind.replace('-', "_"),
            language,
            page: *page,
            created_at: *created_at,
            updated_at: *updated_at,
        };
        older.serialize(serializer)
    }
}

impl Serialize for LaterBook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Book { id, title, kind, tags, legacy, published_at, created_at, updated_at, .. } = &*self.0;
        let later = Later {
            id: *id,
            title,
            kind,
            tags,
            legacy: *legacy,
            published_at: published_at.map(Millis),
            created_at: *created_at,
            updated_at: *updated_at,
        };
        later.serialize(serializer)
    }
}

/// The books of a list of tastes. Keep it until the answer is written: a long list ends with it, and the next one begins.
pub(super) struct Books {
    by_id: HashMap<i32, Arc<Book>>,
    by_tag: OfTags,
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
            None => OfTags::default(),
        };
        Ok(Self { by_id, by_tag })
    }

    /// Returns the book with this id, if the library has it.
    pub(super) fn book<T: From<Arc<Book>>>(&self, id: i32) -> Option<T> {
        self.by_id.get(&id).cloned().map(T::from)
    }

    /// Returns the books with this tag.
    pub(super) fn with<T: From<Arc<Book>>>(&self, tag: &Tag) -> Vec<T> {
        self.by_tag.books.get(tag).into_iter().flatten().cloned().map(T::from).collect()
    }
}
