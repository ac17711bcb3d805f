//! Reads the claims of an access token, each in its own type and without conversions, by the names that the edge file gives.
//!
//! A claim that is `null` is absent. What is absent and required is [missing](TokenFault::ClaimMissing), what has another
//! type or form is [invalid](TokenFault::ClaimInvalid), and both name the claim.

use std::collections::HashSet;
use std::str::FromStr;

use edge_config::edge::{ClaimPath, ClaimRules, MappedClaim, TenantRule};
use identity::assertion::MAX_ROLES_BYTES;
use identity::principal::is_role_name;
use identity::{Role, SessionId, SubjectId, TenantId};
use serde_json::{Map, Number, Value};

use super::json;
use crate::credential::fault::{Claim, TokenFault};

/// The claims of the payload, each in its one allowed type.
#[derive(Debug)]
pub(crate) struct RawClaims {
    pub(crate) iss: String,
    /// Every audience that the token names.
    pub(crate) audiences: Vec<String>,
    pub(crate) subject: SubjectId,
    pub(crate) session: Option<SessionId>,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) role: Option<Role>,
    pub(crate) roles: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) iat: Option<u64>,
    pub(crate) exp: u64,
    pub(crate) nbf: Option<u64>,
}

impl RawClaims {
    /// Reads `payload` by `rules`.
    ///
    /// # Errors
    /// [`TokenFault::WrongClaims`] for a payload that is not an object of distinct members,
    /// [`TokenFault::ClaimMissing`] and [`TokenFault::ClaimInvalid`].
    pub(super) fn read(payload: &[u8], rules: &ClaimRules) -> Result<Self, TokenFault> {
        let claims = Claims::of(payload, rules)?;
        let (iat, exp) = claims.times()?;
        Ok(Self {
            iss: claims.issuer()?,
            audiences: claims.audiences()?,
            subject: claims.subject()?,
            tenant: claims.tenant()?,
            session: claims.session()?,
            role: claims.role()?,
            roles: claims.roles()?,
            scopes: claims.scopes()?,
            iat,
            exp,
            nbf: claims.not_before()?,
        })
    }
}

/// The claims that say whose session a token belongs to.
#[derive(Clone, Debug)]
pub(crate) struct SessionOf {
    pub(crate) subject: SubjectId,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) session: Option<SessionId>,
    pub(crate) iat: Option<u64>,
}

impl SessionOf {
    /// Reads `payload`, of an access token or a refresh token, by `rules`. `None` when a claim is missing or invalid.
    pub(crate) fn read(payload: &[u8], rules: &ClaimRules) -> Option<Self> {
        let claims = Claims::of(payload, rules).ok()?;
        Some(Self {
            subject: claims.subject().ok()?,
            tenant: claims.tenant().ok()?,
            session: claims.session().ok()?,
            iat: claims.times().ok()?.0,
        })
    }
}

/// The claims of one payload, or of an answer about an opaque token, by the names in the rules.
pub(in crate::credential) struct Claims<'r> {
    members: Map<String, Value>,
    rules: &'r ClaimRules,
}

impl<'r> Claims<'r> {
    pub(in crate::credential) fn of(payload: &[u8], rules: &'r ClaimRules) -> Result<Self, TokenFault> {
        let members = json::object(payload).ok_or(TokenFault::WrongClaims)?;
        Ok(Self { members, rules })
    }

    /// Whether each claim is there, each read by itself.
    pub(super) fn each(&self) -> [(Claim, Result<bool, TokenFault>); 11] {
        [
            (Claim::Issuer, self.named_issuer().map(|iss| iss.is_some())),
            (Claim::Audience, self.audiences().map(|_| true)),
            (Claim::Issued, self.moments().map(|(iat, _)| iat.is_some())),
            (Claim::Expires, self.moments().map(|(_, exp)| exp.is_some())),
            (Claim::NotBefore, self.not_before().map(|nbf| nbf.is_some())),
            (Claim::Subject, self.subject().map(|_| true)),
            (Claim::Tenant, self.tenant().map(|tenant| tenant.is_some())),
            (Claim::Session, self.session().map(|session| session.is_some())),
            (Claim::Role, self.role().map(|role| role.is_some())),
            (Claim::Roles, self.roles().map(|roles| !roles.is_empty())),
            (Claim::Scopes, self.scopes().map(|scopes| !scopes.is_empty())),
        ]
    }

