//! Opaque access tokens: only their issuer knows what they are, and its introspection endpoint says it
//! (RFC 7662).
//!
//! Which issuer a token belongs to, by the first rule that fits ([`issuer_of`]):
//!
//! 1. the issuer of opaque tokens whose `prefix` the token begins with;
//! 2. with any issuer of signed tokens: these, when the token has the form of one ([`is_signed_form`]);
//! 3. the one issuer of opaque tokens without a `prefix`;
//! 4. the issuers of signed tokens, which refuse it.
//!
//! An answer is used again for `cache_ms`, a refusal for [`REFUSED`] at most, and never past the `exp` that it
//! names. The claims are compared with the rules of the edge file on every request, as those of signed tokens.
//! Revocations at the edge count at once, those at the issuer once the answer is no longer used. No lease is
//! granted: a lease would be a second memory of the answer, without the issuer's say.
//!
//! | the endpoint | then |
//! |---|---|
//! | says `active: false` | 401 `token_inactive` |
//! | is down, slow, or answers with anything but a description | 503 `introspection_unavailable` for its opaque tokens alone, after at most `timeout_ms`; never 401, which would sign people out |
//! | fails repeatedly | it rests ([`circuit`]), and the same 503 comes at once |
//! | is flooded with made-up tokens | recently described sessions keep half of the queries ([`places`](super::places)) |

pub mod answer;
pub mod circuit;
pub mod connection;
pub mod endpoint;
pub mod secret;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::UnixTime;
use edge_config::edge::{OpaqueIssuer, Sessions};
use serde::Deserialize;

use crate::credential::cache::Believed;
use crate::credential::fault::TokenFault;
use crate::credential::opaque::answer::{Description, examine};
use crate::credential::opaque::endpoint::{Endpoint, Proof};
use crate::credential::places::fingerprint;
use crate::credential::queried::{Asker, Lifetimes, Queried, Questions};
use crate::credential::token::{Check, Outcome};
use crate::failure::Failure;
use crate::source::Health;

/// The longest use of a refusal. A token that was just issued may reach the edge before the endpoint knows it.
const REFUSED: Duration = Duration::from_secs(1);

/// The endpoints of every issuer of opaque tokens.
#[derive(Debug, Default)]
pub struct OpaqueTokens {
    known: Vec<Known>,
    queries: Queries,
}

/// Whether endpoints are queried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Queries {
    /// When a token needs it.
    #[default]
    Made,
    /// Never: an explanation sends no token to another machine unless its reader asks for it.
    Withheld,
}

/// One issuer's endpoint, and what it said.
#[derive(Debug)]
struct Known {
    issuer: String,
    endpoint: Endpoint,
    answers: Queried<Arc<Description>, TokenFault>,
}

impl OpaqueTokens {
    /// Without endpoints, and with `queries` from now on.
    #[must_use]
    pub fn with(queries: Queries) -> Self {
        Self { known: Vec::new(), queries }
    }

    /// Adds the endpoint of `issuer`, where the edge proves itself with `proof`. Does not connect yet.
    pub fn add(&mut self, issuer: &OpaqueIssuer, proof: Proof, questions: Questions) {
        let found = issuer.endpoint.cache;
        let lifetimes = Lifetimes { found, refused: found.min(REFUSED) };
        let endpoint = Endpoint::new(&issuer.endpoint, proof);
        let answers = Queried::new(lifetimes, questions, Failure::IntrospectionUnavailable);
        self.known.push(Known { issuer: issuer.issuer.clone(), endpoint, answers });
    }

    /// Whether there are no endpoints.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The state of the endpoints, for `/readyz`. Other sessions do not depend on them, so they make no replica
    /// unready.
    #[must_use]
    pub fn health(&self) -> Health {
        let details: Vec<String> = self
            .known
            .iter()
            .map(|known| {
                let detail = known.endpoint.detail();
                if self.known.len() == 1 { detail } else { format!("{}: {detail}", known.issuer) }
            })
            .collect();
        Health { ready: true, detail: details.join("; ") }
    }

