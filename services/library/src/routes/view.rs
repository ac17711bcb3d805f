//! Books as clients read them.

use axum::response::Response;
use http::StatusCode;
use serde::{Serialize, Serializer};
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::book::{Book, Tag};
use crate::error::json;

/// A book on the older surface.
#[derive(Serialize)]
pub(super) struct Older {
    id: i32,
    title: String,
    kind: String,
    language: String,
    page: i16,
    tags: Vec<Pair>,
    created_at: Millis,
    updated_at: Millis,
}

/// A book on the later surface.
#[derive(Serialize)]
pub(super) struct Later {
    id: i32,
    title: String,
    kind: String,
    tags: Vec<Object>,
    legacy: bool,
    published_at: Option<Millis>,
    created_at: Millis,
    updated_at: Millis,
}

/// A tag as `[kind, name]`.
#[derive(Serialize)]
pub(super) struct Pair(String, String);

/// A tag as `{kind, name}`.
#[derive(Serialize)]
pub(super) struct Object {
    kind: String,
    name: String,
}

/// A time in UTC, always with three digits of a second's fraction.
struct Millis(OffsetDateTime);

impl From<Book> for Older {
    fn from(book: Book) -> Self {
        let Book { id, title, kind, language, page, tags, created_at, updated_at, .. } = book;
        let tags = tags.into_iter().map(Pair::from).collect();
        let (created_at, updated_at) = (Millis(created_at), Millis(updated_at));
        Self { id, title, kind, language, page, tags, created_at, updated_at }
    }
}

impl From<Book> for Later {
    fn from(book: Book) -> Self {
        let Book { id, title, kind, tags, created_at, updated_at, published_at, renewed_as, .. } = book;
        Self {
            id,
            title,
            kind: kind.replace('_', "-"),
            tags: tags.into_iter().map(Object::from).collect(),
            legacy: renewed_as.is_some(),
            published_at: published_at.map(Millis),
            created_at: Millis(created_at),
            updated_at: Millis(updated_at),
        }
    }
}

impl From<Tag> for Pair {
    fn from(tag: Tag) -> Self {
        Self(tag.kind, tag.name)
    }
}

impl From<Tag> for Object {
    fn from(tag: Tag) -> Self {
        Self { kind: tag.kind, name: tag.name }
    }
}

/// Converts all books of an answer.
pub(super) fn all<T: From<Book>>(books: Vec<Book>) -> Vec<T> {
    books.into_iter().map(T::from).collect()
}

/// Answers 200 with `books`.
pub(super) fn listed<T: From<Book> + Serialize>(books: Vec<Book>) -> Response {
    json(StatusCode::OK, &all::<T>(books))
}

/// Converts an answer by tags: `[[kind, name], [book…]]` for each tag.
pub(super) fn by_tag<T: From<Book>>(found: Vec<(Tag, Vec<Book>)>) -> Vec<(Pair, Vec<T>)> {
    found.into_iter().map(|(tag, books)| (tag.into(), all(books))).collect()
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let format =
            format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        let utc = self.0.checked_to_offset(UtcOffset::UTC).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let text = utc.format(&format).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}
