//! What can prove who is calling.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use identity::{Role, TenantId};

use super::{KeySource, SessionPolicy};

/// A kind of credential that a policy can accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AcceptedCredential {
    /// An access token of one of the issuers in `sessions`.
    Session,
    /// A key from `api_keys`.
    ApiKey,
    /// A session that the legacy opened, see `legacy_sessions`.
    LegacySession,
}

impl AcceptedCredential {
    /// As the edge file spells it.
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
    /// The credentials that count, in order of precedence; never empty.
    #[must_use]
    pub fn accepted(&self) -> &[AcceptedCredential] {
        if self.accept.is_empty() { &[AcceptedCredential::Session] } else { &self.accept }
    }

    /// Whether `kind` counts.
    #[must_use]
    pub fn accepts(&self, kind: AcceptedCredential) -> bool {
        self.accepted().contains(&kind)
    }
}

/// Somebody whose access tokens are believed, with keys of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The `iss` that a token must have.
    pub issuer: String,
    /// The `aud` that a token must have: one of these.
    pub audiences: Vec<String>,
    /// The header `typ` that a token must have (`at+jwt`, RFC 9068 §2.1).
    pub token_type: String,
    /// Where the public keys are.
    pub keys: KeySource,
    /// The algorithms that a key may be pinned to; empty means every asymmetric one.
    pub algorithms: Vec<KeyAlgorithm>,
    /// How far past `exp` (and before `nbf`) a token still counts.
    pub leeway: Duration,
}

/// A signature algorithm (RFC 7518 §3.1, RFC 8037): asymmetric ones only, so that whoever verifies cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are those of RFC 7518")]
pub enum KeyAlgorithm {
    Es256,
    Es384,
    EdDsa,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
}

impl KeyAlgorithm {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// The name in a token's header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }
}

/// Where API keys are, and in which header they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeys {
    /// The file with the keys' hashes (`cutover apikey`), read again whenever it changes.
    pub file: PathBuf,
    /// The header, lower case. It is removed on the way to a backend where the policy accepts API keys.
    pub header: String,
}

/// How sessions that the legacy opened are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacySessions {
    /// Name of the cookie with the legacy's access token.
    pub cookie: String,
    /// The tenant that everybody of the legacy belongs to: it knows none itself.
    pub tenant: TenantId,
    /// The role of whoever the legacy names none for.
    pub role: Role,
    /// Who says whether a session is good.
    pub verify: LegacyVerifier,
}

/// Who says whether a session of the legacy is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegacyVerifier {
    /// The legacy's own store: a key for each session, deleted when the session ends.
    Store(LegacyStore),
    /// The legacy itself, asked over HTTP.
    Check(LegacyCheck),
}

/// The legacy's Redis, with a signing key under the id of each session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyStore {
    /// Where it is.
    pub url: RedisUrl,
    /// What precedes a session's id in the name of its key.
    pub key_prefix: String,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// How far past `exp` a token still counts.
    pub leeway: Duration,
}

/// The legacy's own check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyCheck {
    /// The address of the question, `http://host:port/path`.
    pub url: String,
    /// Constant headers that the legacy expects from its edge.
    pub request_headers: BTreeMap<String, String>,
    /// How long an answer is believed without asking again: so late a logout can be. Zero asks each time.
    pub cache: Duration,
    /// How long it may take to answer.
    pub timeout: Duration,
}

/// The address of a Redis. It may hold a password, so it does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(pub String);

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisUrl([redacted])")
    }
}
