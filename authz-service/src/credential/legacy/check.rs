//! Asking the legacy itself whether a session is good.
//!
//! The question carries the session's cookie and nothing else of the request. `200` with `{"user_id": …}` (and
//! perhaps `user_role`) is a yes, `401` and `403` are a no, and everything else is no answer: a 404 from a wrong
//! path or a 500 must not sign people out.
//!
//! However many requests carry one session at the same moment, the legacy is asked once; its answer, a no too, is
//! believed for `cache_ms`. What is remembered is bounded, each yes apart from each no ([`MAX_FOUND`],
//! [`MAX_REFUSED`]): made-up sessions push no real one out. The number of questions on their way is bounded too
//! ([`BOUNDS`]): a legacy that has become slow is not buried under them, and [`places`](super::places) says who asks.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use edge_config::edge::LegacyCheck as Rules;
use identity::{Role, SessionId, SubjectId};
use moka::future::Cache;
use reqwest::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use uuid::Uuid;

use crate::credential::fault::LegacyFault;
use crate::credential::legacy::answer::{Answer, Found, Questions};
use crate::credential::legacy::places::{Bounds, Fingerprint, Places, fingerprint};
use crate::credential::legacy::token::plain_uuid;
use crate::failure::Failure;
use crate::outbound;

/// How many yeses are remembered: the sessions that are busy within `cache_ms`. One takes some 200 bytes.
const MAX_FOUND: u64 = 20_000;

/// How many noes are remembered. Forgetting one costs a question from the places of strangers.
const MAX_REFUSED: u64 = 10_000;

/// How many questions are on their way at once. Half of them are for sessions that the legacy said yes to before. Of the
/// others one address has a quarter, and one provider leaves a quarter to the rest of the world.
const BOUNDS: Bounds = Bounds { all: 64, strangers: 32, of_network: [8, 16, 24], of_person: 8, waiting: 256 };

/// `{"user_id": …}` and little more.
const MAX_ANSWER_BYTES: usize = 4_096;

/// Why nobody was found.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Nothing {
    #[error("the legacy said no")]
    Refused(LegacyFault),
    #[error(transparent)]
    Unknown(Failure),
}

/// Asks the legacy.
pub struct Checker {
    client: reqwest::Client,
    url: String,
    cookie: String,
    timeout: Duration,
    found: Cache<Fingerprint, Found>,
    refused: Cache<Fingerprint, LegacyFault>,
    remembers: bool,
    places: Places,
    questions: Questions,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checker").field("url", &self.url).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Yes {
    user_id: String,
    #[serde(default)]
    user_role: Option<u8>,
}

