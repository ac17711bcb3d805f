//! The public keys that verify access tokens.
//!
//! [`KeySet`] is one loaded set: each key pinned to one algorithm, found by its `kid`. [`KeyRing`] holds the
//! current set and decides until when it may be used. [`mod@file`] and [`url`] keep it fresh.
//!
//! | what happens | then |
//! |---|---|
//! | nothing was ever loaded | every session is 503 `keys_unavailable`, `/readyz` is 503 |
//! | the source is missing, unreadable or invalid | the last good set serves for [`STALE_LIMIT`], then as above |
//! | a new set is loaded | every remembered token is verified again; leases on removed keys end |

pub mod file;
mod pem;
pub mod url;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::lease::{Kind, Tag, WINDOW_MS};
use arc_swap::{ArcSwap, ArcSwapOption};
use clock::UnixTime;
use edge_config::edge::{Issuer, KeySource};
use identity::keyset;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::ended::Ended;
use crate::failure::Failure;
use crate::source::{Health, Trouble};

/// How long the last good keys serve while their source is broken. Keys change rarely, and an hour is time
/// for a fix; but a key that was withdrawn because it leaked must not stay valid for days behind a broken
/// file.
pub const STALE_LIMIT: Duration = Duration::from_secs(3_600);

/// More keys than this are refused: a set holds the current key, the next, and perhaps the last.
const MAX_KEYS: usize = 64;

/// One public key and the one algorithm that it is pinned to.
pub struct PinnedKey {
    algorithm: Algorithm,
    name: &'static str,
    key: DecodingKey,
    /// SHA-256 of the key's source text: the same `kid` may return with another key.
    content: [u8; 32],
}

impl fmt::Debug for PinnedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedKey").field("algorithm", &self.name).finish_non_exhaustive()
    }
}

impl PinnedKey {
    /// The `alg` that a token's header must have (RFC 7518 §3.1).
    #[must_use]
    pub const fn algorithm_name(&self) -> &'static str {
        self.name
    }

    /// Whether `signature` (base64url) is a valid signature of `signed` under this key.
    #[must_use]
    pub fn verifies(&self, signed: &[u8], signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, signed, &self.key, self.algorithm).unwrap_or(false)
    }

    fn pin(jwk: &Jwk) -> Result<Self, String> {
        let declared = jwk.common.key_algorithm;
        let (algorithm, name) = PINNABLE
            .iter()
            .find(|(key_algorithm, ..)| declared == Some(*key_algorithm))
            .map(|(_, algorithm, name)| (*algorithm, *name))
            .ok_or("`alg` is not one of ES256, ES384, EdDSA, RS256, RS384, RS512, PS256, PS384, PS512")?;
        let fits = if let AlgorithmParameters::EllipticCurve(ec) = &jwk.algorithm {
            (ec.curve == EllipticCurve::P256 && algorithm == Algorithm::ES256)
                || (ec.curve == EllipticCurve::P384 && algorithm == Algorithm::ES384)
        } else if let AlgorithmParameters::OctetKeyPair(pair) = &jwk.algorithm {
            pair.curve == EllipticCurve::Ed25519 && algorithm == Algorithm::EdDSA
        } else {
            matches!(jwk.algorithm, AlgorithmParameters::RSA(_))
                && (name.starts_with("RS") || name.starts_with("PS"))
        };
        if !fits {
            return Err(format!("`alg` {name} does not match its `kty` and `crv`"));
        }
        let key = DecodingKey::from_jwk(jwk).map_err(|e| e.to_string())?;
        let text = serde_json::to_vec(jwk).map_err(|e| e.to_string())?;
        Ok(Self { algorithm, name, key, content: Sha256::digest(&text).into() })
    }
}

/// The tag of the key `kid` of `issuer` in leases. Two issuers may use one `kid`.
#[must_use]
pub fn key_tag(issuer: &str, kid: &str) -> Tag {
    Tag::of(Kind::Key, &[issuer.as_bytes(), kid.as_bytes()].join(&0))
}

/// The algorithms that a key may be pinned to: asymmetric signatures only, so that a program that can verify
/// cannot sign.
const PINNABLE: [(KeyAlgorithm, Algorithm, &str); 9] = [
    (KeyAlgorithm::ES256, Algorithm::ES256, "ES256"),
    (KeyAlgorithm::ES384, Algorithm::ES384, "ES384"),
    (KeyAlgorithm::EdDSA, Algorithm::EdDSA, "EdDSA"),
    (KeyAlgorithm::RS256, Algorithm::RS256, "RS256"),
    (KeyAlgorithm::RS384, Algorithm::RS384, "RS384"),
    (KeyAlgorithm::RS512, Algorithm::RS512, "RS512"),
    (KeyAlgorithm::PS256, Algorithm::PS256, "PS256"),
    (KeyAlgorithm::PS384, Algorithm::PS384, "PS384"),
    (KeyAlgorithm::PS512, Algorithm::PS512, "PS512"),
];

/// One loaded set of keys.
#[derive(Debug)]
pub struct KeySet {
    keys: HashMap<String, PinnedKey>,
    generation: u64,
}

