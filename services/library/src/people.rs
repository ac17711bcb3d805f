//! People, at the users service, which is called through the edge's listener for services.

use std::sync::Arc;
use std::time::Duration;

use cache::{Bounds, Cache, InvalidKey, Key, Kind, LoadError, Metrics};
use http::{Method, StatusCode};
use kit::peer::{CallFailed, Peer};
use kit::{SubjectId, VerifiedTenant};
use redis_connection::Address;
use serde::{Deserialize, Serialize};

use crate::book::Tag;

/// The most bytes of the tags in one call. The users service reads 64 KiB of a body; two hundred of the longest tags take
/// 160 KiB, and the tags of real books a few.
const MAX_TAG_BYTES: usize = 48 * 1024;

/// What people dislike. A person who turns the pages of a list has them read once; a new dislike is seen after ten seconds at
/// most, five in Redis and five in memory. The users service does not announce changes of dislikes.
static DISLIKES: Kind = Kind {
    name: "dislikes",
    memory: Duration::from_secs(5),
    shared: Duration::from_secs(5),
    missing: Duration::from_secs(5),
};

/// The most people whose dislikes are in memory: a thousand of the longest tags take 200 KB, so 20 MB of the 64 MiB that the
/// service may have.
const MAX_PEOPLE: u64 = 100;

/// What a person dislikes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dislikes {
    /// Ids of books.
    pub books: Vec<i32>,
    /// Tags, each as kind and name.
    pub tags: Vec<(String, String)>,
}

/// What a person dislikes is not known.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// The cache has no key for the person.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// The users service could not be called. The error is shared by the requests that waited for the same call.
    #[error(transparent)]
    Call(#[from] Arc<LoadError<CallFailed>>),
}

/// The users service.
#[derive(Clone, Debug)]
pub struct People {
    peer: Peer,
    dislikes: Cache<Dislikes>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Announcement<'a> {
    Book { book_id: i32, book_tags: &'a [(&'a str, &'a str)] },
}

impl People {
    /// Calls the users service as `peer`. With `redis`, replicas share what people dislike. It needs a tokio runtime.
    #[must_use]
    pub fn new(peer: Peer, redis: Option<&Address>, metrics: Metrics) -> Self {
        let bounds = Bounds { values: MAX_PEOPLE, ..Bounds::default() };
        Self { peer, dislikes: Cache::new("dislikes", bounds, redis, metrics) }
    }

    /// Returns what `person` dislikes, at most the newest thousand books and tags, as it was at most ten seconds ago. A person
    /// whom the users service does not have dislikes nothing.
    ///
    /// # Errors
    /// [`Unknown`]. It is not kept: the next request calls again.
    pub async fn dislikes(&self, tenant: VerifiedTenant, person: SubjectId) -> Result<Dislikes, Unknown> {
        let key = Key::new(&tenant.id().into(), &DISLIKES, &person.to_string())?;
        let read = async {
            let reply = self.peer.get(&format!("/_/users/{person}/dislikes")).await?;
            if reply.status == StatusCode::NOT_FOUND { Ok(None) } else { reply.json().map(Some) }
        };
        Ok(self.dislikes.get(&key, read).await?.unwrap_or_default())
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
        let reply = self.peer.call(method, target, body).await?;
        if reply.status == expected { Ok(()) } else { Err(CallFailed::Status(reply.status)) }
    }
}
