//! Verifies programs that sign their requests (RFC 9421).
//!
//! A request without any signature header is [`Presented::NotOffered`]. Otherwise the checks are, in this
//! order: form, key, signature and digest of the body, time window, and last whether the nonce was seen
//! before. Only a valid signature costs a nonce, so a client without a key cannot fill their memory. A policy can waive
//! the nonce ([`SignatureProfile`]); a digest of everything that was signed then takes its place.
//!
//! With `m` = `max_age_seconds` and `s` = `skew_seconds`, a signature is valid from `created - s` until the
//! earlier of `created + m` and `expires`, plus `s`; both ends belong to the window, to the millisecond.

pub mod keys;
pub mod nonces;

use std::sync::Arc;
use std::time::Duration;

use clock::UnixTime;
use edge_config::edge::{SignatureProfile, Signatures};
use identity::ServiceName;
use signed_request::{Message, Offer, Profile, offer};

use crate::check::CheckInput;
use crate::credential::fault::{CredentialFault, SignatureFault};
use crate::credential::presented::Presented;
use crate::credential::signed::keys::SigningKeys;
use crate::credential::signed::nonces::{Nonces, Spent, Window};
use crate::failure::Failure;

/// In this header Envoy reports whether it sent only a part of the body. As configured it never does.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";

/// A program whose signature was verified, for this one request. Only this module can make one.
#[derive(Clone, Debug)]
pub struct AuthenticatedSigner {
    service: ServiceName,
    key: String,
}

impl AuthenticatedSigner {
    /// The service.
    #[must_use]
    pub const fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The name of the key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Everything needed to verify a signature.
#[derive(Debug)]
pub struct SignedRequests {
    rules: Signatures,
    keys: Arc<SigningKeys>,
    nonces: Arc<Nonces>,
}

impl SignedRequests {
    /// Verifies signatures under `keys`, by `rules`, each once.
    #[must_use]
    pub const fn new(rules: Signatures, keys: Arc<SigningKeys>, nonces: Arc<Nonces>) -> Self {
        Self { rules, keys, nonces }
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &SigningKeys {
        &self.keys
    }

    /// The memory of nonces.
    #[must_use]
    pub const fn nonces(&self) -> &Arc<Nonces> {
        &self.nonces
    }

    /// The program that `input`'s signature, in the form of `profile`, authenticates.
    ///
    /// # Errors
    /// [`Failure::SigningKeysUnavailable`] or [`Failure::NoncesUnavailable`] when a signature was offered and
    /// no keys are available to verify it, or no memory of nonces that reaches back far enough.
    pub async fn present(
        &self,
        profile: &SignatureProfile,
        input: &CheckInput<'_>,
        now: UnixTime,
    ) -> Result<Presented<AuthenticatedSigner>, Failure> {
        let failed = |fault: SignatureFault| Ok(Presented::Failed(CredentialFault::Signature(fault)));
        let message = message(input);
        let SignatureProfile { needs_nonce, needs_algorithm, tag } = profile;
        let profile = Profile {
            headers: &self.rules.headers,
            needs_nonce: *needs_nonce,
            needs_algorithm: *needs_algorithm,
            tag: tag.as_deref(),
        };
        let offered = match offer(&message, &profile) {
            Ok(Some(offered)) => offered,
            Ok(None) => return Ok(Presented::NotOffered),
            Err(fault) => return failed(fault.into()),
        };
        if input.values(PARTIAL_BODY).any(|value| value != b"false") {
            return failed(signed_request::Fault::WrongDigest.into());
        }
        let keys = self.keys.current(now)?;
        let Some(key) = keys.key(offered.key_id()) else { return failed(SignatureFault::UnknownKey) };
        if let Err(fault) = offered.verify(&message, key.algorithm, &key.verifying) {
            return failed(fault.into());
        }
        let window = match self.window(&offered, now) {
            Ok(window) => window,
            Err(fault) => return failed(fault),
        };
        let once = offered.once();
        let spent = self.nonces.spend(offered.key_id(), &once, keys.len(), window, now);
        match Box::pin(spent).await? {
            Spent::Replayed => failed(SignatureFault::Replayed),
            Spent::Fresh => {
                let signer =
                    AuthenticatedSigner { service: key.service.clone(), key: offered.key_id().to_owned() };
                Ok(Presented::Verified(signer))
            }
        }
    }

    fn window(&self, offered: &Offer<'_>, now: UnixTime) -> Result<Window, SignatureFault> {
        let Signatures { max_age, skew, .. } = self.rules;
        window(offered.created(), offered.expires(), max_age, skew, now)
    }
}

/// The window of a signature, when it contains `now`.
fn window(
    created: u64,
    expires: Option<u64>,
    max_age: Duration,
    skew: Duration,
    now: UnixTime,
) -> Result<Window, SignatureFault> {
    let created = UnixTime::from_seconds(created);
    if created > now.plus(skew) {
        return Err(SignatureFault::NotYetValid);
    }
    let oldest = created.plus(max_age);
    let end = expires.map_or(oldest, |expires| oldest.min(UnixTime::from_seconds(expires)));
    let window = Window { created, closes: end.plus(skew), skew };
    // A signature that expires before its creation is never valid, whatever the tolerance.
    if end < created || now > window.closes {
        return Err(SignatureFault::Expired);
    }
    Ok(window)
}

fn message<'a>(input: &CheckInput<'a>) -> Message<'a> {
    Message {
        method: input.method,
        target: input.target,
        scheme: input.scheme,
        host: input.host,
        headers: input.headers.clone(),
        body: input.body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_exact_to_the_millisecond() {
        let created = 1_800_000_000;
        let at = |millis: i64| UnixTime::from_millis((1_800_000_000_000_i64 + millis).unsigned_abs());
        let verdict = |expires: Option<u64>, now: UnixTime| {
            window(created, expires, Duration::from_secs(300), Duration::from_secs(5), now).err()
        };
        let (early, late) = (Some(SignatureFault::NotYetValid), Some(SignatureFault::Expired));
        for (now, expected) in [(-5_001, early), (-5_000, None), (0, None), (305_000, None), (305_001, late)]
        {
            assert_eq!(verdict(None, at(now)), expected, "{now}");
        }
        for (expires, now, expected) in [
            (created + 10, 15_000, None),
            (created + 10, 15_001, late),
            (created + 1_000_000, 305_000, None),
            (created + 1_000_000, 305_001, late),
            (created, 5_000, None),
            (created, 5_001, late),
            (created - 1, 0, late),
            (0, 0, late),
            (u64::MAX, 0, None),
        ] {
            assert_eq!(verdict(Some(expires), at(now)), expected, "{expires} {now}");
        }
        // Milliseconds for seconds, and the end of time.
        for created in [1_800_000_000_000, u64::MAX] {
            let fault = window(created, None, Duration::from_secs(300), Duration::from_secs(5), at(0)).err();
            assert_eq!(fault, early);
        }
        let fault = window(0, None, Duration::from_secs(300), Duration::from_secs(5), at(0)).err();
        assert_eq!(fault, late);
    }
}
