//! People, at the users service, which is called through the edge's listener for services.

use http::{Method, StatusCode};
use kit::SubjectId;
use kit::peer::{CallFailed, Peer};
use serde::{Deserialize, Serialize};

use crate::book::Tag;

/// The most bytes of the tags in one call. The users service reads 64 KiB of a body; two hundred of the longest tags take
/// 160 KiB, and the tags of real books a few.
const MAX_TAG_BYTES: usize = 48 * 1024;

/// What a person dislikes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Dislikes {
    /// Ids of books.
    pub books: Vec<i32>,
    /// Tags, each as kind and name.
    pub tags: Vec<(String, String)>,
}

/// The users service.
#[derive(Clone, Debug)]
pub struct People(Peer);

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Announcement<'a> {
    Book { book_id: i32, book_tags: &'a [(&'a str, &'a str)] },
}

impl People {
    /// Calls the users service as `peer`.
    #[must_use]
    pub const fn new(peer: Peer) -> Self {
        Self(peer)
    }

    /// Returns what `person` dislikes, at most the newest thousand books and tags. A person whom the users service does not
    /// have dislikes nothing.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn dislikes(&self, person: SubjectId) -> Result<Dislikes, CallFailed> {
        let reply = self.0.get(&format!("/_/users/{person}/dislikes")).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(Dislikes::default());
        }
        reply.json()
    }

    /// Announces a book to the people who like one of its tags. A repetition tells each person once.
    ///
    /// # Errors
    /// [`CallFailed`]. Some people may have been told then.
    pub async fn announce(&self, book: i32, tags: &[Tag]) -> Result<(), CallFailed> {
        let mut rest: Vec<(&str, &str)> =
            tags.iter().map(|tag| (tag.kind.as_str(), tag.name.as_str())).collect();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fitting = rest.iter().take_while(|(kind, name)| {
                bytes += kind.len() + name.len();
                bytes <= MAX_TAG_BYTES
            });
            let later = rest.split_off(fitting.count().max(1));
            let body = Announcement::Book { book_id: book, book_tags: &rest };
            self.send(Method::POST, "/_/users/notifications", Some(&body), StatusCode::CREATED).await?;
            rest = later;
        }
        Ok(())
    }

    /// Moves what people expressed about the book `old` to the book `new`.
    ///
    /// # Errors
    /// [`CallFailed`]. Some of it may have been moved then; a repetition moves the rest.
    pub async fn renew(&self, old: i32, new: i32) -> Result<(), CallFailed> {
        let target = format!("/_/users/books/{old}/{new}");
        self.send(Method::PATCH, &target, None::<&()>, StatusCode::NO_CONTENT).await
    }

    async fn send(
        &self,
        method: Method,
        target: &str,
        body: Option<&impl Serialize>,
        expected: StatusCode,
    ) -> Result<(), CallFailed> {
        let reply = self.0.call(method, target, body).await?;
        if reply.status == expected { Ok(()) } else { Err(CallFailed::Status(reply.status)) }
    }
}
