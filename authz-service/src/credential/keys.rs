//! The public keys that verify access tokens.
//!
//! [`KeySet`] is one loaded set: each key pinned to the algorithms of one family, found by its `kid`. [`KeyRing`] holds the
//! current set and decides until when it may be used. [`mod@file`] and [`url`] keep it fresh.
//!
//! | what happens | then |
//! |---|---|
//! | nothing was ever loaded | every session is 503 `keys_unavailable`, `/readyz` is 503 |
//! | the source is missing, unreadable or invalid | the last good set serves for [`STALE_LIMIT`], then as above |
//! | a new set is loaded | every remembered token is verified again; leases on removed keys end |

pub mod file;
mod jwks;
mod metadata;
mod pem;
mod set;
pub mod url;

use std::sync::Arc;
use std::time::Duration;

use ::lease::{Kind, Tag, WINDOW_MS};
use clock::UnixTime;
use edge_config::edge::{Issuer, KeyAlgorithm, KeySource};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::ended::Ended;
use crate::failure::Failure;
use crate::source::Health;
use crate::source::last_good::LastGood;

pub use set::{Chosen, KeySet, MAX_KID_BYTES, PassedOver, PinnedKey};

/// How long the last good keys serve while their source is broken. Keys change rarely, and an hour is time
/// for a fix; but a key that was withdrawn because it leaked must not stay valid for days behind a broken
/// file.
pub const STALE_LIMIT: Duration = Duration::from_secs(3_600);

/// The tag of the key `kid` of `issuer` in leases. Two issuers may use one `kid`.
#[must_use]
pub fn key_tag(issuer: &str, kid: &str) -> Tag {
    Tag::of(Kind::Key, &[issuer.as_bytes(), kid.as_bytes()].join(&0))
}

impl KeySet {
    /// Parses a JWK set in JSON, for every asymmetric algorithm.
    ///
    /// # Errors
    /// A sentence, when it is not a JWK set or has no usable key.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        jwks::read(json, &[])
    }
}

/// How to parse the content of a key source.
#[derive(Clone, Debug, Default)]
pub struct KeyFormat {
    /// The `kid` and the algorithm of the one key in a PEM file; `None` for a JWK set.
    pem: Option<(String, KeyAlgorithm)>,
    /// The algorithms that keys may be pinned to; empty means every asymmetric one.
    algorithms: Vec<KeyAlgorithm>,
}

impl KeyFormat {
    /// The format of `issuer`'s keys.
    #[must_use]
    pub fn of(issuer: &Issuer) -> Self {
        let pem = match &issuer.keys {
            KeySource::Pem { path: _, kid, algorithm } => Some((kid.clone(), *algorithm)),
            KeySource::File(_) | KeySource::Url(_) | KeySource::Discovery(_) => None,
        };
        Self { pem, algorithms: issuer.algorithms.clone() }
    }

    /// Parses `content`.
    ///
    /// # Errors
    /// A sentence, when the content has no usable key; see [`KeySet`].
    pub fn read(&self, content: &[u8]) -> Result<KeySet, String> {
        match &self.pem {
            Some((kid, algorithm)) => pem::read(content, kid, *algorithm),
            None => jwks::read(content, &self.algorithms),
        }
    }
}

/// The keys in use.
#[derive(Debug)]
pub struct KeyRing {
    keys: LastGood<KeySet>,
    refresh: Notify,
    issuer: String,
    ended: Arc<Ended>,
}

impl Default for KeyRing {
    fn default() -> Self {
        Self::of("", Arc::default())
    }
}

impl KeyRing {
    /// An empty ring for the keys of `issuer`. Removed keys are noted in `ended`.
    #[must_use]
    pub fn of(issuer: &str, ended: Arc<Ended>) -> Self {
        let keys = LastGood::for_at_most(STALE_LIMIT);
        Self { keys, refresh: Notify::new(), issuer: issuer.to_owned(), ended }
    }

