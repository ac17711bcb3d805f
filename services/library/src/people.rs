//! People, at the users service, which is called through the edge's listener for services.

use std::sync::Arc;
use std::time::Duration;

use cache::{Bounds, Cache, InvalidKey, Key, Kind, LoadError, Metrics, Scope};
use identity::TenantId;
use kit::peer::{CallFailed, Channel, Peer, answered};
use kit::{SubjectId, VerifiedTenant};
use proto::users::v1::activity_client::ActivityClient;
use proto::users::v1::{AnnounceBookRequest, ListDislikesRequest, RenewBookRequest, Tag as TagMessage};
use redis_connection::Address;
use serde::{Deserialize, Serialize};

use crate::book::Tag;

/// How long dislikes are kept in memory, and as long again in Redis. A person who turns the pages of a list has them read once.
/// A new dislike is seen at once when the users service announces it ([`crate::tastes`]), and otherwise after ten
/// seconds at most.
pub const DISLIKES_LIVE: Duration = Duration::from_secs(5);

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
    activity: ActivityClient<Channel>,
    dislikes: Cache<Dislikes>,
    kind: Arc<Kind>,
}

impl People {
    /// Calls the users service as `peer`. With `redis`, replicas share what people dislike; it is kept for `live` in each place.
    /// It needs a tokio runtime.
    #[must_use]
    pub fn new(peer: &Peer, redis: Option<&Address>, live: Duration, metrics: Metrics) -> Self {
        let bounds = Bounds { values: MAX_PEOPLE, ..Bounds::default() };
        Self {
            activity: ActivityClient::new(peer.channel()),
            dislikes: Cache::new("dislikes", bounds, redis, metrics),
            kind: Arc::new(Kind { name: "dislikes", memory: live, shared: live, missing: live }),
        }
    }

    /// Returns the name of a person's dislikes in the cache. A person of another tenant has another one.
    fn key(&self, tenant: &TenantId, person: SubjectId) -> Result<Key, InvalidKey> {
        Key::new(tenant, &self.kind, &person.to_string())
    }

    /// Drops what is cached of a person's dislikes, here and in every replica that shares Redis.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub async fn forget_dislikes(&self, tenant: &TenantId, person: SubjectId) -> Result<(), InvalidKey> {
        let key = self.key(tenant, person)?;
        self.dislikes.invalidate(Scope::One(&key)).await
    }

    /// Returns what `person` dislikes, at most the newest thousand books and tags, as it was at most ten seconds ago
    /// (or after the last change that the users service announced). A person whom the users service does not have
    /// dislikes nothing.
    ///
    /// # Errors
    /// [`Unknown`]. It is not kept: the next request calls again.
    pub async fn dislikes(&self, tenant: VerifiedTenant, person: SubjectId) -> Result<Dislikes, Unknown> {
        let key = self.key(&tenant.id().into(), person)?;
        let read = async {
            let request = ListDislikesRequest { person_id: person.to_string() };
            match answered(self.activity.clone().list_dislikes(request)).await {
                Ok(found) => {
                    let tags = found.tags.into_iter().map(|tag| (tag.kind, tag.name)).collect();
                    Ok(Some(Dislikes { books: found.book_ids, tags }))
                }
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            }
        };
        Ok(self.dislikes.get(&key, read).await?.unwrap_or_default())
    }

    /// Announces a book to the people who like one of its tags. A repetition tells each person once.
    ///
    /// # Errors
    /// [`CallFailed`]. Some people may have been told then.
    pub async fn announce(&self, book: i32, tags: &[Tag]) -> Result<(), CallFailed> {
        let message = |tag: &Tag| TagMessage { kind: tag.kind.clone(), name: tag.name.clone() };
        let request = AnnounceBookRequest { book_id: book, tags: tags.iter().map(message).collect() };
        answered(self.activity.clone().announce_book(request)).await.map(drop)
    }

    /// Moves what people expressed about the book `old` to the book `new`.
    ///
    /// # Errors
    /// [`CallFailed`]. Some of it may have been moved then; a repetition moves the rest.
    pub async fn renew(&self, old: i32, new: i32) -> Result<(), CallFailed> {
        let request = RenewBookRequest { old_id: old, new_id: new };
        answered(self.activity.clone().renew_book(request)).await.map(drop)
    }
}
