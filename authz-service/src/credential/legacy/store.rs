//! Reads the legacy backend's Redis: a signing key under the id of each session, deleted when the session
//! ends.
//!
//! Each request costs one `GET`, which is never cached: an ended session is refused at once. The wait is
//! bounded in total, connecting included. A connection that has been silent for a second is dropped and a
//! new one opened, so a peer that vanished silently costs a second and not a TCP timeout. While Redis is slow,
//! [`places`](crate::credential::places) decides which requests may query it: made-up tokens leave half of the places to
//! real sessions.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use clock::UnixTime;
use edge_config::edge::LegacyStore as Rules;
use redis::AsyncCommands as _;
use redis_connection::{Address, Connection};

use crate::credential::fault::LegacyFault;
use crate::credential::legacy::answer::SessionCheck;
use crate::credential::legacy::token::Unverified;
use crate::credential::places::{Bounds, Places, fingerprint};
use crate::credential::queried::Found as _;
use crate::failure::Failure;

/// How many queries are in flight at once; more wait within their own timeout. A nearby Redis answers a
/// thousand in a few milliseconds, so only a slow one makes requests wait. The shares are those of the
/// session check.
const BOUNDS: Bounds =
    Bounds { all: 1_024, strangers: 512, of_network: [128, 256, 384], of_person: 128, waiting: 1_024 };

/// Queries the legacy backend's Redis.
pub struct SessionStore {
    connection: Connection,
    key_prefix: String,
    timeout: Duration,
    leeway: Duration,
    places: Places,
}

/// The outcome of a store lookup.
#[derive(Debug)]
pub enum Outcome {
    /// The token was refused for its form: Redis was not queried.
    Unasked(LegacyFault),
    /// All places were taken.
    Crowded,
    /// Redis was queried.
    Asked(Result<SessionCheck, Failure>),
}

impl std::fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionStore").field("key_prefix", &self.key_prefix).finish_non_exhaustive()
    }
}

impl SessionStore {
    /// A store by `rules`. Connects with the first query.
    ///
    /// # Errors
    /// An error message when the address is invalid. It does not repeat the address, which may hold a
    /// password.
    pub fn new(rules: &Rules) -> Result<Self, String> {
        let Rules { url, key_prefix, timeout, leeway } = rules;
        let address = Address::parse(&url.0)
            .map_err(|unusable| format!("the `url` of the legacy backend's Redis {unusable}"))?;
        let bounds = redis_connection::Bounds { answer: *timeout, concurrency: Some(BOUNDS.all) };
        Ok(Self {
            // The next request tries again; a retry within this one would only wait longer.
            connection: Connection::new(&address, bounds),
            key_prefix: key_prefix.clone(),
            timeout: *timeout,
            leeway: *leeway,
            places: Places::new(BOUNDS),
        })
    }

    /// The person that `token` authenticates at `now`, for a caller at `client`.
    pub async fn verify(&self, token: &[u8], client: Option<IpAddr>, now: UnixTime) -> Outcome {
        let unverified = match Unverified::read(token) {
            Ok(unverified) => unverified,
            Err(fault) => return Outcome::Unasked(fault),
        };
        let (asked, fingerprint) = (Instant::now(), fingerprint(token));
        let Some(_place) = self.places.take(fingerprint, client, self.timeout).await else {
            return Outcome::Crowded;
        };
        let name = format!("{}{}", self.key_prefix, unverified.session());
        let key = match self.get(&name, self.timeout.saturating_sub(asked.elapsed())).await {
            Ok(key) => key,
            Err(failure) => return Outcome::Asked(Err(failure)),
        };
        let answer = match key {
            Some(key) => unverified.verify(&key, self.leeway, now),
            None => Err(LegacyFault::UnknownSession),
        };
        match &answer {
            Ok(found) => self.places.prove(fingerprint, found.person()),
            Err(_) => self.places.disprove(&fingerprint),
        }
        Outcome::Asked(Ok(answer))
    }

    async fn get(&self, name: &str, patience: Duration) -> Result<Option<Vec<u8>>, Failure> {
        let mut connection = self.connection.clone();
        match tokio::time::timeout(patience, connection.get::<_, Option<Vec<u8>>>(name)).await {
            Ok(Ok(key)) => Ok(key),
            Ok(Err(error)) => Err(unavailable(&error)),
            Err(elapsed) => Err(unavailable(&elapsed)),
        }
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> Failure {
    tracing::warn!(%error, "the legacy backend's session store did not answer");
    Failure::LegacyUnavailable
}
