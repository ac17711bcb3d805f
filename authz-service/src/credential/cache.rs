//! Remembers tokens whose signature was already verified.
//!
//! The cache holds only the fact that an issuer signed these claims. Every use still checks the claims at its
//! own moment ([`SignedClaims::check`]), and revocation, tenant and policy come after it, so the cache holds
//! nothing that could change. Replacing a key set forgets every token that was verified with the old one.
//!
//! The lookup key is a keyed hash of the whole token (HMAC-SHA-256 under a key that this process drew at its
//! start). A client therefore cannot prepare two tokens that collide, and no token is stored as a map key.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use clock::UnixTime;
use edge_config::edge::{ClaimRules, Issuer};
use identity::Person;
use prometheus::IntCounter;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::credential::fault::TokenFault;
use crate::credential::keys::KeySet;
use crate::credential::presented::{Access, Proof};
use crate::credential::token::{MAX_BYTES, SignedClaims, Unverified};

/// How many tokens are remembered by default: the warm sessions of one replica. An entry takes about 500
/// bytes, so a full cache stays near 50 MB. One with long ids, or with many roles or scopes, takes several
/// [places](PLACE_BYTES).
pub const DEFAULT_CAPACITY: usize = 100_000;

/// The bytes of texts that fit one place of the cache: the issuer, the audience, and a few scopes.
const PLACE_BYTES: usize = 512;

/// Counts the places of an entry.
#[derive(Clone, Copy, Debug)]
struct Places;

impl Weighter<Fingerprint, Arc<Entry>> for Places {
    fn weight(&self, _: &Fingerprint, entry: &Arc<Entry>) -> u64 {
        u64::try_from(1 + entry.claims.allocated() / PLACE_BYTES).unwrap_or(u64::MAX)
    }
}

type Fingerprint = [u8; 32];

struct Entry {
    claims: SignedClaims,
    /// The key set that verified the token.
    generation: u64,
}

/// A person whom a token authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    /// The person.
    pub person: Arc<Person>,
    /// The second in which the token was issued.
    pub issued: u64,
    /// The token's expiry and key; `None` when they are not to be relied on.
    pub proof: Option<Proof>,
    /// What ends the token by itself.
    pub access: Access,
    /// The rules by which its claims were read.
    pub rules: Arc<ClaimRules>,
}

impl Believed {
    fn of(claims: &SignedClaims, rules: &Issuer, now: UnixTime) -> Result<Self, TokenFault> {
        let person = Arc::clone(claims.check(rules, now)?);
        let proof = Proof { expires: UnixTime::from_seconds(claims.expires()), key: claims.key() };
        let access = Access { expires: Some(proof.expires), key: Some(proof.key) };
        let (issued, rules) = (claims.issued(), Arc::clone(claims.rules()));
        Ok(Self { person, issued, proof: Some(proof), access, rules })
    }
}

/// The cache entry of one token, if any.
pub struct Look {
    fingerprint: Fingerprint,
    entry: Option<Arc<Entry>>,
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look").field("remembered", &self.entry.is_some()).finish_non_exhaustive()
    }
}

impl Look {
    /// The issuer that signed it, when it is remembered.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.entry.as_ref().map(|entry| entry.claims.issuer())
    }
}

/// A bounded cache of verified tokens.
pub struct TokenCache {
    entries: Cache<Fingerprint, Arc<Entry>, Places>,
    key: hmac::Key,
    hits: IntCounter,
    misses: IntCounter,
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("entries", &self.len()).finish_non_exhaustive()
    }
}

/// The system returned no random numbers; a start without them is refused.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system returned no random numbers")]
pub struct NoRandomness;

impl TokenCache {
    /// A cache for `capacity` tokens that counts its hits and misses.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn new(capacity: usize, hits: IntCounter, misses: IntCounter) -> Result<Self, NoRandomness> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(|_| NoRandomness)?;
        let places = u64::try_from(capacity).unwrap_or(u64::MAX);
        Ok(Self { entries: Cache::with_weighter(capacity, places, Places), key, hits, misses })
    }

    /// Looks `token` up.
    #[must_use]
    pub fn look(&self, token: &[u8]) -> Look {
        // Longer tokens are refused, even if their beginning is in the cache.
        let fingerprint = self.fingerprint(token.get(..MAX_BYTES).unwrap_or(token));
        Look { entry: self.entries.get(&fingerprint), fingerprint }
    }

    /// The person that `token` authenticates at `now`, by the rules and the `keys` of the issuer that it
    /// names. The signature is verified unless this very token was verified with these very `keys` before.
    ///
    /// # Errors
    /// [`TokenFault`] with the first reason found. A refused token is not remembered.
    pub fn verified(
        &self,
        look: &Look,
        token: &[u8],
        keys: &KeySet,
        rules: &Issuer,
        now: UnixTime,
    ) -> Result<Believed, TokenFault> {
        if token.len() > rules.max_token_bytes {
            return Err(TokenFault::TooLong);
        }
        if let Some(entry) = &look.entry
            && entry.generation == keys.generation()
            && entry.claims.are_read_by(&rules.claims)
        {
            self.hits.inc();
            return Believed::of(&entry.claims, rules, now);
        }
        self.misses.inc();
        let claims = Unverified::read(token)?.verify(keys, &rules.claims)?;
        let believed = Believed::of(&claims, rules, now)?;
        self.entries.insert(look.fingerprint, Arc::new(Entry { claims, generation: keys.generation() }));
        Ok(believed)
    }

    /// How many tokens are remembered now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no token is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many tokens can be remembered.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.entries.capacity()
    }

    fn fingerprint(&self, token: &[u8]) -> Fingerprint {
        let mut fingerprint = [0; 32];
        // HMAC-SHA-256 has exactly 32 bytes.
        for (to, from) in fingerprint.iter_mut().zip(hmac::sign(&self.key, token).as_ref()) {
            *to = *from;
        }
        fingerprint
    }
}