    pub(super) fn issuer(&self) -> Result<String, TokenFault> {
        self.named_issuer()?.ok_or(TokenFault::ClaimMissing(Claim::Issuer))
    }

    /// The issuer, if one is named.
    pub(in crate::credential) fn named_issuer(&self) -> Result<Option<String>, TokenFault> {
        let text =
            |iss: &Value| iss.as_str().map(str::to_owned).ok_or(TokenFault::ClaimInvalid(Claim::Issuer));
        self.named("iss").map(text).transpose()
    }

    /// `active` of an answer (RFC 7662 §2.2); `None` when it is neither `true` nor `false`.
    pub(in crate::credential) fn is_active(&self) -> Option<bool> {
        self.named("active").and_then(Value::as_bool)
    }

    pub(in crate::credential) fn audiences(&self) -> Result<Vec<String>, TokenFault> {
        let value = self.at(&self.rules.audience).ok_or(TokenFault::ClaimMissing(Claim::Audience))?;
        texts(value).ok_or(TokenFault::ClaimInvalid(Claim::Audience))
    }

    /// `iat` and `exp`.
    pub(super) fn times(&self) -> Result<(Option<u64>, u64), TokenFault> {
        let (iat, exp) = self.moments()?;
        Ok((iat, exp.ok_or(TokenFault::ClaimMissing(Claim::Expires))?))
    }

    /// `iat` and `exp`, as far as they are named.
    pub(in crate::credential) fn moments(&self) -> Result<(Option<u64>, Option<u64>), TokenFault> {
        let iat = self.time("iat", Claim::Issued, f64::floor)?;
        let exp = self.time("exp", Claim::Expires, f64::floor)?;
        if iat.zip(exp).is_some_and(|(iat, exp)| exp <= iat) {
            return Err(TokenFault::ClaimInvalid(Claim::Expires));
        }
        Ok((iat, exp))
    }

    pub(in crate::credential) fn not_before(&self) -> Result<Option<u64>, TokenFault> {
        // Not valid before the next whole second: `now` has no fraction.
        self.time("nbf", Claim::NotBefore, f64::ceil)
    }

    pub(in crate::credential) fn subject(&self) -> Result<SubjectId, TokenFault> {
        let id = self.at(&self.rules.subject).ok_or(TokenFault::ClaimMissing(Claim::Subject))?;
        id_in(id).ok_or(TokenFault::ClaimInvalid(Claim::Subject))
    }

    /// The tenant that the token or its issuer has. One that comes from the host name is found with the request.
    pub(in crate::credential) fn tenant(&self) -> Result<Option<TenantId>, TokenFault> {
        match &self.rules.tenant {
            TenantRule::Absent | TenantRule::Host(_) => Ok(None),
            TenantRule::Constant(tenant) => Ok(Some(tenant.clone())),
            TenantRule::Claim(path) => self.mapped(Some(path), MappedClaim::Tenant, Claim::Tenant, id_in),
        }
    }

    pub(in crate::credential) fn session(&self) -> Result<Option<SessionId>, TokenFault> {
        self.mapped(self.rules.session.as_ref(), MappedClaim::Session, Claim::Session, id_in)
    }

    pub(in crate::credential) fn role(&self) -> Result<Option<Role>, TokenFault> {
        let read = |value: &Value| value.as_u64().and_then(|role| u8::try_from(role).ok()).map(Role);
        self.mapped(self.rules.role.as_ref(), MappedClaim::Role, Claim::Role, read)
    }

    pub(in crate::credential) fn roles(&self) -> Result<Vec<String>, TokenFault> {
        let found = self.mapped(self.rules.roles.as_ref(), MappedClaim::Roles, Claim::Roles, roles)?;
        Ok(found.unwrap_or_default())
    }

    pub(in crate::credential) fn scopes(&self) -> Result<Vec<String>, TokenFault> {
        let found = self.mapped(self.rules.scopes.as_ref(), MappedClaim::Scopes, Claim::Scopes, scopes)?;
        Ok(found.unwrap_or_default())
    }

