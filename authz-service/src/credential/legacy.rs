//! Sessions that the legacy opened, while it still opens some.
//!
//! Only the legacy knows which of its sessions are alive, so somebody is asked each time:
//!
//! * [`store`]: its Redis, where every session has a signing key of its own; the token is verified here. A session
//!   that was ended is dead with the next request.
//! * [`check`]: the legacy itself (`GET /auth/token`). An answer is believed for `cache_ms`, so a session that was
//!   ended is dead that much later, five seconds at most.
//!
//! Found in the cookie only: the legacy never read `Authorization`. Everybody gets the tenant that the edge file
//! names, and its role unless the legacy's answer has one.
//!
//! | what happens | then |
//! |---|---|
//! | the store or the legacy is gone, slow, or answers nonsense | 503 `legacy_unavailable`, at once or after `timeout_ms`; never 401, which would sign people out |
//! | it answers again | the next request is decided again |
//! | strangers with made-up sessions want to ask more than it can answer | sessions that were a yes lately go on being asked about ([`places`]) |

pub mod answer;
pub mod check;
pub mod places;
pub mod store;
pub mod token;

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::UnixTime;
use edge_config::edge::{LegacySessions as Rules, LegacyVerifier};
use identity::Person;
use serde::Deserialize;

use crate::check::CheckInput;
use crate::credential::cookie;
use crate::credential::fault::{CredentialFault, LegacyFault};
use crate::credential::legacy::answer::{Answer, Found, Questions};
use crate::credential::legacy::check::Checker;
use crate::credential::legacy::store::{Outcome, SessionStore};
use crate::credential::presented::{AuthenticatedPerson, Presented};
use crate::failure::Failure;

/// Longer tokens are refused unread. The legacy's have some 350 bytes.
pub const MAX_BYTES: usize = 4_096;

/// Believes the legacy's sessions.
#[derive(Debug)]
pub struct LegacySessions {
    verifier: Verifier,
    questions: Questions,
}

#[derive(Debug)]
enum Verifier {
    Store(SessionStore),
    Check(Checker),
}

impl LegacySessions {
    /// A verifier by `rules`, which counts in `questions`. Connects to nobody yet.
    ///
    /// # Errors
    /// A sentence, when an address makes no sense or the HTTP client cannot be set up.
    pub fn new(rules: &Rules, questions: Questions) -> Result<Self, String> {
        let verifier = match &rules.verify {
            LegacyVerifier::Store(store) => Verifier::Store(SessionStore::new(store)?),
            LegacyVerifier::Check(check) => {
                Verifier::Check(Checker::new(check, &rules.cookie, questions.clone())?)
            }
        };
        Ok(Self { verifier, questions })
    }

    async fn ask(&self, token: &[u8], client: Option<IpAddr>, now: UnixTime) -> Result<Answer, Failure> {
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

/// Everything that is needed to believe a person of the legacy.
#[derive(Debug)]
pub struct LegacyCredentials<'a> {
    /// How its sessions look on this edge.
    pub rules: &'a Rules,
    /// Who is asked.
    pub sessions: &'a LegacySessions,
    /// Whether the cookie may hold a new session instead, which is then somebody else's to look at.
    pub shares_cookie: bool,
}

impl LegacyCredentials<'_> {
    /// The person whose legacy session `input` carries.
    ///
    /// # Errors
    /// [`Failure::LegacyUnavailable`] when nobody can say.
    pub async fn present(
        &self,
        input: &CheckInput<'_>,
        now: UnixTime,
    ) -> Result<Presented<AuthenticatedPerson>, Failure> {
        let token = match cookie::find(&input.cookies(), self.rules.cookie.as_bytes()) {
            Ok(Some(token)) => token,
            Ok(None) => return Ok(Presented::NotOffered),
            Err(fault) => return Ok(Presented::Failed(fault)),
        };
        if self.shares_cookie && !looks_like(token) {
            return Ok(Presented::NotOffered);
        }
        // Boxed, like whatever else asks somebody outside: what a decision needs only then is not carried by every one.
        Ok(match Box::pin(self.sessions.ask(token, input.client, now)).await? {
            Ok(Found { subject, session, role }) => {
                let (tenant, role) = (self.rules.tenant, role.unwrap_or(self.rules.role));
                let person = Person { subject, tenant, session, role, scopes: Vec::new() };
                // The legacy does not say when a session began: ending "all sessions of" somebody ends it too.
                Presented::Verified(AuthenticatedPerson { person: Arc::new(person), issued: 0, token: None })
            }
            Err(fault) => Presented::Failed(CredentialFault::Legacy(fault)),
        })
    }
}

/// Whether `token` says that it is the legacy's: a JWS whose header names HS256. It proves nothing.
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
