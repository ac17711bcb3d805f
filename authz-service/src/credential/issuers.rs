//! Several issuers side by side, each verified with its own keys only.
//!
//! The token's `iss` claim chooses the keys; no other issuer's keys count after that. Two issuers may
//! therefore use the same `kid`, and a leaked key compromises its own issuer alone. With a single issuer
//! there is no choice, and the claim is only compared.
//!
//! An issuer whose key set is unavailable loses its own tokens (503 `keys_unavailable`) and no other's.

use std::sync::Arc;

use ::lease::Tag;
use clock::UnixTime;
use edge_config::edge::{Issuer, Sessions};

use crate::credential::cache::{Believed, TokenCache};
use crate::credential::fault::TokenFault;
use crate::credential::keys::KeyRing;
use crate::credential::token::{Check, Unverified};
use crate::ended::Ended;
use crate::failure::Failure;
use crate::source::Health;

/// The keys of every issuer.
#[derive(Debug, Default)]
pub struct IssuerKeys {
    rings: Vec<(String, Arc<KeyRing>)>,
}

impl IssuerKeys {
    /// An empty ring for each issuer of `sessions`, to be filled from its source. Removed keys are noted in
    /// `ended`.
    #[must_use]
    pub fn new(sessions: Option<&Sessions>, ended: &Arc<Ended>) -> Self {
        let issuers = sessions.map(|sessions| sessions.issuers.as_slice()).unwrap_or_default();
        let ring = |issuer: &Issuer| {
            (issuer.issuer.clone(), Arc::new(KeyRing::of(&issuer.issuer, Arc::clone(ended))))
        };
        Self { rings: issuers.iter().map(ring).collect() }
    }

    /// The keys of `issuer`.
    #[must_use]
    pub fn ring(&self, issuer: &str) -> Option<&Arc<KeyRing>> {
        self.rings.iter().find(|(name, _)| name == issuer).map(|(_, ring)| ring)
    }

    /// Whether any issuer still has the key with this tag at `now`.
    ///
    /// # Errors
    /// [`Failure::KeysUnavailable`] when the keys of an issuer that could have it are not available.
    pub fn hold(&self, tag: Tag, now: UnixTime) -> Result<bool, Failure> {
        let mut failed = None;
        for (issuer, ring) in &self.rings {
            match ring.holds(issuer, tag, now) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(failure) => failed = Some(failure),
            }
        }
        failed.map_or(Ok(false), Err)
    }

    /// The ids of all loaded keys, sorted.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.rings.iter().flat_map(|(_, ring)| ring.ids()).collect();
        ids.sort_unstable();
        ids
    }

    /// For each issuer, how many keys of its set are used, and how many are passed over.
    pub fn census(&self) -> impl Iterator<Item = (&str, (usize, usize))> {
        self.rings.iter().map(|(name, ring)| (name.as_str(), ring.census()))
    }

    /// The state of the keys, for `/readyz`. The first issuer is the platform's own: without its keys this
    /// replica cannot serve. For another issuer one attempt to load the keys is enough: a third party's
    /// outage must not keep every replica from starting.
    #[must_use]
    pub fn health(&self, now: UnixTime) -> Health {
        let mut ready = !self.rings.is_empty();
        let mut details = Vec::with_capacity(self.rings.len());
        for (position, (name, ring)) in self.rings.iter().enumerate() {
            let health = ring.health(now);
            ready &= health.ready || (position > 0 && ring.is_tried());
            let detail = health.detail;
            details.push(if self.rings.len() == 1 { detail } else { format!("{name}: {detail}") });
        }
        Health { ready, detail: details.join("; ") }
    }

    /// Every check of `token` at `now`, for explanations: also those behind the first that refuses it.
    #[must_use]
    pub fn examine(&self, token: &[u8], rules: &Sessions, now: UnixTime) -> Vec<Check> {
        let read = match Unverified::read(token) {
            Ok(read) => read,
            Err(fault) => return vec![Check::of("form", Err(fault))],
        };
        let mut checks = vec![Check::of("form", Ok(()))];
        let named = read.issuer();
        let issuer = match rules.issuers.as_slice() {
            [only] => Some(only),
            several => several.iter().find(|issuer| named.as_ref() == Ok(&issuer.issuer)),
        };
        let Some(issuer) = issuer else {
            checks.push(Check::of("issuer", Err(named.err().unwrap_or(TokenFault::WrongIssuer))));
            return checks;
        };
        let fits = token.len() <= issuer.max_token_bytes;
        checks.push(Check::of("size", if fits { Ok(()) } else { Err(TokenFault::TooLong) }));
        let keys = self.ring(&issuer.issuer).and_then(|ring| ring.current(now).ok());
        checks.extend(read.examine(keys.as_deref(), issuer, now));
        checks
    }

    /// The person that `token` authenticates at `now`.
    ///
    /// # Errors
    /// [`Failure::KeysUnavailable`] when no keys are available to verify it; inside, [`TokenFault`] for a
    /// refused token.
    pub fn verify(
        &self,
        token: &[u8],
        rules: &Sessions,
        cache: &TokenCache,
        now: UnixTime,
    ) -> Result<Result<Believed, TokenFault>, Failure> {
        if rules.issuers.is_empty() {
            return Ok(Err(TokenFault::Malformed));
        }
        // No work for a token that every issuer refuses.
        if rules.issuers.iter().all(|issuer| token.len() > issuer.max_token_bytes) {
            return Ok(Err(TokenFault::TooLong));
        }
        let look = cache.look(token);
        let issuer = match rules.issuers.as_slice() {
            [only] => only,
            several => {
                let named = match look.issuer() {
                    Some(issuer) => Ok(issuer.to_owned()),
                    None => Unverified::read(token).and_then(|token| token.issuer()),
                };
                match named.map(|named| several.iter().find(|issuer| issuer.issuer == named)) {
                    Ok(Some(issuer)) => issuer,
                    Ok(None) => return Ok(Err(TokenFault::WrongIssuer)),
                    Err(fault) => return Ok(Err(fault)),
                }
            }
        };
        let ring = self.ring(&issuer.issuer).ok_or(Failure::KeysUnavailable)?;
        let mut verified = cache.verified(&look, token, &*ring.current(now)?, issuer, now);
        if let Ok(believed) = &mut verified
            && !ring.lasts(now)
        {
            believed.proof = None;
        }
        if verified == Err(TokenFault::UnknownKey) {
            // The issuer may have rotated its keys: reload, but never while a request waits.
            ring.ask_for_refresh();
        }
        Ok(verified)
    }
}
