//! An issuer of access tokens: which tokens count, and how their claims are read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use identity::TenantId;

use super::KeySource;

/// A trusted issuer of access tokens, with keys of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The `iss` that a token must have.
    pub issuer: String,
    /// The audiences of this edge: a token must name one of them.
    pub audiences: Vec<String>,
    /// The header `typ` that a token must have.
    pub token_types: TokenTypes,
    /// The source of its public keys.
    pub keys: KeySource,
    /// The algorithms that a key may be pinned to; empty means every asymmetric one.
    pub algorithms: Vec<KeyAlgorithm>,
    /// How long after `exp` (and before `nbf`) a token is still valid.
    pub leeway: Duration,
    /// Longer tokens are refused unread.
    pub max_token_bytes: usize,
    /// Which claim says what.
    pub claims: Arc<ClaimRules>,
}

/// Which claim of a token says what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRules {
    /// The claim with the audience: `aud` (RFC 7519 §4.1.3), or `client_id` for issuers without it.
    pub audience: ClaimPath,
    /// The claim with the person's id.
    pub subject: ClaimPath,
    /// The source of the tenant.
    pub tenant: TenantRule,
    /// The claim with the session's id; absent when the issuer's tokens have no session.
    pub session: Option<ClaimPath>,
    /// The claim with the level, a number; absent when the issuer's tokens have none.
    pub role: Option<ClaimPath>,
    /// The claim with the names of the roles, a text or a list; absent when the issuer's tokens have none.
    pub roles: Option<ClaimPath>,
    /// The claim with the scopes, a text or a list.
    pub scopes: Option<ClaimPath>,
    /// The claims that a token must have, beside issuer, audience, end and subject.
    pub required: BTreeSet<MappedClaim>,
}

impl ClaimRules {
    /// The claims of the platform's own auth service, all of them required but the scopes. Roles are levels there.
    #[must_use]
    pub fn own(audience: ClaimPath) -> Self {
        let claim = |name: &str| ClaimPath(vec![name.to_owned()]);
        Self {
            audience,
            subject: claim("sub"),
            tenant: TenantRule::Claim(claim("tenantId")),
            session: Some(claim("sid")),
            role: Some(claim("role")),
            roles: None,
            scopes: Some(claim("scope")),
            required: BTreeSet::from([MappedClaim::Tenant, MappedClaim::Session, MappedClaim::Role]),
        }
    }

    /// The claims that RFC 7662 §2.2 names, none of them required but the subject.
    #[must_use]
    pub fn standard(audience: ClaimPath) -> Self {
        let claim = |name: &str| ClaimPath(vec![name.to_owned()]);
        Self {
            audience,
            subject: claim("sub"),
            tenant: TenantRule::Absent,
            session: None,
            role: None,
            roles: None,
            scopes: Some(claim("scope")),
            required: BTreeSet::new(),
        }
    }
}

/// The source of a person's tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantRule {
    /// The issuer knows no tenants: its people act for none.
    Absent,
    /// A claim of the token.
    Claim(ClaimPath),
    /// One tenant for every token of the issuer.
    Constant(TenantId),
    /// The host name of the request.
    Host(TenantHosts),
}

/// Which host name stands for which tenant. A request to any other host has no tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantHosts {
    /// Each of these names, in lower case.
    Named(BTreeMap<String, TenantId>),
    /// Every name of one label before this suffix, which begins with a dot: with `.shop.example.com`, the tenant of
    /// `acme.shop.example.com` is `acme`.
    LabelBefore(String),
}

impl TenantHosts {
    /// The tenant of `host`, as a client writes it: in any letter case, with or without a port.
    #[must_use]
    pub fn tenant(&self, host: &str) -> Option<TenantId> {
        let host = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            Some(_) | None => host,
        };
        let host = host.to_ascii_lowercase();
        match self {
            Self::Named(tenants) => tenants.get(&host).cloned(),
            Self::LabelBefore(suffix) => {
                let label = host.strip_suffix(suffix)?;
                (!label.contains('.')).then(|| label.parse().ok()).flatten()
            }
        }
    }
}

/// A claim that `claims` can map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MappedClaim {
    /// The person's id; always required.
    Subject,
    /// The tenant for which the person acts.
    Tenant,
    /// The session, by whose id it can be ended.
    Session,
    /// The level, a number that policies compare.
    Role,
    /// The names of the roles.
    Roles,
    /// The scopes, as text between spaces or as a list.
    Scopes,
}

impl MappedClaim {
    /// Every claim.
    pub const ALL: [Self; 6] =
        [Self::Subject, Self::Tenant, Self::Session, Self::Role, Self::Roles, Self::Scopes];

    /// As the edge file spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Tenant => "tenant",
            Self::Session => "session",
            Self::Role => "role",
            Self::Roles => "roles",
            Self::Scopes => "scopes",
        }
    }
}

/// The header `typ` of accepted tokens.
///
/// `typ` is a media type (RFC 7515 §4.1.9): letter case does not count, and `application/` in front of it may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenTypes {
    /// The accepted types, as the edge file writes them.
    pub listed: Vec<String>,
    /// Whether a token without `typ` is accepted.
    pub absent: bool,
}

