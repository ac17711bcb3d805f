//! The legacy backend's Redis: a signing key under the id of each session, deleted when the session ends.
//!
//! An exchange *takes* a key: one script deletes it and puts a copy aside under another name. Only one of any
//! number of requests finds the key there. When the new session cannot be stored, the key is *given back*.
//! When this service dies in between, the copy is still there, and the same pair can be exchanged again. After
//! the new session is stored, the copy is deleted.

use std::fmt;
use std::io;
use std::time::Duration;

use kit::SessionId;
use redis::{AsyncCommands as _, RedisResult, Script};
use redis_connection::{Address, Bounds, Connection};
use tokio::time::timeout;

use crate::token::{LEEWAY, REFRESH_LIFETIME};

/// Part of the name under which the copy of a taken key is kept. The legacy backend looks no session up there:
/// it is not part of a session's id.
const ASIDE: &str = "exchanged:";

/// The copy is kept until the refresh token has expired: no pair of that session is valid afterwards.
const ASIDE_SECONDS: u64 = REFRESH_LIFETIME.as_secs();

/// Takes the key, or reports that an earlier request took it: 1, 2, or 0 for neither.
const TAKE: &str = "
local key = redis.call('GET', KEYS[1])
if key then
  redis.call('SET', KEYS[2], key, 'EX', ARGV[1])
  return redis.call('DEL', KEYS[1])
end
if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
return 0";

/// Undoes [`TAKE`].
const GIVE_BACK: &str = "
local key = redis.call('GET', KEYS[2])
if key and redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SET', KEYS[1], key) end
return redis.call('DEL', KEYS[2])";

/// The keys of the legacy backend's sessions.
#[derive(Clone)]
pub struct Store {
    redis: Connection,
    prefix: String,
    patience: Duration,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// What an attempt to take a key found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The session was alive. It has ended, and this request ended it.
    Alive,
    /// An earlier request took the key, and did not delete its copy.
    Before,
    /// The session is not alive.
    Gone,
}

impl Store {
    /// Uses the Redis at `url`, where the key of a session has the name `prefix` + id. Connects with the first
    /// request. No answer may take longer than `patience`.
    ///
    /// # Errors
    /// An error message when `url` is not valid. It does not repeat it, because it can contain a password.
    pub fn new(url: &str, prefix: &str, patience: Duration) -> Result<Self, String> {
        let address = Address::parse(url).map_err(|unusable| format!("LEGACY_SESSIONS_REDIS {unusable}"))?;
        // A retry could take a key twice, and the next request tries again anyway.
        let redis = Connection::new(&address, Bounds::answer(patience));
        Ok(Self { redis, prefix: prefix.to_owned(), patience })
    }

    /// The names of a session's key and of its copy. A script needs both, so in a cluster they are in one slot: it is that of the
    /// text in braces, or of the whole name without braces.
    fn names(&self, session: SessionId) -> [String; 2] {
        let prefix = &self.prefix;
        let key = format!("{prefix}{session}");
        let has_tag =
            prefix.split_once('{').is_some_and(|(_, rest)| rest.find('}').is_some_and(|end| end > 0));
        let aside = if self.redis.is_cluster() && !has_tag {
            format!("{{{key}}}{ASIDE}")
        } else {
            format!("{prefix}{ASIDE}{session}")
        };
        [key, aside]
    }

    /// Returns the key of a session, also one that was taken and not forgotten.
    ///
    /// # Errors
    /// The error of Redis.
    pub async fn key(&self, session: SessionId) -> io::Result<Option<Vec<u8>>> {
        let names = self.names(session);
        let mut redis = self.redis.clone();
        let [key, aside]: [Option<Vec<u8>>; 2] = self.patient(redis.mget(&names)).await?;
        Ok(key.or(aside))
    }

    /// Returns the key of a living session.
    ///
    /// # Errors
    /// The error of Redis.
    pub async fn living_key(&self, session: SessionId) -> io::Result<Option<Vec<u8>>> {
        let [name, _] = self.names(session);
        self.patient(self.redis.clone().get(name)).await
    }

    /// Ends the session in the legacy backend, in a way that [`Store::give_back`] undoes.
    ///
    /// # Errors
    /// The error of Redis. The session may have ended.
    pub async fn take(&self, session: SessionId) -> io::Result<Taken> {
        let (mut redis, [key, aside]) = (self.redis.clone(), self.names(session));
        let (script, mut call) = (Script::new(TAKE), None);
        let call = call.insert(script.prepare_invoke());
        call.key(key).key(aside).arg(ASIDE_SECONDS);
        let taken: u8 = self.patient(call.invoke_async(&mut redis)).await?;
        Ok(match taken {
            1 => Taken::Alive,
            2 => Taken::Before,
            _ => Taken::Gone,
        })
    }

    /// Revives a session that was taken.
    ///
    /// # Errors
    /// The error of Redis. The same pair can still be exchanged.
    pub async fn give_back(&self, session: SessionId) -> io::Result<()> {
        let (mut redis, [key, aside]) = (self.redis.clone(), self.names(session));
        let script = Script::new(GIVE_BACK);
        let mut call = script.prepare_invoke();
        call.key(key).key(aside);
        self.patient(call.invoke_async::<()>(&mut redis)).await
    }

    /// Deletes the copy of a taken key.
    ///
    /// # Errors
    /// The error of Redis.
    pub async fn forget(&self, session: SessionId) -> io::Result<()> {
        let [_, aside] = self.names(session);
        self.patient(self.redis.clone().del(aside)).await
    }

    /// Begins a session in the legacy backend: its tokens are signed with `key`. The name expires with the refresh token; the
    /// legacy backend's own never do.
    ///
    /// # Errors
    /// The error of Redis. The session may have begun.
    pub async fn begin(&self, session: SessionId, key: &str) -> io::Result<()> {
        let [name, _] = self.names(session);
        let life = REFRESH_LIFETIME + LEEWAY;
        self.patient(self.redis.clone().set_ex(name, key, life.as_secs())).await
    }

    /// Ends sessions in the legacy backend for good. The copies of their keys go, too, so that no exchange that fails gives one
    /// back.
    ///
    /// # Errors
    /// The error of Redis. The sessions may be alive.
    pub async fn end(&self, sessions: &[SessionId]) -> io::Result<()> {
        if sessions.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = sessions.iter().flat_map(|session| self.names(*session)).collect();
        self.patient(self.redis.clone().del(names)).await
    }

    async fn patient<T>(&self, asking: impl Future<Output = RedisResult<T>>) -> io::Result<T> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the legacy backend's Redis does not answer");
        timeout(self.patience, asking).await.map_err(|_| late())?.map_err(io::Error::other)
    }
}