    /// The keys to verify with at `now`.
    ///
    /// # Errors
    /// [`Failure::KeysUnavailable`] when there are none, or when their source has been broken for longer than
    /// [`STALE_LIMIT`].
    pub fn current(&self, now: UnixTime) -> Result<Arc<KeySet>, Failure> {
        self.keys.current(now).ok_or(Failure::KeysUnavailable)
    }

    /// Whether the current keys will stay valid for as long as any lease lasts, even if their source is not
    /// fixed. Without keys the answer is no.
    #[must_use]
    pub fn lasts(&self, now: UnixTime) -> bool {
        self.current(now.plus(Duration::from_millis(WINDOW_MS))).is_ok()
    }

    /// Replaces the current set.
    pub fn replace(&self, keys: KeySet) {
        let keys = Arc::new(keys);
        let before = self.keys.swap(Arc::clone(&keys));
        let gone = before.iter().flat_map(|before| before.keys()).filter(|key| !keys.has(key));
        let now = Instant::now();
        self.ended.note(gone.map(|key| key_tag(&self.issuer, &key.id())), now);
        if before.is_none() {
            // The keys that other replicas trusted until now are not known here.
            self.ended.restart(now);
        }
        self.mend();
    }

    /// Notes that the source answers again and its content has not changed.
    pub fn mend(&self) {
        self.keys.mend();
    }

    /// The state behind the ring, where its sources note their faults.
    #[must_use]
    pub const fn last_good(&self) -> &LastGood<KeySet> {
        &self.keys
    }

    /// Requests a reload soon, because a token names a key that is not here. Never waits; the source limits
    /// how often it really reloads.
    pub fn ask_for_refresh(&self) {
        self.refresh.notify_one();
    }

    /// Waits for [`ask_for_refresh`](Self::ask_for_refresh).
    pub(crate) async fn refresh_asked(&self) {
        self.refresh.notified().await;
    }

    /// Whether a first load was attempted, with whatever result.
    #[must_use]
    pub fn is_tried(&self) -> bool {
        self.keys.value().is_some() || self.keys.trouble().is_some()
    }

    /// The ids of the loaded keys, sorted.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.keys.value().map(|keys| keys.ids()).unwrap_or_default()
    }

    /// Whether the key with this tag is among those of `issuer`, which this ring holds, at `now`.
    ///
    /// # Errors
    /// [`Failure::KeysUnavailable`] when no keys are loaded, or the loaded ones are too old.
    pub fn holds(&self, issuer: &str, tag: Tag, now: UnixTime) -> Result<bool, Failure> {
        Ok(self.current(now)?.ids().iter().any(|kid| key_tag(issuer, kid) == tag))
    }

    /// How many keys of the loaded set are used, and how many are passed over.
    #[must_use]
    pub fn census(&self) -> (usize, usize) {
        let current = self.keys.value();
        current.map(|keys| (keys.keys().len(), keys.passed_over().len())).unwrap_or_default()
    }

    /// The state of the keys, for `/readyz`.
    #[must_use]
    pub fn health(&self, now: UnixTime) -> Health {
        let current = self.keys.value();
        let passed_over = current.as_ref().and_then(|keys| {
            Some(format!(", {} passed over ({})", keys.passed_over().len(), keys.passed_over_words()?))
        });
        let passed_over = passed_over.unwrap_or_default();
        let detail = match (self.ids().len(), self.keys.trouble()) {
            (0, None) => "not loaded yet".to_owned(),
            (0, Some(trouble)) => trouble.what().to_owned(),
            (count, None) => format!("{count} loaded{passed_over}"),
            (count, Some(trouble)) => format!(
                "{count} loaded{passed_over}, but stale since {} ({}); refused after {} s",
                trouble.since().seconds(),
                trouble.what(),
                STALE_LIMIT.as_secs()
            ),
        };
        Health { ready: self.current(now).is_ok(), detail }
    }
}