impl TokenTypes {
    /// Only the type of access tokens after RFC 9068 §2.1.
    #[must_use]
    pub fn access_token() -> Self {
        Self { listed: vec!["at+jwt".to_owned()], absent: false }
    }

    /// What providers write into access tokens: the type of RFC 9068, `JWT`, or nothing.
    #[must_use]
    pub fn usual() -> Self {
        Self { listed: vec!["at+jwt".to_owned(), "JWT".to_owned()], absent: true }
    }

    /// Whether a token with this `typ` is accepted.
    #[must_use]
    pub fn accept(&self, typ: Option<&str>) -> bool {
        let Some(typ) = typ else { return self.absent };
        let typ = bare(typ);
        self.listed.iter().any(|listed| bare(listed).eq_ignore_ascii_case(typ))
    }

    /// Every accepted type in words; `absent` stands for a token without one.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let absent = self.absent.then(|| ABSENT_TYPE.to_owned());
        self.listed.iter().cloned().chain(absent).collect()
    }
}

/// The word of `token_types` for a token without `typ`.
pub const ABSENT_TYPE: &str = "absent";

/// A media type without `application/`, unless another `/` follows.
fn bare(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        Some(_) | None => typ,
    }
}

/// The way to a claim: the name of a member, and of members inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

/// Deeper claims are surely a mistake: Keycloak's `resource_access.<client>.roles` has three names.
const MAX_NAMES: usize = 8;
/// A namespaced claim name is a URL of about 50 bytes.
const MAX_PATH_BYTES: usize = 255;

/// A claim path that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a claim is named as `name` or `outer.inner`, at most 8 names and 255 bytes; a name with dots or brackets stands in double \
     quotes, and no path leads into a list"
)]
pub struct InvalidClaimPath;

impl ClaimPath {
    /// The names, from the outermost to the innermost; never empty.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for ClaimPath {
    type Err = InvalidClaimPath;

    /// Reads `name`, `outer.inner` and `"a.name".inner`. A URL is one name: providers namespace their claims by one.
    fn from_str(text: &str) -> Result<Self, InvalidClaimPath> {
        if text.is_empty() || text.len() > MAX_PATH_BYTES || text.chars().any(char::is_control) {
            return Err(InvalidClaimPath);
        }
        if text.contains("://") && !text.contains('"') {
            return Ok(Self(vec![text.to_owned()]));
        }
        let mut names = Vec::new();
        let mut rest = Some(text);
        while let Some(text) = rest {
            let is_quoted = text.starts_with('"');
            let (name, after) = match text.strip_prefix('"') {
                Some(quoted) => {
                    let (name, after) = quoted.split_once('"').ok_or(InvalidClaimPath)?;
                    let next = after.strip_prefix('.');
                    if !after.is_empty() && next.is_none() {
                        return Err(InvalidClaimPath);
                    }
                    (name, next)
                }
                None => match text.split_once('.') {
                    Some((name, after)) => (name, Some(after)),
                    None => (text, None),
                },
            };
            // JSONPath and JSON Pointer: read as a name, `roles[0]` would be a claim that no token has.
            let is_other_path =
                !is_quoted && (name.contains(['[', ']', '*']) || name.starts_with(['$', '/']));
            if name.is_empty() || is_other_path || name.contains('"') || names.len() == MAX_NAMES {
                return Err(InvalidClaimPath);
            }
            names.push(name.to_owned());
            rest = after;
        }
        Ok(Self(names))
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, name) in self.0.iter().enumerate() {
            let dot = if position == 0 { "" } else { "." };
            let is_odd = name.contains(['[', ']', '*']) || name.starts_with(['$', '/']);
            let quote = if is_odd || (name.contains('.') && self.0.len() > 1) { "\"" } else { "" };
            write!(f, "{dot}{quote}{name}{quote}")?;
        }
        Ok(())
    }
}

/// A signature algorithm (RFC 7518 §3.1, RFC 8037): only asymmetric ones, so that a verifier cannot sign.
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

/// What two algorithms have in common when one key may serve both: the mathematics and the padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlgorithmFamily {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// EdDSA on Ed25519.
    Ed25519,
    /// RSA with PKCS #1 v1.5.
    RsaPkcs1,
    /// RSA with PSS.
    RsaPss,
}

impl KeyAlgorithm {
    /// Every algorithm.
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

    /// The algorithm called `name` in a key or a token, byte for byte. `Ed25519` is EdDSA on that curve (RFC 9864 §2.2).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// Its family.
    #[must_use]
    pub const fn family(self) -> AlgorithmFamily {
        match self {
            Self::Es256 => AlgorithmFamily::P256,
            Self::Es384 => AlgorithmFamily::P384,
            Self::EdDsa => AlgorithmFamily::Ed25519,
            Self::Rs256 | Self::Rs384 | Self::Rs512 => AlgorithmFamily::RsaPkcs1,
            Self::Ps256 | Self::Ps384 | Self::Ps512 => AlgorithmFamily::RsaPss,
        }
    }
}

#[cfg(test)]
mod tests;
