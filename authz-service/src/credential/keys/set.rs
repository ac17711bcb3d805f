//! One loaded set of public keys, and the choice of the key that verifies a token.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, VerificationAlgorithm};
use edge_config::edge::{AlgorithmFamily, KeyAlgorithm};

use crate::credential::fault::TokenFault;

/// Longer key ids are refused before they are looked up. A thumbprint (RFC 7638) has 43 bytes; some providers use URLs.
pub const MAX_KID_BYTES: usize = 255;

/// One public key and the algorithms that it is pinned to, all of one family.
pub struct PinnedKey {
    kid: Option<Box<str>>,
    verifiers: Vec<(KeyAlgorithm, ParsedPublicKey)>,
    /// SHA-256 of the key itself: the same `kid` may return with another key.
    material: [u8; 32],
}

impl fmt::Debug for PinnedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The number of a key's bytes that a missing `kid` is replaced by in tags and lists.
const SHORT: usize = 8;

impl PinnedKey {
    /// A key named `kid`; `verifiers` has at least one algorithm, and all are of one family.
    pub(super) const fn new(
        kid: Option<Box<str>>,
        verifiers: Vec<(KeyAlgorithm, ParsedPublicKey)>,
        material: [u8; 32],
    ) -> Self {
        Self { kid, verifiers, material }
    }

    /// The `kid`, or for a key without one the beginning of its hash.
    #[must_use]
    pub fn id(&self) -> String {
        match &self.kid {
            Some(kid) => kid.to_string(),
            None => {
                let hash: String = self.material.iter().take(SHORT).map(|b| format!("{b:02x}")).collect();
                format!("without kid, sha256 {hash}")
            }
        }
    }

    /// The key's `kid`, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    fn verifier(&self, algorithm: KeyAlgorithm) -> Option<&ParsedPublicKey> {
        self.verifiers.iter().find(|(pinned, _)| *pinned == algorithm).map(|(_, key)| key)
    }

    fn family(&self) -> Option<AlgorithmFamily> {
        self.verifiers.first().map(|(algorithm, _)| algorithm.family())
    }

    /// Whether this is the very key `other`, for the same algorithms.
    fn is(&self, other: &Self) -> bool {
        let algorithms =
            |key: &Self| key.verifiers.iter().map(|(algorithm, _)| *algorithm).collect::<Vec<_>>();
        self.kid == other.kid && self.material == other.material && algorithms(self) == algorithms(other)
    }

    /// Why neither this key nor `other` can be used when both are in one set.
    fn conflict(&self, other: &Self) -> Option<&'static str> {
        if self.material == other.material && self.family() != other.family() {
            return Some("the same key is in the set for two families of algorithms");
        }
        let shares = || self.verifiers.iter().any(|(algorithm, _)| other.verifier(*algorithm).is_some());
        if self.kid.is_some() && self.kid == other.kid && self.material != other.material && shares() {
            return Some("another key of the set has its `kid` and algorithm");
        }
        None
    }
}

/// The key that a token's header chooses.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'k> {
    /// The key.
    pub key: &'k PinnedKey,
    verifier: &'k ParsedPublicKey,
}

impl Chosen<'_> {
    /// Whether `signature` is a valid signature of `signed` under this key and algorithm.
    #[must_use]
    pub fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        self.verifier.verify_sig(signed, signature).is_ok()
    }
}

/// A key of a set that is not used, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Its `kid`, or its place in the set.
    pub name: String,
    /// The reason, as a sentence.
    pub why: String,
}

/// One loaded set of keys.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<PinnedKey>,
    passed_over: Vec<PassedOver>,
    generation: u64,
}

/// How many keys that are passed over are named; the others are counted.
const NAMED: usize = 4;

