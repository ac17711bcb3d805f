//! Verifies sessions that the legacy backend opened, for as long as it opens any.
//!
//! Only the legacy backend knows which of its sessions are alive, so every decision queries one of two
//! sources:
//!
//! * [`store`]: its Redis, which holds a signing key for each session; the token is verified here. A session
//!   that was ended is refused from the next request on.
//! * [`check`]: the legacy backend itself (`GET /auth/token`). An answer is trusted for `cache_ms`, so an
//!   ended session is refused that much later, five seconds at most.
//!
//! The session is read from the cookie only: the legacy backend never read `Authorization`. Every caller gets
//! the tenant that the edge file names, and its role unless the legacy backend's answer has one.
//!
//! "All sessions of a person" ends those whose token was issued before the call. Its `iat` counts once the key of
//! the session, or the legacy backend, has verified the token. A session whose token has no such claim counts as
//! issued before every call, so no session of that kind works for that person until the call is forgotten.
//!
//! | what happens | then |
//! |---|---|
//! | the store or the legacy backend is unavailable, slow, or returns an invalid response | 503 `legacy_unavailable`, at once or after `timeout_ms`; never 401, which would sign people out |
//! | it answers again | the next request is decided again |
//! | a flood of made-up sessions exceeds what it can answer | recently confirmed sessions are still checked ([`places`](super::places)) |

pub mod answer;
pub mod check;
mod connection;
pub mod store;
pub mod token;

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::UnixTime;
use edge_config::edge::{CookieReading, LegacySessions as Rules, LegacyVerifier};
use identity::Person;
use serde::Deserialize;

use crate::check::CheckInput;
use crate::credential::cookie;
use crate::credential::fault::{CredentialFault, LegacyFault};
use crate::credential::legacy::answer::{Found, SessionCheck};
use crate::credential::legacy::check::Checker;
use crate::credential::legacy::store::{Outcome, SessionStore};
use crate::credential::presented::{Access, AuthenticatedPerson, Presented};
use crate::credential::queried::Questions;
use crate::failure::Failure;

/// Longer tokens are refused unread. The legacy backend's have about 350 bytes.
pub const MAX_BYTES: usize = 4_096;

/// Verifies sessions of the legacy backend.
#[derive(Debug)]
pub struct LegacySessions {
    verifier: Verifier,
    questions: Questions,
}

#[derive(Debug)]
enum Verifier {
    Store(SessionStore),
    Check(Box<Checker>),
}

impl LegacySessions {
    /// A verifier by `rules`, which counts lookups in `questions`. Does not connect yet.
    ///
    /// # Errors
    /// An error message, when an address is invalid or the HTTP client cannot be set up.
    pub fn new(rules: &Rules, questions: Questions) -> Result<Self, String> {
        let verifier = match &rules.verify {
            LegacyVerifier::Store(store) => Verifier::Store(SessionStore::new(store)?),
            LegacyVerifier::Check(check) => {
                Verifier::Check(Box::new(Checker::new(check, &rules.cookie, questions.clone())?))
            }
        };
        Ok(Self { verifier, questions })
    }

    async fn ask(
        &self,
        token: &[u8],
        client: Option<IpAddr>,
        now: UnixTime,
    ) -> Result<SessionCheck, Failure> {
        if token.len() > MAX_BYTES {
            return Ok(Err(LegacyFault::Malformed));
        }
        match &self.verifier {
            Verifier::Store(store) => match store.verify(token, client, now).await {
                Outcome::Unasked(fault) => Ok(Err(fault)),
                Outcome::Crowded => {
                    self.questions.crowded.inc();
                    Err(Failure::LegacyUnavailable)
                }
                Outcome::Asked(outcome) => {
                    self.questions.count(&outcome);
                    outcome
                }
            },
            Verifier::Check(check) => check.verify(token, client).await,
        }
    }
}

/// Everything needed to verify a person by a legacy session.
#[derive(Debug)]
pub struct LegacyCredentials<'a> {
    /// The form of legacy sessions on this edge.
    pub rules: &'a Rules,
    /// The verifier.
    pub sessions: &'a LegacySessions,
    /// Whether the cookie may hold a new session instead, which [`session`](super::session) then verifies.
    pub shares_cookie: bool,
    /// How the cookie is read: as that of new sessions when both share it.
    pub reading: CookieReading,
}

impl LegacyCredentials<'_> {
    /// The person whose legacy session `input` carries.
    ///
    /// # Errors
    /// [`Failure::LegacyUnavailable`] when neither the store nor the legacy backend can answer.
    pub async fn present(
        &self,
        input: &CheckInput<'_>,
        now: UnixTime,
    ) -> Result<Presented<AuthenticatedPerson>, Failure> {
        let token = match cookie::read(&input.cookies(), &self.rules.cookie, self.reading) {
            Ok(Some(token)) => token,
            Ok(None) => return Ok(Presented::NotOffered),
            Err(fault) => return Ok(Presented::Failed(fault)),
        };
        if self.shares_cookie && !looks_like(&token) {
            return Ok(Presented::NotOffered);
        }
        // Boxed, like every lookup outside the process: most decisions should not carry state that only these
        // need.
        Ok(match Box::pin(self.sessions.ask(&token, input.client, now)).await? {
            Ok(Found { subject, session, issued, role }) => {
                let person = Person {
                    subject: subject.into(),
                    tenant: Some(self.rules.tenant.clone()),
                    session: Some(session.into()),
                    role: Some(role.unwrap_or(self.rules.role)),
                    roles: Vec::new(),
                    scopes: Vec::new(),
                };
                Presented::Verified(AuthenticatedPerson {
                    person: Arc::new(person),
                    issued,
                    token: None,
                    access: Access::default(),
                })
            }
            Err(fault) => Presented::Failed(CredentialFault::Legacy(fault)),
        })
    }
}

/// Whether `token` claims to be a legacy token: a JWS whose header names HS256. It proves nothing.
#[must_use]
pub fn looks_like(token: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Named {
        alg: String,
    }
    if token.len() > MAX_BYTES {
        return false;
    }
    let header = token.split(|byte| *byte == b'.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    serde_json::from_slice::<Named>(&header).is_ok_and(|header| header.alg == "HS256")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hs256_is_the_legacys() {
        let token = |header: &str| format!("{}.e30.x", URL_SAFE_NO_PAD.encode(header));
        assert!(looks_like(token(r#"{"typ":"JWT","alg":"HS256"}"#).as_bytes()));
        for header in
            [r#"{"typ":"at+jwt","alg":"ES256","kid":"1"}"#, r#"{"alg":"hs256"}"#, r#"{"alg":1}"#, "x", ""]
        {
            assert!(!looks_like(token(header).as_bytes()), "{header}");
        }
        assert!(!looks_like(b""));
    }
}
