//! Queries the legacy backend about a session.
//!
//! The query carries the session's cookie and nothing else of the request. `200` with `{"user_id": …}` (and
//! perhaps `user_role`) is a yes, `401` and `403` are a no, and everything else counts as no answer: a 404
//! from a wrong path or a 500 must not sign people out.
//!
//! An answer, yes or no, is trusted for `cache_ms`, and simultaneous requests of one session are one query
//! ([`queried`](crate::credential::queried)).

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use edge_config::edge::LegacyCheck as Rules;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header::{COOKIE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Uri};
use identity::Role;
use serde::Deserialize;
use uuid::Uuid;

use crate::credential::fault::LegacyFault;
use crate::credential::legacy::answer::{Found, SessionCheck};
use crate::credential::legacy::connection::{self, BackendClient};
use crate::credential::legacy::looks_like;
use crate::credential::legacy::token::plain_uuid;
use crate::credential::places::{Fingerprint, fingerprint};
use crate::credential::queried::{Asker, Lifetimes, Queried, Questions};
use crate::failure::Failure;
use crate::outbound::cause;

/// `{"user_id": …}` and little more.
const MAX_ANSWER_BYTES: usize = 4_096;

/// Queries the legacy backend.
pub struct Checker {
    client: BackendClient,
    url: Uri,
    headers: HeaderMap,
    cookie: String,
    timeout: Duration,
    sessions: Queried<Found, LegacyFault>,
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
    /// A checker by `rules` for sessions in the cookie `cookie`, which counts in `questions`.
    ///
    /// # Errors
    /// An error message, when the address or a constant header of the backend is not one of HTTP.
    pub fn new(rules: &Rules, cookie: &str, questions: Questions) -> Result<Self, String> {
        let Rules { backend, path: _, cache, timeout } = rules;
        let url = rules.url();
        let url: Uri = url.parse().map_err(|e| format!("{url}: {e}"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &backend.request_headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| format!("{name}: {e}"))?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|e| format!("{value}: {e}"))?);
        }
        if let Some(host) = &backend.host {
            headers.insert(HOST, HeaderValue::from_str(host).map_err(|e| format!("{host}: {e}"))?);
        }
        Ok(Self {
            client: connection::client(backend),
            url,
            headers,
            cookie: cookie.to_owned(),
            timeout: *timeout,
            sessions: Queried::new(
                Lifetimes { found: *cache, refused: *cache },
                questions,
                Failure::LegacyUnavailable,
            ),
        })
    }

    /// The person in the session of `token`, for a caller at `client`.
    ///
    /// # Errors
    /// [`Failure::LegacyUnavailable`] when the legacy backend returns no valid answer, or has no place for
    /// one more query of this caller.
    pub async fn verify(&self, token: &[u8], client: Option<IpAddr>) -> Result<SessionCheck, Failure> {
        // The characters allowed in a cookie value (RFC 6265 §4.1.1): any other could become a second cookie
        // on the way.
        if token.is_empty() || !token.iter().copied().all(is_cookie_octet) {
            return Ok(Err(LegacyFault::Malformed));
        }
        let session = fingerprint(token);
        let asker = Asker { session, client, patience: self.timeout };
        self.sessions.answer(asker, |_| true, |patience| self.ask(token, session, patience)).await
    }

    async fn ask(
        &self,
        token: &[u8],
        fingerprint: Fingerprint,
        patience: Duration,
    ) -> Result<SessionCheck, Failure> {
        let cookie = [self.cookie.as_bytes(), b"=", token].concat();
        let mut cookie = HeaderValue::from_bytes(&cookie).map_err(|e| unavailable(&e))?;
        cookie.set_sensitive(true);
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(COOKIE, cookie);
        let asking = async {
            let response = self.client.request(request).await.map_err(|e| unavailable(&cause(&e)))?;
            match response.status().as_u16() {
                200 => {}
                401 | 403 => return Ok(None),
                other => return Err(unavailable(&format!("status {other}"))),
            }
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
            Ok(Some(body.map_err(|e| unavailable(&cause(&*e)))?.to_bytes()))
        };
        let late = |_| unavailable(&format!("no answer within {patience:?}"));
        let Some(body) = tokio::time::timeout(patience, asking).await.map_err(late)?? else {
            return Ok(Err(LegacyFault::Refused));
        };
        let Ok(Yes { user_id, user_role }) = serde_json::from_slice(&body) else {
            return Err(unavailable(&"the response has no `user_id`"));
        };
        let subject = plain_uuid(&user_id).ok_or_else(|| unavailable(&"`user_id` is not a UUID"))?;
        let named = Named::read(token);
        let session = named.session.unwrap_or_else(|| derived(fingerprint));
        Ok(Ok(Found { subject, session, issued: named.issued, role: user_role.map(Role) }))
    }
}

/// What an accepted token says of its session. The legacy backend verified the token, so the claims are trusted.
#[derive(Default)]
struct Named {
    session: Option<Uuid>,
    /// `iat`; 0 when the token has no such number, or is not a token with a signature (HS256).
    issued: u64,
}

impl Named {
    fn read(token: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Claims {
            id: Option<String>,
            iat: Option<serde_json::Value>,
        }
        let payload = token.split(|byte| *byte == b'.').nth(1);
        let payload = payload.and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
        let claims = payload.and_then(|payload| serde_json::from_slice::<Claims>(&payload).ok());
        let Some(Claims { id, iat }) = claims else { return Self::default() };
        let issued = iat.as_ref().and_then(serde_json::Value::as_u64).filter(|_| looks_like(token));
        Self { session: id.as_deref().and_then(plain_uuid), issued: issued.unwrap_or(0) }
    }
}

/// An id for a session whose token has none: the same for the same token, and not reversible.
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
    tracing::warn!(%error, "the legacy backend did not answer a session check");
    Failure::LegacyUnavailable
}