    /// The claim at `path`, which may be absent unless the rules require it.
    fn mapped<T>(
        &self,
        path: Option<&ClaimPath>,
        name: MappedClaim,
        claim: Claim,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, TokenFault> {
        match path.and_then(|path| self.at(path)) {
            None if self.rules.required.contains(&name) => Err(TokenFault::ClaimMissing(claim)),
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or(TokenFault::ClaimInvalid(claim)),
        }
    }

    fn named(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// The value at the end of `path`, unless it is `null`.
    fn at(&self, path: &ClaimPath) -> Option<&Value> {
        let (first, inner) = path.names().split_first()?;
        let value = inner.iter().try_fold(self.members.get(first)?, |value, name| value.get(name))?;
        (!value.is_null()).then_some(value)
    }

    fn time(&self, name: &str, claim: Claim, round: fn(f64) -> f64) -> Result<Option<u64>, TokenFault> {
        let read = |value| seconds(value, round).ok_or(TokenFault::ClaimInvalid(claim));
        self.named(name).map(read).transpose()
    }
}

/// A `NumericDate` (RFC 7519 §2): seconds, perhaps with a fraction, which `round` turns into whole ones.
fn seconds(value: &Value, round: fn(f64) -> f64) -> Option<u64> {
    /// Up to here every whole number is an `f64`.
    const MOST: f64 = 9_007_199_254_740_992.0;
    let number: &Number = value.as_number()?;
    if let Some(whole) = number.as_u64() {
        return Some(whole);
    }
    let rounded = round(number.as_f64()?);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number within the bounds"
    )]
    (0.0..=MOST).contains(&rounded).then_some(rounded as u64)
}

/// One text, or a list of them.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(all) => {
            let texts: Option<Vec<String>> = all.iter().map(|one| one.as_str().map(str::to_owned)).collect();
            texts.map(kept)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// `texts` without spare room: claims stay in the cache of verified tokens, where a list that was collected keeps room for
/// four texts (96 bytes) otherwise.
fn kept(mut texts: Vec<String>) -> Vec<String> {
    texts.shrink_to_fit();
    texts
}

/// An id: a text, by the rules of [`identity::id`]. A number is not one: `1` and `1.0` would be the same id, or not.
fn id_in<T: FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.parse().ok()
}

/// More roles than this are refused: an issuer that lists 200 groups is known, one with a thousand should not put them into
/// each request.
const MAX_ROLES: usize = 512;

/// Names of roles: a list, or one text with commas between the names, as the header has them. A name that cannot be
/// written into that header is refused, in a list also one with a comma: `reader,admin` would be read as two.
fn roles(value: &Value) -> Option<Vec<String>> {
    let listed: Vec<&str> = match value {
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => text.split(',').map(|name| name.trim_matches(' ')).collect(),
        Value::Array(all) => all.iter().map(Value::as_str).collect::<Option<_>>()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let bytes: usize = listed.iter().map(|name| name.len()).sum();
    if listed.len() > MAX_ROLES || bytes > MAX_ROLES_BYTES || !listed.iter().all(|name| is_role_name(name)) {
        return None;
    }
    Some(distinct(&listed))
}

/// Each text once, in order.
fn distinct(listed: &[&str]) -> Vec<String> {
    let mut seen = HashSet::with_capacity(listed.len());
    kept(listed.iter().filter(|one| seen.insert(**one)).map(|one| (*one).to_owned()).collect())
}

/// Scopes: `scope-token *( SP scope-token )` (RFC 6749 §3.3), empty, or a list of such tokens. They travel in a header, so
/// characters outside that grammar are refused.
fn scopes(value: &Value) -> Option<Vec<String>> {
    let listed: Vec<&str> = match value {
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => text.split(' ').collect(),
        Value::Array(all) => all.iter().map(Value::as_str).collect::<Option<_>>()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let legal = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let bytes: usize = listed.iter().map(|scope| scope.len()).sum();
    if bytes > MAX_ROLES_BYTES || !listed.iter().all(|scope| !scope.is_empty() && scope.bytes().all(legal)) {
        return None;
    }
    Some(distinct(&listed))
}