impl KeySet {
    /// The set of `keys`. Keys that contradict each other are passed over, like those of `passed_over`.
    ///
    /// # Errors
    /// A sentence that names the first reasons, when no usable key is left.
    pub(super) fn of(keys: Vec<PinnedKey>, mut passed_over: Vec<PassedOver>) -> Result<Self, String> {
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);
        let mut distinct: Vec<PinnedKey> = Vec::with_capacity(keys.len());
        for key in keys {
            if !distinct.iter().any(|known| known.is(&key)) {
                distinct.push(key);
            }
        }
        let why: Vec<Option<&str>> = distinct
            .iter()
            .map(|key| distinct.iter().filter(|other| !key.is(other)).find_map(|other| key.conflict(other)))
            .collect();
        let mut usable = Vec::with_capacity(distinct.len());
        for (key, why) in distinct.into_iter().zip(why) {
            match why {
                None => usable.push(key),
                Some(why) => passed_over.push(PassedOver { name: key.id(), why: why.to_owned() }),
            }
        }
        let set = Self { keys: usable, passed_over, generation: GENERATIONS.fetch_add(1, Ordering::Relaxed) };
        if set.keys.is_empty() {
            let reasons = set.passed_over_words().unwrap_or_else(|| "it is empty".to_owned());
            return Err(format!("the key set has no usable key: {reasons}"));
        }
        Ok(set)
    }

    /// The key and algorithm for a token whose header has this `kid` and `alg`.
    ///
    /// A token without `kid` chooses the only key for its algorithm, and a set of one key without `kid` serves every
    /// token: there is nothing to mistake (RFC 7515 §4.1.4).
    ///
    /// # Errors
    /// [`TokenFault::UnknownKey`] or [`TokenFault::WrongAlgorithm`].
    pub fn choose(&self, kid: Option<&str>, alg: &str) -> Result<Chosen<'_>, TokenFault> {
        let algorithm = KeyAlgorithm::named(alg);
        let chosen = |key| {
            algorithm.and_then(|one| PinnedKey::verifier(key, one).map(|verifier| Chosen { key, verifier }))
        };
        let Some(kid) = kid else {
            let mut fitting = self.keys.iter().filter_map(chosen);
            return match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(only),
                (None, _) => Err(TokenFault::WrongAlgorithm),
                (Some(_), Some(_)) => Err(TokenFault::UnknownKey),
            };
        };
        if let [only] = self.keys.as_slice()
            && only.kid.is_none()
        {
            return chosen(only).ok_or(TokenFault::WrongAlgorithm);
        }
        let mut named = self.keys.iter().filter(|key| key.kid() == Some(kid)).peekable();
        if named.peek().is_none() {
            return Err(TokenFault::UnknownKey);
        }
        named.find_map(chosen).ok_or(TokenFault::WrongAlgorithm)
    }

    /// Whether `key` is in this set, for the same algorithms.
    pub(super) fn has(&self, key: &PinnedKey) -> bool {
        self.keys.iter().any(|known| known.is(key))
    }

    /// The usable keys.
    #[must_use]
    pub fn keys(&self) -> &[PinnedKey] {
        &self.keys
    }

    /// The keys that are not used.
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// The keys that are not used, in words; `None` when all are.
    #[must_use]
    pub fn passed_over_words(&self) -> Option<String> {
        let first: Vec<String> = self
            .passed_over
            .iter()
            .take(NAMED)
            .map(|PassedOver { name, why }| format!("key {name:?}: {why}"))
            .collect();
        let more = self.passed_over.len().saturating_sub(NAMED);
        match (first.is_empty(), more) {
            (true, _) => None,
            (false, 0) => Some(first.join("; ")),
            (false, more) => Some(format!("{}; and {more} more", first.join("; "))),
        }
    }

    /// A number unique to this set within the process.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The ids of all keys, sorted.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.keys.iter().map(PinnedKey::id).collect();
        ids.sort_unstable();
        ids
    }
}

/// The verification of `algorithm` for a key that is parsed from its point or its DER encoding.
pub(super) fn verification(algorithm: KeyAlgorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        KeyAlgorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
        KeyAlgorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
        KeyAlgorithm::EdDsa => &signature::ED25519,
        KeyAlgorithm::Rs256
        | KeyAlgorithm::Rs384
        | KeyAlgorithm::Rs512
        | KeyAlgorithm::Ps256
        | KeyAlgorithm::Ps384
        | KeyAlgorithm::Ps512 => rsa(algorithm),
    }
}

/// The verification of `algorithm` for an RSA key of 2048 to 8192 bits.
pub(super) const fn rsa(algorithm: KeyAlgorithm) -> &'static RsaParameters {
    match algorithm {
        KeyAlgorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        KeyAlgorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        KeyAlgorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        KeyAlgorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        KeyAlgorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        // The other families have no RSA keys.
        KeyAlgorithm::Rs256 | KeyAlgorithm::Es256 | KeyAlgorithm::Es384 | KeyAlgorithm::EdDsa => {
            &signature::RSA_PKCS1_2048_8192_SHA256
        }
    }
}
