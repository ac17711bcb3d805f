//! Books as clients read them.

use axum::response::Response;
use http::StatusCode;
use serde::{Serialize, Serializer};
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ArrayItems, Ref, Schema};
use utoipa::openapi::{ObjectBuilder, RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

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

/// A book.
#[derive(Serialize, ToSchema)]
#[schema(as = Book)]
pub(super) struct Later {
    /// The number that the source of the book gave it.
    #[schema(minimum = 1)]
    id: i32,
    #[schema(example = "Sample book 1")]
    title: String,
    /// `doujinshi`, `manga`, `game-cg`, `artist-cg` or `image-set`.
    #[schema(example = "manga")]
    kind: String,
    /// In the order in which they were given.
    tags: Vec<NamedTag>,
    /// Whether another book replaces it.
    legacy: bool,
    /// When it was released; null before that.
    #[schema(value_type = Option<String>, format = DateTime, example = "2022-01-31T17:12:00.000Z")]
    published_at: Option<Millis>,
    /// When it appeared at its source.
    #[schema(value_type = String, format = DateTime, example = "2022-01-31T17:12:00.000Z")]
    created_at: Millis,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime, example = "2022-01-31T17:12:00.000Z")]
    updated_at: Millis,
}

/// A list of books, for the OpenAPI document: books, or by tags pairs of a tag, as `[kind, name]`, and its books.
pub(super) struct BookList;

impl PartialSchema for BookList {
    fn schema() -> RefOr<Schema> {
        let books = || ArrayBuilder::new().items(Ref::from_schema_name("Book"));
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let tag = ArrayBuilder::new().items(text()).min_items(Some(2)).max_items(Some(2));
        let by_tag = ArrayBuilder::new()
            .items(ArrayItems::False)
            .prefix_items([Schema::from(tag.build()), Schema::from(books().build())]);
        let lists = ArrayBuilder::new().items(by_tag);
        AnyOfBuilder::new()
            .item(books())
            .item(lists)
            .description(Some("Books; or, for `tags[]`, pairs of a tag, as `[kind, name]`, and its books."))
            .into()
    }
}

impl ToSchema for BookList {}

/// A tag as `[kind, name]`.
#[derive(Serialize)]
pub(super) struct Pair(String, String);

/// A tag.
#[derive(Serialize, ToSchema)]
#[schema(as = Tag)]
pub(super) struct NamedTag {
    #[schema(example = "misc")]
    kind: String,
    #[schema(example = "full color")]
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
            tags: tags.into_iter().map(NamedTag::from).collect(),
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

impl From<Tag> for NamedTag {
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
