//! The request bodies, with refusals worded as by the legacy backend.

use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::activity::devices::MAX_TOKEN_BYTES;
use crate::activity::tag::Tag;
use crate::activity::tastes::Subject;
use crate::error::Error;

/// What a like or a taste is about.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = TasteSubject)]
pub(super) enum SubjectBody {
    /// A book.
    Book {
        /// The book's id.
        #[schema(minimum = 1)]
        book_id: i64,
    },
    /// A tag.
    BookTag {
        /// The tag's kind.
        #[schema(example = "misc")]
        tag_kind: String,
        /// The tag's name.
        #[schema(example = "full color")]
        tag_name: String,
    },
}

/// A taste to express.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = NewTaste)]
pub(super) enum TasteBody {
    /// About a book.
    Book {
        /// The book's id.
        #[schema(minimum = 1)]
        book_id: i64,
        /// Whether it is a dislike.
        is_dislike: bool,
    },
    /// About a tag.
    BookTag {
        /// The tag's kind.
        #[schema(example = "misc")]
        tag_kind: String,
        /// The tag's name.
        #[schema(example = "full color")]
        tag_name: String,
        /// Whether it is a dislike.
        is_dislike: bool,
    },
}

/// How far a person has read.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = NewHistory)]
pub(super) enum ReadBody {
    /// A book.
    Book {
        /// The book's id.
        #[schema(minimum = 1)]
        book_id: i64,
        /// The page, from 1.
        #[schema(minimum = 1)]
        page: i64,
    },
}

/// What a person no longer wants to have read.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = HistorySubject)]
pub(super) enum ForgetBody {
    /// A book.
    Book {
        /// The book's id.
        #[schema(minimum = 1)]
        book_id: i64,
    },
}

/// The push token of a device, on the older surface.
#[derive(Deserialize)]
pub(super) struct OlderTokenBody {
    udid: Uuid,
    fcm_token: String,
}

/// The push token of a device, under either name. Where a body has both, `token` counts.
#[derive(Deserialize, ToSchema)]
#[schema(as = DeviceToken)]
pub(super) struct TokenBody {
    /// The device; by default the token itself names it.
    #[schema(value_type = Option<String>, format = "uuid")]
    udid: Option<Uuid>,
    /// The token.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 4096, example = "sample")]
    token: Option<String>,
    // The older name, which new clients need not know.
    #[schema(ignore)]
    fcm_token: Option<String>,
}

impl SubjectBody {
    /// Returns the subject. An id that does not fit is that of no book.
    pub(super) fn subject(self) -> Option<Subject> {
        match self {
            Self::Book { book_id } => i32::try_from(book_id).ok().map(Subject::Book),
            Self::BookTag { tag_kind: kind, tag_name: name } => Some(Subject::Tag(Tag { kind, name })),
        }
    }

    /// Returns the refusal of a subject that the library does not have.
    pub(super) fn missing(&self) -> Error {
        Error::Missing(match self {
            Self::Book { .. } => "Not found book in library",
            Self::BookTag { .. } => "Not found book tag in library",
        })
    }
}

impl TasteBody {
    /// Returns the subject, and whether it is disliked.
    pub(super) fn split(self) -> (SubjectBody, bool) {
        match self {
            Self::Book { book_id, is_dislike } => (SubjectBody::Book { book_id }, is_dislike),
            Self::BookTag { tag_kind, tag_name, is_dislike } => {
                (SubjectBody::BookTag { tag_kind, tag_name }, is_dislike)
            }
        }
    }
}

impl ReadBody {
    /// Returns the book and the page. An id that does not fit is that of no book, and a page that does not fit is the
    /// last one.
    pub(super) fn check(self) -> Result<(Option<i32>, i32), Error> {
        let Self::Book { book_id, page } = self;
        for (name, value) in [("book-id", book_id), ("page", page)] {
            if value < 1 {
                return Err(Error::Invalid(format!("{name}: {value} less than 1")));
            }
        }
        Ok((i32::try_from(book_id).ok(), i32::try_from(page).unwrap_or(i32::MAX)))
    }
}

impl OlderTokenBody {
    pub(super) fn check(self) -> Result<(Option<Uuid>, String), Error> {
        Ok((Some(self.udid), token("fcm_token", self.fcm_token)?))
    }
}

impl TokenBody {
    pub(super) fn check(self) -> Result<(Option<Uuid>, String), Error> {
        let Self { udid, token: named, fcm_token: older } = self;
        let (name, text) = match (named, older) {
            (Some(text), _) => ("token", text),
            (None, Some(text)) => ("fcm_token", text),
            (None, None) => return Err(Error::Invalid("Json deserialize: missing field `token`".to_owned())),
        };
        Ok((udid, token(name, text)?))
    }
}

/// Checks a token. It is a secret, so a refusal does not repeat it.
fn token(name: &str, token: String) -> Result<String, Error> {
    if token.is_empty() {
        return Err(Error::Invalid(format!("{name}: length of 0 less than 1")));
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Error::Invalid(format!("{name}: length of {} more than {MAX_TOKEN_BYTES}", token.len())));
    }
    if token.chars().any(char::is_control) {
        return Err(Error::Invalid(format!("{name}: contains a control character")));
    }
    Ok(token)
}
