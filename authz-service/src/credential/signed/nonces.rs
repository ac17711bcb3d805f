//! Remembers used nonces: each counts once for each key, until the window of its signature closes.
//!
//! A memory that began after a signature could have been used cannot vouch for it. So every memory knows when
//! it began, and a signature that could have been used earlier is neither accepted nor refused: the answer is
//! 503 `nonces_unavailable`, and the client can sign again. This covers a restart of the embedded memory, and
//! a Redis that lost its data, alike.
//!
//! | memory | shared by replicas | survives a restart of the authorizer | when it cannot answer |
//! |---|---|---|---|
//! | embedded | no: run one replica | by refusing older signatures, for `skew` | full: 503 for the key that fills it |
//! | Redis | yes | yes | unavailable, slow, or emptied: 503 |
//!
//! Only a valid signature spends a nonce, so only holders of keys fill a memory; in this process each key has
//! a share that the others cannot take.

mod embedded;
mod redis;

use std::time::Duration;

use clock::UnixTime;
use redis_connection::Address;

use self::embedded::Embedded;
use self::redis::Redis;
use crate::failure::Failure;

/// The time in which a signature can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When the signature was made.
    pub created: UnixTime,
    /// The last moment at which it counts, tolerance included.
    pub closes: UnixTime,
    /// The tolerance: the signature is valid from this long before it was made.
    pub skew: Duration,
}

impl Window {
    /// Whether a memory that began at `since` has seen every possible use of the signature.
    fn opens_after(&self, since: UnixTime) -> bool {
        self.created > since.plus(self.skew)
    }
}

/// The outcome of spending a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// The nonce was not used before, and is now.
    Fresh,
    /// The nonce was used before.
    Replayed,
}

/// A memory of nonces.
#[derive(Debug)]
pub enum Nonces {
    /// In this process.
    Embedded(Embedded),
    /// In Redis, for every replica.
    Redis(Box<Redis>),
}

impl Nonces {
    /// A memory within this process that begins at `now`.
    #[must_use]
    pub fn embedded(now: UnixTime) -> Self {
        Self::Embedded(Embedded::new(now))
    }

    /// A memory in the Redis at `address`, for the edge named `edge`.
    #[must_use]
    pub fn redis(address: &Address, edge: &str) -> Self {
        Self::Redis(Box::new(Redis::new(address, edge)))
    }

    /// Records the beginning of a shared memory, and retries until that has worked. The embedded memory needs
    /// no such step.
    pub async fn begin(&self, clock: &dyn clock::Clock) {
        match self {
            Self::Embedded(_) => {}
            Self::Redis(redis) => redis.begin(clock).await,
        }
    }

    /// Spends `nonce` of `key`, one of `keys`, at `now`, which is within `window`.
    ///
    /// # Errors
    /// [`Failure::NoncesUnavailable`] when the memory cannot tell whether the nonce was used before.
    pub async fn spend(
        &self,
        key: &str,
        nonce: &str,
        keys: usize,
        window: Window,
        now: UnixTime,
    ) -> Result<Spent, Failure> {
        match self {
            Self::Embedded(embedded) => embedded.spend(key, nonce, keys, window, now),
            Self::Redis(redis) => redis.spend(key, nonce, window, now).await,
        }
    }

    /// How many nonces this process remembers.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Embedded(embedded) => embedded.len(),
            Self::Redis(_) => 0,
        }
    }

    /// Whether this process remembers no nonce.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
