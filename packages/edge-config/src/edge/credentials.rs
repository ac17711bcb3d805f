//! The credentials that can identify a caller.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use identity::{Role, TenantId};

use super::{Backend, Endpoint, SessionPolicy};

/// A kind of credential that a policy can accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AcceptedCredential {
    /// An access token of one of the issuers in `sessions`.
    Session,
    /// A key from `api_keys`.
    ApiKey,
    /// A session that the legacy backend opened, see `legacy_sessions`.
    LegacySession,
}

impl AcceptedCredential {
    /// Every kind, in the order in which messages list them.
    pub const ALL: [Self; 3] = [Self::Session, Self::ApiKey, Self::LegacySession];

    /// The kind that the edge file spells `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Its spelling in the edge file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::ApiKey => "api-key",
            Self::LegacySession => "legacy-session",
        }
    }
}

impl SessionPolicy {
    /// The accepted credentials, in order of precedence; never empty.
    #[must_use]
    pub fn accepted(&self) -> &[AcceptedCredential] {
        if self.accept.is_empty() { &[AcceptedCredential::Session] } else { &self.accept }
    }

    /// Whether `kind` is accepted.
    #[must_use]
    pub fn accepts(&self, kind: AcceptedCredential) -> bool {
        self.accepted().contains(&kind)
    }
}

/// The list of API keys, and the headers that carry them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeys {
    /// The file with the keys' hashes (`cutover apikey`), read again whenever it changes.
    pub file: PathBuf,
    /// The headers that may carry a key, lower case, at least one. The edge removes them before the backend.
    /// [`AUTHORIZATION`](Self::AUTHORIZATION) carries a key with the scheme `ApiKey`, and is removed only then.
    pub headers: Vec<String>,
}

impl ApiKeys {
    /// The header that carries other credentials, too.
    pub const AUTHORIZATION: &'static str = "authorization";

    /// The headers that carry only keys.
    pub fn own_headers(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(String::as_str).filter(|header| *header != Self::AUTHORIZATION)
    }
}

/// How sessions that the legacy backend opened are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacySessions {
    /// Name of the cookie with the legacy backend's access token.
    pub cookie: String,
    /// Name of the cookie with the legacy backend's refresh token, by which public routes recognise a legacy session.
    pub refresh_cookie: Option<String>,
    /// How legacy sessions come to an end; absent when the file does not say.
    pub end: Option<LegacyEnd>,
    /// The tenant of all callers with a legacy session: the legacy backend has no tenants.
    pub tenant: TenantId,
    /// The role of a caller for whom the legacy backend names none.
    pub role: Role,
    /// How a session is verified.
    pub verify: LegacyVerifier,
}

/// How the sessions of the legacy backend come to an end while auth moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyEnd {
    /// Each session stays with the backend that opened it until it ends there.
    SideBySide,
    /// The new auth takes a live legacy session at its next refresh and opens its own instead.
    Exchange,
}

/// How a session of the legacy backend is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegacyVerifier {
    /// By the legacy backend's own store: a key for each session, deleted when the session ends.
    Store(LegacyStore),
    /// By a query to the legacy backend over HTTP.
    Check(LegacyCheck),
}

/// The legacy backend's Redis, with a signing key under the id of each session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyStore {
    /// Its address.
    pub url: RedisUrl,
    /// The prefix before a session's id in the name of its key.
    pub key_prefix: String,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// How long after `exp` a token is still valid.
    pub leeway: Duration,
}

/// The legacy backend's own check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyCheck {
    /// The backend that is asked, in the same way in which requests reach it: its addresses, its protocol, its certificate,
    /// and the constant headers that it expects from its edge.
    pub backend: Box<Backend>,
    /// The path of the check.
    pub path: String,
    /// How long an answer is cached: a logout takes effect at most this late. Zero queries each time.
    pub cache: Duration,
    /// How long it may take to answer.
    pub timeout: Duration,
}

impl LegacyCheck {
    /// The address of the check, at the backend's first address: `https://host:port/path`, or `http://` in the clear.
    #[must_use]
    pub fn url(&self) -> String {
        let Backend { endpoints, tls, .. } = &*self.backend;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let place = endpoints.first().map_or_else(String::new, |Endpoint { host, port }| {
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        });
        format!("{scheme}://{place}{}", self.path)
    }
}

/// The address of a Redis. It may hold a password, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(pub String);

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisUrl([redacted])")
    }
}
