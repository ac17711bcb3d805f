//! Login codes that the legacy backend and this service share, in the legacy backend's Redis.
//!
//! While sign-in moves, a code can be requested at one backend and used at the other: the edge deals requests by
//! share, and a move of the routes comes between the two. So each backend keeps a code where the other finds it,
//! under the legacy backend's name for it: prefix + address + `:` + code. Redis deletes it when it expires, and
//! one of any number of sign-ins deletes it before.
//!
//! The other codes of the address stay valid after a sign-in until they expire, as at the legacy backend: their
//! names are not known here.

use std::fmt;
use std::io;
use std::time::Duration;

use redis::{AsyncCommands as _, RedisResult};
use redis_connection::{Address, Bounds, Connection};
use tokio::time::timeout;

/// The shared codes.
#[derive(Clone)]
pub struct SharedCodes {
    redis: Connection,
    prefix: String,
    patience: Duration,
}

impl fmt::Debug for SharedCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCodes").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl SharedCodes {
    /// Uses the Redis at `url`. Connects with the first code. No answer may take longer than `patience`.
    ///
    /// # Errors
    /// An error message when `url` is not valid. It does not repeat it, because it can contain a password.
    pub fn new(url: &str, prefix: &str, patience: Duration) -> Result<Self, String> {
        let address = Address::parse(url).map_err(|unusable| format!("LEGACY_SESSIONS_REDIS {unusable}"))?;
        // A retry could use a code twice. The client tries again by itself.
        let redis = Connection::new(&address, Bounds::answer(patience));
        Ok(Self { redis, prefix: prefix.to_owned(), patience })
    }

    fn name(&self, email: &str, code: &str) -> String {
        format!("{}{email}:{code}", self.prefix)
    }

    /// Stores a code for `lifetime`.
    ///
    /// # Errors
    /// The error of Redis.
    pub async fn put(&self, email: &str, code: &str, lifetime: Duration) -> io::Result<()> {
        // Zero seconds would be an error in Redis.
        let seconds = lifetime.as_secs().max(1);
        let name = self.name(email, code);
        self.patient(self.redis.clone().set_ex(name, code, seconds)).await
    }

    /// Deletes a code, and returns whether it was there.
    ///
    /// # Errors
    /// The error of Redis. The code may be used up.
    pub async fn take(&self, email: &str, code: &str) -> io::Result<bool> {
        let name = self.name(email, code);
        let deleted: u64 = self.patient(self.redis.clone().del(name)).await?;
        Ok(deleted > 0)
    }

    async fn patient<T>(&self, asking: impl Future<Output = RedisResult<T>>) -> io::Result<T> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the legacy backend's Redis does not answer");
        timeout(self.patience, asking).await.map_err(|_| late())?.map_err(io::Error::other)
    }
}
