//! Ceremonies in Redis, which all replicas share.

use std::fmt;
use std::io;

use redis::{AsyncCommands as _, RedisResult};
use redis_connection::Connection;
use tokio::time::timeout;
use uuid::Uuid;

use super::{LIFETIME, MAX_ALIVE};

/// The ceremonies in Redis. Beside each is a list of the owner's ids, oldest first.
#[derive(Clone)]
pub(super) struct Shared(Connection);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.0).finish()
    }
}

impl Shared {
    /// Uses the Redis at `url`, and connects with the first ceremony.
    ///
    /// # Errors
    /// When `url` is not valid. The message does not repeat it.
    pub(super) fn new(url: &str) -> io::Result<Self> {
        validity::connect(url).map(Self).map_err(io::Error::other)
    }

    /// Stores a ceremony of `owner`, and removes the oldest beyond [`MAX_ALIVE`].
    ///
    /// # Errors
    /// The error of Redis. An incomplete ceremony expires like any other.
    pub(super) async fn put(&self, owner: &str, id: Uuid, state: &str) -> io::Result<()> {
        let lifetime = LIFETIME.as_secs();
        let seconds = i64::try_from(lifetime).unwrap_or(i64::MAX);
        let list = list(owner);
        patient(async {
            let mut redis = self.0.clone();
            let () = redis.set_ex(name(owner, id), state, lifetime).await?;
            let length: usize = redis.rpush(&list, id.to_string()).await?;
            let () = redis.expire(&list, seconds).await?;
            let Some(replaced) = length.checked_sub(MAX_ALIVE).and_then(std::num::NonZeroUsize::new) else {
                return Ok(());
            };
            let replaced: Vec<String> = redis.lpop(&list, Some(replaced)).await?;
            for id in replaced {
                // One by one: in a cluster the keys are on different servers.
                let () = redis.del(format!("{owner}:{id}")).await?;
            }
            Ok(())
        })
        .await
    }

    /// Removes a ceremony and returns its state.
    ///
    /// # Errors
    /// The error of Redis. The ceremony may be used up.
    pub(super) async fn take(&self, owner: &str, id: Uuid) -> io::Result<Option<String>> {
        patient(self.0.clone().get_del(name(owner, id))).await
    }
}

fn name(owner: &str, id: Uuid) -> String {
    format!("{owner}:{id}")
}

/// The name of the owner's list: no ceremony has it, because an id is no `ids`.
fn list(owner: &str) -> String {
    format!("{owner}:ids")
}

/// Waits for Redis, but only for a limited time, and not through several reconnections.
async fn patient<T>(asking: impl Future<Output = RedisResult<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "Redis does not answer");
    timeout(validity::PATIENCE * 2, asking).await.map_err(|_| late())?.map_err(io::Error::other)
}
