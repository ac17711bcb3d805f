//! Reads the claims of an access token, each in its own type and without conversions.
//!
//! A claim that is `null` is absent. What is absent is [missing](TokenFault::ClaimMissing), what has another type or form is
//! [invalid](TokenFault::ClaimInvalid), and both name the claim.

use edge_config::edge::{ClaimPath, ClaimRules};
use identity::{Role, SessionId, SubjectId, TenantId};
use serde_json::{Map, Number, Value};
use uuid::fmt::Hyphenated;

use super::json;
use crate::credential::fault::{Claim, TokenFault};

/// The claims of the payload, each in its one allowed type.
#[derive(Debug)]
pub(crate) struct RawClaims {
    pub(crate) iss: String,
    /// Every audience that the token names.
    pub(crate) audiences: Vec<String>,
    pub(crate) sub: SubjectId,
    pub(crate) sid: SessionId,
    pub(crate) tenant: TenantId,
    pub(crate) role: Role,
    pub(crate) scope: Vec<String>,
    pub(crate) iat: Option<u64>,
    pub(crate) exp: u64,
    pub(crate) nbf: Option<u64>,
}

impl RawClaims {
    /// Reads `payload`, by the names in `rules`.
    ///
    /// # Errors
    /// [`TokenFault::WrongClaims`] for a payload that is not an object of distinct members,
    /// [`TokenFault::ClaimMissing`] and [`TokenFault::ClaimInvalid`].
    pub(super) fn read(payload: &[u8], rules: &ClaimRules) -> Result<Self, TokenFault> {
        let members = json::object(payload).ok_or(TokenFault::WrongClaims)?;
        let named = |name: &str| members.get(name).filter(|value| !value.is_null());
        let needed = |name: &str, claim| named(name).ok_or(TokenFault::ClaimMissing(claim));
        let id = |name: &str, claim| plain_uuid(needed(name, claim)?).ok_or(TokenFault::ClaimInvalid(claim));
        let time = |name: &str, claim, round: fn(f64) -> f64| {
            let read = |value| seconds(value, round).ok_or(TokenFault::ClaimInvalid(claim));
            named(name).map(read).transpose()
        };
        let iss = needed("iss", Claim::Issuer)?.as_str().ok_or(TokenFault::ClaimInvalid(Claim::Issuer))?;
        let audience = at(&members, &rules.audience).ok_or(TokenFault::ClaimMissing(Claim::Audience))?;
        let audiences = texts(audience).ok_or(TokenFault::ClaimInvalid(Claim::Audience))?;
        let (sub, sid) = (id("sub", Claim::Subject)?, id("sid", Claim::Session)?);
        let tenant = id("tenantId", Claim::Tenant)?;
        let role = needed("role", Claim::Role)?.as_u64().and_then(|role| u8::try_from(role).ok());
        let scope = named("scope").map_or(Some(Vec::new()), scopes);
        let iat = time("iat", Claim::Issued, f64::floor)?;
        let exp = time("exp", Claim::Expires, f64::floor)?.ok_or(TokenFault::ClaimMissing(Claim::Expires))?;
        if iat.is_some_and(|iat| exp <= iat) {
            return Err(TokenFault::ClaimInvalid(Claim::Expires));
        }
        Ok(Self {
            iss: iss.to_owned(),
            audiences,
            sub: SubjectId(sub),
            sid: SessionId(sid),
            tenant: TenantId(tenant),
            role: Role(role.ok_or(TokenFault::ClaimInvalid(Claim::Role))?),
            scope: scope.ok_or(TokenFault::ClaimInvalid(Claim::Scopes))?,
            iat,
            exp,
            // Not valid before the next whole second: `now` has no fraction.
            nbf: time("nbf", Claim::NotBefore, f64::ceil)?,
        })
    }
}

/// The value at the end of `path`, unless it is `null`.
fn at<'m>(members: &'m Map<String, Value>, path: &ClaimPath) -> Option<&'m Value> {
    let (first, inner) = path.names().split_first()?;
    let value = inner.iter().try_fold(members.get(first)?, |value, name| value.get(name))?;
    (!value.is_null()).then_some(value)
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
        Value::Array(all) => all.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// A UUID in the one spelling that the issuer writes, `8-4-4-4-12`. Braces, URNs and bare digits are refused.
fn plain_uuid(value: &Value) -> Option<uuid::Uuid> {
    value.as_str()?.parse::<Hyphenated>().map(Hyphenated::into_uuid).ok()
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
    let mut scopes: Vec<String> = Vec::with_capacity(listed.len());
    for scope in listed {
        if scope.is_empty() || !scope.bytes().all(legal) {
            return None;
        }
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    Some(scopes)
}
