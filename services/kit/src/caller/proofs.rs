//! Identities that were verified a moment ago.
//!
//! The edge signs an identity once and writes it for many requests of the same caller, and a check of an Ed25519 signature costs
//! a service more than the rest of a short request. A hit needs the same bytes, signature included, so a changed identity is
//! verified anew. The times are compared at every use, so a cached identity ends when it would end without the cache. The keys of
//! a [`Verifier`] never change, so there is nothing else to forget.

use std::fmt;
use std::sync::Arc;

use clock::UnixTime;
use identity::assertion::{Proof, Rejected, Verifier};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// The most bytes of cached identities. A person's has about 600 bytes, so there is room for 3,000 people of the last minute, and
/// what is made of an identity is no longer than it. So this stays below a tenth of the 64 MiB of a service.
const MAX_BYTES: u64 = 2 * 1024 * 1024;

/// How many identities the cache prepares for.
const EXPECTED: usize = 3_000;

#[derive(Clone)]
struct Bytes;

impl Weighter<Box<str>, Arc<Proof>> for Bytes {
    fn weight(&self, identity: &Box<str>, _: &Arc<Proof>) -> u64 {
        u64::try_from(identity.len()).unwrap_or(u64::MAX)
    }
}

/// Verifies identities, each once.
pub(super) struct Proofs {
    verifier: Verifier,
    cached: Cache<Box<str>, Arc<Proof>, Bytes>,
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proofs").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl Proofs {
    pub(super) fn new(verifier: Verifier) -> Self {
        Self { verifier, cached: Cache::with_weighter(EXPECTED, MAX_BYTES, Bytes) }
    }

    /// The caller that `identity` names, if it is valid at `now`.
    ///
    /// # Errors
    /// [`Rejected`], as [`Verifier::prove`].
    pub(super) fn caller(&self, identity: &str, now: UnixTime) -> Result<identity::Caller, Rejected> {
        if let Some(proof) = self.cached.get(identity) {
            return proof.at(now).cloned().inspect_err(|_| drop(self.cached.remove(identity)));
        }
        let proof = Arc::new(self.verifier.prove(identity, now)?);
        let caller = proof.at(now)?.clone();
        self.cached.insert(identity.into(), proof);
        Ok(caller)
    }
}