impl KeySet {
    /// Parses a JWK set in JSON.
    ///
    /// # Errors
    /// A sentence that names the offending `kid`: a symmetric key, a `use` other than `sig`, a missing or
    /// duplicate `kid`, a missing `alg`, an `alg` that does not fit the key.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let jwks = keyset::public_keys(json)?;
        if jwks.len() > MAX_KEYS {
            return Err(format!("{} keys, at most {MAX_KEYS} are allowed", jwks.len()));
        }
        let mut keys = HashMap::with_capacity(jwks.len());
        for jwk in &jwks {
            let kid = jwk.common.key_id.clone().unwrap_or_default();
            let key = PinnedKey::pin(jwk).map_err(|what| format!("key {kid:?}: {what}"))?;
            keys.insert(kid, key);
        }
        Ok(Self::of(keys))
    }

    fn of(keys: HashMap<String, PinnedKey>) -> Self {
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);
        Self { keys, generation: GENERATIONS.fetch_add(1, Ordering::Relaxed) }
    }

    /// The key with the id `kid`.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&PinnedKey> {
        self.keys.get(kid)
    }

    /// A number unique to this set within the process.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The ids of all keys, sorted.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.keys.keys().cloned().collect();
        ids.sort_unstable();
        ids
    }
}

/// How to parse the content of a key source.
#[derive(Clone, Debug, Default)]
pub struct KeyFormat {
    /// The `kid` and the algorithm of the one key in a PEM file; `None` for a JWK set.
    pem: Option<(String, edge_config::edge::KeyAlgorithm)>,
    /// The algorithms that keys may be pinned to; empty means all of [`PINNABLE`].
    algorithms: Vec<edge_config::edge::KeyAlgorithm>,
}

impl KeyFormat {
    /// The format of `issuer`'s keys.
    #[must_use]
    pub fn of(issuer: &Issuer) -> Self {
        let pem = match &issuer.keys {
            KeySource::Pem { path: _, kid, algorithm } => Some((kid.clone(), *algorithm)),
            KeySource::File(_) | KeySource::Url(_) => None,
        };
        Self { pem, algorithms: issuer.algorithms.clone() }
    }

    /// Parses `content`.
    ///
    /// # Errors
    /// A sentence that names the offending `kid`; see [`KeySet::from_json`] for what is refused, and a key whose
    /// algorithm the edge file does not list.
    pub fn read(&self, content: &[u8]) -> Result<KeySet, String> {
        let set = match &self.pem {
            Some((kid, algorithm)) => pem::read(content, kid, *algorithm)?,
            None => KeySet::from_json(content)?,
        };
        let listed =
            |name: &str| self.algorithms.is_empty() || self.algorithms.iter().any(|a| a.as_str() == name);
        match set.keys.iter().find(|(_, key)| !listed(key.name)) {
            None => Ok(set),
            Some((kid, key)) => {
                Err(format!("key {kid:?} is for {}, which `algorithms` does not list", key.name))
            }
        }
    }
}

/// The keys in use.
#[derive(Debug, Default)]
pub struct KeyRing {
    current: ArcSwapOption<KeySet>,
    trouble: ArcSwap<Option<Trouble>>,
    refresh: Notify,
    issuer: String,
    ended: Arc<Ended>,
}

impl KeyRing {
    /// An empty ring for the keys of `issuer`. Removed keys are noted in `ended`.
    #[must_use]
    pub fn of(issuer: &str, ended: Arc<Ended>) -> Self {
        Self { issuer: issuer.to_owned(), ended, ..Self::default() }
    }

    /// The keys to verify with at `now`.
    ///
    /// # Errors
    /// [`Failure::KeysUnavailable`] when there are none, or when their source has been broken for longer than
    /// [`STALE_LIMIT`].
    pub fn current(&self, now: UnixTime) -> Result<Arc<KeySet>, Failure> {
        if self.trouble.load().as_ref().as_ref().is_some_and(|t| t.lasts_longer_than(STALE_LIMIT, now)) {
            return Err(Failure::KeysUnavailable);
        }
        self.current.load_full().ok_or(Failure::KeysUnavailable)
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
        let before = self.current.swap(Some(Arc::clone(&keys)));
        let same = |kid: &str, key: &PinnedKey| keys.find(kid).is_some_and(|new| new.content == key.content);
        let gone = before.iter().flat_map(|before| &before.keys).filter(|(kid, key)| !same(kid, key));
        let now = Instant::now();
        self.ended.note(gone.map(|(kid, _)| key_tag(&self.issuer, kid)), now);
        if before.is_none() {
            // The keys that other replicas trusted until now are not known here.
            self.ended.restart(now);
        }
        self.mend();
    }

    /// Notes that the source answers again and its content has not changed.
    pub fn mend(&self) {
        if self.trouble.load().is_some() {
            self.trouble.store(Arc::new(None));
        }
    }

    /// Notes that the source is broken; the first of several notes in a row starts the clock. Returns whether
    /// it was the first.
    pub fn note_trouble(&self, what: String, now: UnixTime) -> bool {
        Trouble::note(&self.trouble, what, now)
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
        self.current.load().is_some() || self.trouble.load().is_some()
    }

    /// The ids of the loaded keys, sorted.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.current.load().as_ref().map(|keys| keys.ids()).unwrap_or_default()
    }

    /// The state of the keys, for `/readyz`.
    #[must_use]
    pub fn health(&self, now: UnixTime) -> Health {
        let trouble = self.trouble.load();
        let trouble = trouble.as_ref().as_ref();
        let detail = match (self.ids().len(), trouble) {
            (0, None) => "not loaded yet".to_owned(),
            (0, Some(trouble)) => trouble.what().to_owned(),
            (count, None) => format!("{count} loaded"),
            (count, Some(trouble)) => format!(
                "{count} loaded, but stale since {} ({}); refused after {} s",
                trouble.since().seconds(),
                trouble.what(),
                STALE_LIMIT.as_secs()
            ),
        };
        Health { ready: self.current(now).is_ok(), detail }
    }
}
