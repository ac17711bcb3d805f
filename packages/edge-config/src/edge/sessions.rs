//! How sessions are found, and the keys that verify them.

use std::path::PathBuf;

use super::{AcceptedCredential, Edge, Issuer, KeyAlgorithm, OpaqueIssuer, Policy, Route};

/// How a session is found and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Name of the cookie with the access token.
    pub cookie: String,
    /// How that cookie is read.
    pub reading: CookieReading,
    /// Name of the cookie with the refresh token, by which public routes recognise a session; absent when none needs to.
    pub refresh_cookie: Option<String>,
    /// Whether `Authorization: Bearer` is accepted, too.
    pub bearer: bool,
    /// Which protocol that a WebSocket offers is a bearer token; absent when none is. Never without `bearer`.
    pub websocket_protocol: Option<WebsocketProtocol>,
    /// The trusted issuers of signed tokens. The first is the platform's own auth service. Empty when only
    /// [`opaque`](Self::opaque) has an issuer.
    pub issuers: Vec<Issuer>,
    /// The trusted issuers of opaque tokens.
    pub opaque: Vec<OpaqueIssuer>,
    /// The list of revoked sessions; absent when sessions cannot be revoked before they expire.
    pub revocations: Option<PathBuf>,
}

/// Which of the protocols that a WebSocket offers (`Sec-WebSocket-Protocol`) is a bearer token. A page in a browser can
/// choose nothing else of a WebSocket's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebsocketProtocol {
    /// The beginning of this protocol: 1 to [`MAX_PREFIX`](Self::MAX_PREFIX) bytes of a token (RFC 9110 §5.6.2). The rest is the
    /// token.
    pub prefix: String,
    /// The form of the token.
    pub encoding: TokenEncoding,
}

impl WebsocketProtocol {
    /// The most bytes of a prefix. That of Kubernetes has 38.
    pub const MAX_PREFIX: usize = 128;
}

impl Edge {
    /// Whether the WebSockets of `route` may bring their bearer token as a protocol: its policy reads bearer tokens. Elsewhere
    /// such a protocol is the backend's own.
    #[must_use]
    pub fn takes_websocket_token(&self, route: &Route) -> bool {
        let is_read = self
            .sessions
            .as_ref()
            .is_some_and(|sessions| sessions.bearer && sessions.websocket_protocol.is_some());
        let is_session = match self.policies.get(&route.policy) {
            Some(Policy::Session(policy)) => policy.accepts(AcceptedCredential::Session),
            Some(
                Policy::Public(_)
                | Policy::Internal(_)
                | Policy::Signed(_)
                | Policy::Webhook(_)
                | Policy::Certificate(_),
            )
            | None => false,
        };
        is_read && is_session && route.websocket
    }
}

/// The form of a token in the name of a protocol, where a comma, a space and `=` are not allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenEncoding {
    /// As it is, which is possible for a JWT.
    #[default]
    Plain,
    /// In base64url without padding (RFC 4648 §5).
    Base64url,
}

/// The most parts of a split cookie. A browser sends at most 4 KB in each, so a token has 64 KB.
pub const MAX_COOKIE_PARTS: usize = 16;

/// How a cookie is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CookieReading {
    /// What separates the name from the number of a part (`sid.0`, `sid.1`); absent when the cookie is never split.
    pub split: Option<char>,
    /// Which of several cookies of one name in one line counts.
    pub duplicates: Duplicates,
}

/// Which of several cookies of one name in one line counts. Lines that choose different values are always refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The last one, as most backends read them.
    #[default]
    Last,
    /// The first one.
    First,
    /// None: different values are refused.
    Refuse,
}

/// The source of public keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A JWK set in a file.
    File(PathBuf),
    /// A JWK set at a URL.
    Url(String),
    /// The JWK set that the issuer's metadata names (OpenID Connect Discovery 1.0, RFC 8414). The first of these addresses
    /// that answers with the issuer's metadata counts.
    Discovery(Vec<String>),
    /// One public key in a PEM file (SubjectPublicKeyInfo), which carries neither a `kid` nor an algorithm.
    Pem {
        /// The file.
        path: PathBuf,
        /// The `kid` by which tokens name it.
        kid: String,
        /// The one algorithm for which it may be used.
        algorithm: KeyAlgorithm,
    },
}
