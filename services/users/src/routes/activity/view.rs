//! The bodies of answers. The order of the fields is part of the contract.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::embedded::{LaterBook, OlderBook};
use crate::activity::histories::History;
use crate::activity::notifications::Notification;
use crate::activity::tag::Pair;
use crate::activity::tastes::{Subject, Taste};
use crate::routes::view::{as_needed, milliseconds};

/// A like on the older surface.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum OlderLike {
    /// Of a book.
    Book {
        book_id: i32,
        #[serde(serialize_with = "as_needed")]
        created_at: OffsetDateTime,
        book: OlderBook,
    },
    /// Of a tag.
    BookTag {
        tag_kind: String,
        tag_name: String,
        #[serde(serialize_with = "as_needed")]
        created_at: OffsetDateTime,
        books: Vec<OlderBook>,
    },
}

/// A like or a dislike.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = Taste)]
pub(super) enum LaterTaste {
    /// Of a book.
    Book {
        /// The book's id.
        book_id: i32,
        /// Whether it is a dislike.
        is_dislike: bool,
        /// When it was first expressed.
        #[serde(serialize_with = "milliseconds")]
        #[schema(value_type = String, format = DateTime, example = "2026-11-20T18:18:24.962Z")]
        created_at: OffsetDateTime,
        /// The book, in lists, unless the library has it no longer.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>)]
        book: Option<LaterBook>,
    },
    /// Of a tag.
    BookTag {
        /// The tag's kind.
        tag_kind: String,
        /// The tag's name.
        tag_name: String,
        /// Whether it is a dislike.
        is_dislike: bool,
        /// When it was first expressed.
        #[serde(serialize_with = "milliseconds")]
        #[schema(value_type = String, format = DateTime, example = "2026-11-20T18:18:24.962Z")]
        created_at: OffsetDateTime,
        /// Some books with the tag, in lists.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Vec<Object>>)]
        books: Option<Vec<LaterBook>>,
    },
}

/// A history on the older surface, which has no page.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum OlderHistory {
    /// Of a book.
    Book {
        book_id: i32,
        #[serde(serialize_with = "as_needed")]
        created_at: OffsetDateTime,
        #[serde(serialize_with = "as_needed")]
        updated_at: OffsetDateTime,
        book: OlderBook,
    },
}

/// How far a person has read.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = History)]
pub(super) enum LaterHistory {
    /// A book.
    Book {
        /// The book's id.
        book_id: i32,
        /// The page, from 1.
        page: i32,
        /// When the person first read in it.
        #[serde(serialize_with = "milliseconds")]
        #[schema(value_type = String, format = DateTime, example = "2026-11-20T18:18:24.962Z")]
        created_at: OffsetDateTime,
        /// When the person last read in it.
        #[serde(serialize_with = "milliseconds")]
        #[schema(value_type = String, format = DateTime, example = "2026-11-20T18:18:24.962Z")]
        updated_at: OffsetDateTime,
        /// The book, in lists, unless the library has it no longer.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>)]
        book: Option<LaterBook>,
    },
}

/// A notification on the older surface.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum OlderNotification {
    /// Of a book.
    Book {
        book_id: i32,
        book_tags: Vec<Pair>,
        #[serde(serialize_with = "as_needed")]
        created_at: OffsetDateTime,
    },
}

/// That a book has appeared.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = Notification)]
pub(super) enum LaterNotification {
    /// A book.
    Book {
        /// The book's id.
        book_id: i32,
        /// The book's tags, each as `[kind, name]`.
        #[schema(value_type = Vec<Vec<String>>)]
        book_tags: Vec<Pair>,
        /// When the person was told.
        #[serde(serialize_with = "milliseconds")]
        #[schema(value_type = String, format = DateTime, example = "2026-11-20T18:18:24.962Z")]
        created_at: OffsetDateTime,
    },
}

/// What a person dislikes.
#[derive(Serialize, ToSchema)]
#[schema(as = Dislikes)]
pub(super) struct Dislikes {
    /// The ids of books.
    pub(super) books: Vec<i32>,
    /// Tags, each as `[kind, name]`.
    #[schema(value_type = Vec<Vec<String>>)]
    pub(super) tags: Vec<Pair>,
}

impl From<Taste> for LaterTaste {
    /// Without books.
    fn from(taste: Taste) -> Self {
        let Taste { subject, is_dislike, created_at } = taste;
        match subject {
            Subject::Book(book_id) => Self::Book { book_id, is_dislike, created_at, book: None },
            Subject::Tag(tag) => {
                Self::BookTag { tag_kind: tag.kind, tag_name: tag.name, is_dislike, created_at, books: None }
            }
        }
    }
}

impl LaterHistory {
    pub(super) fn with(history: History, book: Option<LaterBook>) -> Self {
        let History { book: book_id, page, created_at, updated_at } = history;
        Self::Book { book_id, page, created_at, updated_at, book }
    }
}

impl From<Notification> for OlderNotification {
    fn from(Notification { book, tags, created_at }: Notification) -> Self {
        Self::Book { book_id: book, book_tags: tags.into_iter().map(Pair::from).collect(), created_at }
    }
}

impl From<Notification> for LaterNotification {
    fn from(Notification { book, tags, created_at }: Notification) -> Self {
        Self::Book { book_id: book, book_tags: tags.into_iter().map(Pair::from).collect(), created_at }
    }
}
