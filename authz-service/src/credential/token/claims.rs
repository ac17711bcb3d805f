//! Reads the claims of an access token, without duplicates and without conversions.

use std::fmt;

use identity::{Role, SessionId, SubjectId, TenantId};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use uuid::fmt::Hyphenated;

/// More members than this are refused: the search for a duplicate compares each with all before it.
const MAX_MEMBERS: usize = 64;

/// The claims of the payload, each in its one allowed type.
#[derive(Debug)]
pub(crate) struct RawClaims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: SubjectId,
    pub(crate) sid: SessionId,
    pub(crate) tenant: TenantId,
    pub(crate) role: Role,
    pub(crate) scope: Vec<String>,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    pub(crate) nbf: Option<u64>,
}

impl<'de> Deserialize<'de> for RawClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ClaimsVisitor)
    }
}

struct ClaimsVisitor;

impl<'de> Visitor<'de> for ClaimsVisitor {
    type Value = RawClaims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims of an access token")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawClaims, A::Error> {
        let mut seen: Vec<String> = Vec::with_capacity(12);
        let (mut iss, mut aud, mut sub, mut sid, mut tenant) = (None, None, None, None, None);
        let (mut role, mut scope, mut iat, mut exp, mut nbf) = (None, None, None, None, None);
        while let Some(member) = map.next_key::<String>()? {
            match member.as_str() {
                "iss" => iss = Some(map.next_value::<String>()?),
                "aud" => aud = Some(map.next_value::<OneAudience>()?.0),
                "sub" => sub = Some(SubjectId(map.next_value::<PlainUuid>()?.0)),
                "sid" => sid = Some(SessionId(map.next_value::<PlainUuid>()?.0)),
                "tenantId" => tenant = Some(TenantId(map.next_value::<PlainUuid>()?.0)),
                "role" => role = Some(Role(map.next_value::<u8>()?)),
                "scope" => scope = Some(map.next_value::<Scopes>()?.0),
                "iat" => iat = Some(map.next_value::<u64>()?),
                "exp" => exp = Some(map.next_value::<u64>()?),
                "nbf" => nbf = Some(map.next_value::<u64>()?),
                // Other claims are allowed, but not duplicates or values that parsers read differently.
                _ => {
                    if !is_read_alike(&map.next_value::<Value>()?) {
                        return Err(A::Error::custom("a number too large for a 64-bit float"));
                    }
                }
            }
            if seen.contains(&member) {
                return Err(A::Error::custom("a duplicate claim"));
            }
            if seen.len() == MAX_MEMBERS {
                return Err(A::Error::custom("too many claims"));
            }
            seen.push(member);
        }
        Ok(RawClaims {
            iss: iss.ok_or_else(|| A::Error::missing_field("iss"))?,
            aud: aud.ok_or_else(|| A::Error::missing_field("aud"))?,
            sub: sub.ok_or_else(|| A::Error::missing_field("sub"))?,
            sid: sid.ok_or_else(|| A::Error::missing_field("sid"))?,
            tenant: tenant.ok_or_else(|| A::Error::missing_field("tenantId"))?,
            role: role.ok_or_else(|| A::Error::missing_field("role"))?,
            scope: scope.unwrap_or_default(),
            iat: iat.ok_or_else(|| A::Error::missing_field("iat"))?,
            exp: exp.ok_or_else(|| A::Error::missing_field("exp"))?,
            nbf,
        })
    }
}

/// Whether every program reads `value` as this one does. The value belongs to a claim that nothing here uses,
/// and is checked all the same.
///
/// To skip a value is to trust that it is JSON: the parser passes over half a surrogate pair (`"\ud800"`), a
/// number that no `f64` holds (`1e999`) and a hundred thousand brackets. A program behind the edge may
/// replace, round or refuse them, and then two programs disagree about one token. The platform's own issuer
/// writes none of these, so such claims are refused, wherever they stand. The parser refuses all of them by
/// itself, except for numbers when a crate of the build makes it keep them as written
/// (`arbitrary_precision`).
fn is_read_alike(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(f64::is_finite),
        Value::Array(all) => all.iter().all(is_read_alike),
        Value::Object(fields) => fields.values().all(is_read_alike),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// A UUID in the one spelling that the issuer writes, `8-4-4-4-12`. Braces, URNs and bare digits are refused.
struct PlainUuid(uuid::Uuid);

impl<'de> Deserialize<'de> for PlainUuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse::<Hyphenated>().map(|id| Self(id.into_uuid())).map_err(D::Error::custom)
    }
}

/// An audience: one string, or an array of exactly one.
struct OneAudience(String);

impl<'de> Deserialize<'de> for OneAudience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AudienceVisitor;

        impl<'de> Visitor<'de> for AudienceVisitor {
            type Value = OneAudience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one audience")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneAudience, E> {
                Ok(OneAudience(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneAudience, A::Error> {
                let first = seq.next_element::<String>()?;
                match (first, seq.next_element::<IgnoredAny>()?) {
                    (Some(only), None) => Ok(OneAudience(only)),
                    (None, _) | (Some(_), Some(_)) => Err(A::Error::custom("not exactly one audience")),
                }
            }
        }

        deserializer.deserialize_any(AudienceVisitor)
    }
}

/// Scopes: `scope-token *( SP scope-token )` (RFC 6749 §3.3), or empty. They travel in a header, so
/// characters outside that grammar are refused.
struct Scopes(Vec<String>);

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut scopes: Vec<String> = Vec::new();
        if text.is_empty() {
            return Ok(Self(scopes));
        }
        for scope in text.split(' ') {
            let legal = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            if scope.is_empty() || !scope.bytes().all(legal) {
                return Err(D::Error::custom("not a scope"));
            }
            if !scopes.iter().any(|s| s == scope) {
                scopes.push(scope.to_owned());
            }
        }
        Ok(Self(scopes))
    }
}
