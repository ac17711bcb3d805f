//! Reads the legacy backend's Redis: a signing key under the id of each session, deleted when the session
//! ends.
//!
//! Each request costs one `GET`, which is never cached: an ended session is refused at once. The wait is
//! bounded in total, connecting included. A connection that has been silent for that long is dropped and a
//! new one opened (at most one a second), so a peer that vanished silently costs a second and not a TCP
//! timeout. While Redis is slow, [`places`](crate::credential::places) decides which requests may query it: made-up
//! tokens leave half of the places to real sessions.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use clock::UnixTime;
use edge_config::edge::LegacyStore as Rules;
use redis::AsyncCommands as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

use crate::credential::fault::LegacyFault;
use crate::credential::legacy::answer::SessionCheck;
use crate::credential::legacy::token::Unverified;
use crate::credential::places::{Bounds, Places, fingerprint};
use crate::credential::queried::Found as _;
use crate::failure::Failure;

/// A younger connection is not given up: new connections do not make a slow Redis faster.
const MIN_AGE: Duration = Duration::from_secs(1);

/// How many queries are in flight at once; more wait within their own timeout. A nearby Redis answers a
/// thousand in a few milliseconds, so only a slow one makes requests wait. The shares are those of the
/// session check.
const BOUNDS: Bounds =
    Bounds { all: 1_024, strangers: 512, of_network: [128, 256, 384], of_person: 128, waiting: 1_024 };

struct Link {
    manager: ConnectionManager,
    opened: Instant,
}

/// Queries the legacy backend's Redis.
pub struct SessionStore {
    client: redis::Client,
    link: ArcSwapOption<Link>,
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
        let client = redis::Client::open(url.0.as_str())
            .map_err(|_| "the `url` of the legacy backend's Redis is not a valid Redis address, such as redis://127.0.0.1:6379".to_owned())?;
        Ok(Self {
            client,
            link: ArcSwapOption::empty(),
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
        let link = self.link().map_err(|error| unavailable(&error))?;
        let mut manager = link.manager.clone();
        match tokio::time::timeout(patience, manager.get::<_, Option<Vec<u8>>>(name)).await {
            Ok(Ok(key)) => Ok(key),
            Ok(Err(error)) => {
                if error.is_timeout() {
                    self.give_up(&link);
                }
                Err(unavailable(&error))
            }
            Err(elapsed) => {
                self.give_up(&link);
                Err(unavailable(&elapsed))
            }
        }
    }

    fn link(&self) -> redis::RedisResult<Arc<Link>> {
        if let Some(link) = self.link.load_full() {
            return Ok(link);
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout))
            // The next request tries again; a retry within this one would only wait longer.
            .set_number_of_retries(0)
            .set_concurrency_limit(BOUNDS.all);
        let manager = ConnectionManager::new_lazy_with_config(self.client.clone(), config)?;
        let link = Arc::new(Link { manager, opened: Instant::now() });
        // Two requests may open one each; the later one stays.
        self.link.store(Some(Arc::clone(&link)));
        Ok(link)
    }

    fn give_up(&self, link: &Arc<Link>) {
        let present = self.link.load();
        if link.opened.elapsed() >= MIN_AGE
            && present.as_ref().is_some_and(|present| Arc::ptr_eq(present, link))
        {
            self.link.store(None);
        }
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> Failure {
    tracing::warn!(%error, "the legacy backend's session store did not answer");
    Failure::LegacyUnavailable
}