    /// The person that `token` of `issuer` authenticates at `now`, for a caller at `client`.
    ///
    /// # Errors
    /// [`Failure::IntrospectionUnavailable`]; inside, [`TokenFault`] for a refused token.
    pub async fn verify(
        &self,
        token: &[u8],
        issuer: &OpaqueIssuer,
        client: Option<IpAddr>,
        now: UnixTime,
    ) -> Result<Result<Believed, TokenFault>, Failure> {
        let token = match text(token, issuer) {
            Ok(token) => token,
            Err(fault) => return Ok(Err(fault)),
        };
        let known = self.of(issuer)?;
        let session = fingerprint(token.as_bytes());
        let asker = Asker { session, client, patience: issuer.endpoint.timeout };
        let still_counts =
            |known: &Arc<Description>| known.is_read_by(&issuer.claims) && known.is_before_end(now);
        let described = known
            .answers
            .answer(asker, still_counts, |patience| {
                known.endpoint.describe(token, &issuer.claims, patience, now)
            })
            .await?;
        Ok(described.and_then(|description| description.believed(issuer, now)))
    }

    /// Every check of `token` of `issuer` at `now`, for explanations. Queries the endpoint, unless queries are
    /// withheld.
    pub async fn examine(&self, token: &[u8], issuer: &OpaqueIssuer, now: UnixTime) -> Vec<Check> {
        let mut checks = vec![Check::of("size", Ok(()))];
        let token = match text(token, issuer) {
            Ok(token) => token,
            Err(fault @ TokenFault::TooLong) => return vec![Check::of("size", Err(fault))],
            Err(fault) => return vec![Check::of("form", Err(fault))],
        };
        let body = match self.of(issuer) {
            Ok(known) => known.endpoint.ask(token, issuer.endpoint.timeout, now).await,
            Err(failure) => Err(failure),
        };
        match body {
            Ok(body) => checks.extend(examine(&body, issuer, now)),
            Err(_) => {
                checks.push(Check { check: "active", outcome: Outcome::WithoutEndpoint, claim: None });
            }
        }
        checks
    }

    fn of(&self, issuer: &OpaqueIssuer) -> Result<&Known, Failure> {
        match self.queries {
            Queries::Made => self.known.iter().find(|known| known.issuer == issuer.issuer),
            Queries::Withheld => None,
        }
        .ok_or(Failure::IntrospectionUnavailable)
    }
}

/// `token` as text that the endpoint can be asked about.
fn text<'t>(token: &'t [u8], issuer: &OpaqueIssuer) -> Result<&'t str, TokenFault> {
    if token.len() > issuer.max_token_bytes {
        return Err(TokenFault::TooLong);
    }
    // Visible ASCII, as RFC 6749, appendix A.12 has it.
    let token = std::str::from_utf8(token).ok().filter(|token| token.bytes().all(|b| b.is_ascii_graphic()));
    token.filter(|token| !token.is_empty()).ok_or(TokenFault::Malformed)
}

/// The issuer of opaque tokens that `token` belongs to, by [the rule](self); `None` when it is for the issuers of
/// signed tokens.
#[must_use]
pub fn issuer_of<'r>(rules: &'r Sessions, token: &[u8]) -> Option<&'r OpaqueIssuer> {
    if rules.opaque.is_empty() {
        return None;
    }
    let begins = |prefix: &String| token.starts_with(prefix.as_bytes());
    if let Some(named) = rules.opaque.iter().find(|one| one.prefix.as_ref().is_some_and(begins)) {
        return Some(named);
    }
    if !rules.issuers.is_empty() && is_signed_form(token) {
        return None;
    }
    rules.opaque.iter().find(|one| one.prefix.is_none())
}

/// Whether `token` has the form of a signed token: three parts, of which the first is a JSON object with an `alg`. It
/// proves nothing.
#[must_use]
pub fn is_signed_form(token: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "alg")]
        _alg: String,
    }
    let mut parts = token.split(|byte| *byte == b'.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    // A header has some hundred bytes; a longer one belongs to no issuer.
    let header = header.get(..header.len().min(8_192)).unwrap_or_default();
    URL_SAFE_NO_PAD.decode(header).is_ok_and(|header| serde_json::from_slice::<Named>(&header).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_with_an_algorithm_are_a_signed_token() {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let (header, claims) = (part(r#"{"alg":"RS256"}"#), part("{}"));
        assert!(is_signed_form(format!("{header}.{claims}.x").as_bytes()));
        for opaque in [
            String::new(),
            "mF_9.B5f-4.1JqM".to_owned(),
            format!("{header}.{claims}"),
            format!("{header}.{claims}.x.y.z"),
            format!("{}.{claims}.x", part(r#"{"kid":"1"}"#)),
            format!("{}.{claims}.x", part("[]")),
            "ory_at_abc".to_owned(),
        ] {
            assert!(!is_signed_form(opaque.as_bytes()), "{opaque}");
        }
    }
}