impl Checker {
    /// Asks by `rules` about sessions in the cookie `cookie`, and counts in `questions`.
    ///
    /// # Errors
    /// A sentence, when the HTTP client cannot be set up.
    pub fn new(rules: &Rules, cookie: &str, questions: Questions) -> Result<Self, String> {
        let Rules { url, request_headers, cache, timeout } = rules;
        let mut headers = HeaderMap::new();
        for (name, value) in request_headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| format!("{name}: {e}"))?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|e| format!("{value}: {e}"))?);
        }
        let client = outbound::client(*timeout)
            .default_headers(headers)
            .pool_max_idle_per_host(BOUNDS.all)
            .build()
            .map_err(|e| format!("the HTTP client for {url} cannot be set up: {e}"))?;
        let lifetime = (*cache).max(Duration::from_millis(1));
        Ok(Self {
            client,
            url: url.clone(),
            cookie: cookie.to_owned(),
            timeout: *timeout,
            found: Cache::builder().max_capacity(MAX_FOUND).time_to_live(lifetime).build(),
            refused: Cache::builder().max_capacity(MAX_REFUSED).time_to_live(lifetime).build(),
            remembers: !cache.is_zero(),
            places: Places::new(BOUNDS),
            questions,
        })
    }

    /// The person in the session that `token` is of, for a caller at `client`.
    ///
    /// # Errors
    /// [`Failure::LegacyUnavailable`] when the legacy gives no answer that can be understood, or has no place for one
    /// more question of this caller.
    pub async fn verify(&self, token: &[u8], client: Option<IpAddr>) -> Result<Answer, Failure> {
        // What may stand in a cookie (RFC 6265 §4.1.1): anything else could become a second cookie on the way.
        if token.is_empty() || !token.iter().copied().all(is_cookie_octet) {
            return Ok(Err(LegacyFault::Malformed));
        }
        let fingerprint = fingerprint(token);
        if let Some(fault) = self.refused.get(&fingerprint).await {
            return Ok(Err(fault));
        }
        let found = self.found.try_get_with(fingerprint, self.counted(token, fingerprint, client)).await;
        if !self.remembers {
            self.found.invalidate(&fingerprint).await;
        }
        match found {
            Ok(found) => Ok(Ok(found)),
            Err(nothing) => match *nothing {
                Nothing::Refused(fault) => Ok(Err(fault)),
                Nothing::Unknown(failure) => Err(failure),
            },
        }
    }

    async fn counted(
        &self,
        token: &[u8],
        fingerprint: Fingerprint,
        client: Option<IpAddr>,
    ) -> Result<Found, Nothing> {
        let asked = Instant::now();
        let Some(_place) = self.places.take(fingerprint, client, self.timeout).await else {
            self.questions.crowded.inc();
            return Err(Nothing::Unknown(Failure::LegacyUnavailable));
        };
        // One timeout for the wait and the question: Envoy does not wait for the sum of two.
        let outcome = self.ask(token, fingerprint, self.timeout.saturating_sub(asked.elapsed())).await;
        self.questions.count(&outcome);
        match outcome {
            Ok(Ok(found)) => {
                self.places.prove(fingerprint, found.subject);
                Ok(found)
            }
            Ok(Err(fault)) => {
                self.places.disprove(&fingerprint);
                if self.remembers {
                    self.refused.insert(fingerprint, fault).await;
                }
                Err(Nothing::Refused(fault))
            }
            Err(failure) => Err(Nothing::Unknown(failure)),
        }
    }

    async fn ask(
        &self,
        token: &[u8],
        fingerprint: Fingerprint,
        patience: Duration,
    ) -> Result<Answer, Failure> {
        let cookie = [self.cookie.as_bytes(), b"=", token].concat();
        let mut cookie = HeaderValue::from_bytes(&cookie).map_err(|e| unavailable(&e))?;
        cookie.set_sensitive(true);
        let asked = self.client.get(&self.url).header(COOKIE, cookie).timeout(patience).send().await;
        let mut response = asked.map_err(|e| unavailable(&e.without_url()))?;
        match response.status().as_u16() {
            200 => {}
            401 | 403 => return Ok(Err(LegacyFault::Refused)),
            other => return Err(unavailable(&format!("status {other}"))),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| unavailable(&e.without_url()))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(unavailable(&"the answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        let Ok(Yes { user_id, user_role }) = serde_json::from_slice(&body) else {
            return Err(unavailable(&"the answer names no user"));
        };
        let subject = plain_uuid(&user_id).ok_or_else(|| unavailable(&"the user's id is not a UUID"))?;
        let session = session(token).unwrap_or_else(|| derived(fingerprint));
        Ok(Ok(Found { subject: SubjectId(subject), session: SessionId(session), role: user_role.map(Role) }))
    }
}

/// The session's id as the token says it. The legacy verified the token, so this is its word.
fn session(token: &[u8]) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    let payload = token.split(|byte| *byte == b'.').nth(1)?;
    let Named { id } = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    plain_uuid(&id)
}

/// An id for a session whose token does not say one: the same for the same token, and no way back to it.
fn derived(fingerprint: Fingerprint) -> Uuid {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(fingerprint) {
        *to = from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

const fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

fn unavailable(error: &dyn std::fmt::Display) -> Failure {
    tracing::warn!(%error, "the legacy did not say whether a session is good");
    Failure::LegacyUnavailable
}
