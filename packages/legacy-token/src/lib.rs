//! The legacy backend's own tokens (`contracts/legacy/sessions.py`): JWTs signed with HS256 under a key of their session
//! alone. The edge and the auth service read them by this one rule.
//!
//! The session's id is read from the still unverified payload, because it chooses the key. Then the signature must match.
//! The claims are checked as in the legacy backend: `exp` is present and an integer, and the marker `_a` (access) or `_r`
//! (refresh) is present as a boolean of either value. `iss` and `sub` are ignored. The legacy backend ignores `iat`, too; here
//! it decides which sessions "all sessions of a person" ends.
//!
//! The rule is stricter only where no genuine token differs: one spelling of base64url, `typ` JWT, no other member of the
//! header, ids that are UUIDs in their usual spelling, no duplicate claim.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::UnixTime;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// A shorter key was not drawn by the legacy backend, whose keys have 86 characters. With an empty key, for example, any
/// client could sign.
pub const MIN_KEY_BYTES: usize = 32;

/// Which of a session's two tokens is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The short-lived one, which each request carries.
    Access,
    /// The long-lived one, which gets the next pair.
    Refresh,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text does not have the form of a token.
    #[error("not a token of the legacy backend")]
    Malformed,
    /// The header names another algorithm than HS256.
    #[error("signed with another algorithm than HS256")]
    WrongAlgorithm,
    /// The session's key is shorter than [`MIN_KEY_BYTES`].
    #[error("the key of the session is too short")]
    ShortKey,
    /// The session's key did not sign the token.
    #[error("the signature does not match")]
    BadSignature,
    /// A claim is missing or has another type, or the token is of the other kind.
    #[error("a claim is missing or has another type")]
    WrongClaims,
    /// The token has expired.
    #[error("expired")]
    Expired,
}

/// A token with an unverified signature.
pub struct Unverified<'t> {
    signed: &'t str,
    signature: Vec<u8>,
    session: Uuid,
    payload: Payload,
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").field("session", &self.session).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
}

#[derive(Deserialize)]
struct Payload {
    id: String,
    user_id: Option<String>,
    iat: Option<Value>,
    exp: Option<Value>,
    #[serde(rename = "_a")]
    access: Option<Value>,
    #[serde(rename = "_r")]
    refresh: Option<Value>,
}

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The session.
    pub session: Uuid,
    /// The person.
    pub subject: Uuid,
    /// When the token was issued; 0 when it does not say.
    pub issued: UnixTime,
    /// The second after which it is refused, apart from a leeway.
    pub expires: UnixTime,
}

impl<'t> Unverified<'t> {
    /// Splits `token` into its parts.
    ///
    /// # Errors
    /// [`Fault::Malformed`] or [`Fault::WrongAlgorithm`].
    pub fn read(token: &'t str) -> Result<Self, Fault> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Fault::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Fault::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Fault::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Fault::Malformed)?;
        if header.alg != "HS256" {
            return Err(Fault::WrongAlgorithm);
        }
        if header.typ != "JWT" {
            return Err(Fault::Malformed);
        }
        let payload: Payload = serde_json::from_slice(&decode(payload)?).map_err(|_| Fault::Malformed)?;
        let session = plain_uuid(&payload.id).ok_or(Fault::Malformed)?;
        Ok(Self { signed, signature: decode(signature)?, session, payload })
    }

    /// The session that the token names.
    #[must_use]
    pub const fn session(&self) -> Uuid {
        self.session
    }

    /// What the token says, without proof. `None` when the person or the expiry is missing.
    #[must_use]
    pub fn claimed(&self) -> Option<Claims> {
        // `1e3` and `1.0` are not integers, here or in the legacy backend.
        let seconds = |claim: &Option<Value>| claim.as_ref().and_then(Value::as_u64);
        Some(Claims {
            session: self.session,
            subject: plain_uuid(self.payload.user_id.as_deref()?)?,
            issued: UnixTime::from_seconds(seconds(&self.payload.iat).unwrap_or(0)),
            expires: UnixTime::from_seconds(seconds(&self.payload.exp)?),
        })
    }

    /// Verifies the signature with the session's `key`, and then the claims of a token of `kind`. The token is valid for
    /// `leeway` after its expiry; without a `leeway` its expiry does not count.
    ///
    /// # Errors
    /// [`Fault`] with the first reason found.
    pub fn verify(
        &self,
        key: &[u8],
        kind: Kind,
        leeway: Option<Duration>,
        now: UnixTime,
    ) -> Result<Claims, Fault> {
        if key.len() < MIN_KEY_BYTES {
            return Err(Fault::ShortKey);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::verify(&key, self.signed.as_bytes(), &self.signature).map_err(|_| Fault::BadSignature)?;
        let claims = self.claimed().ok_or(Fault::WrongClaims)?;
        let marker = match kind {
            Kind::Access => &self.payload.access,
            Kind::Refresh => &self.payload.refresh,
        };
        if !marker.as_ref().is_some_and(Value::is_boolean) {
            return Err(Fault::WrongClaims);
        }
        match leeway {
            Some(leeway) if now.seconds() > claims.expires.plus(leeway).seconds() => Err(Fault::Expired),
            Some(_) | None => Ok(claims),
        }
    }
}

/// A UUID in the one spelling that the legacy backend writes: lower or upper case, with hyphens.
#[must_use]
pub fn plain_uuid(text: &str) -> Option<Uuid> {
    text.parse::<Hyphenated>().ok().map(Hyphenated::into_uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "0192d3c0-0000-4000-8000-0000000000bb";
    const USER: &str = "00000000-0000-7000-8000-0000000000d0";
    const KEY: &[u8; 40] = b"0123456789012345678901234567890123456789";

    fn token(more: &str) -> String {
        let claims = format!(r#"{{"iat":7,"exp":1000,"id":"{SESSION}","user_id":"{USER}"{more}}}"#);
        let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    #[test]
    fn each_kind_has_its_own_marker_and_expiry_counts_only_with_a_leeway() {
        let leeway = Some(Duration::from_secs(60));
        for (more, kind, leeway, now, expected) in [
            (r#","_a":true"#, Kind::Access, leeway, 1_060, Ok(1_000)),
            (r#","_a":true"#, Kind::Access, leeway, 1_061, Err(Fault::Expired)),
            (r#","_a":true"#, Kind::Access, None, 9_999, Ok(1_000)),
            (r#","_a":true"#, Kind::Refresh, leeway, 1_000, Err(Fault::WrongClaims)),
            (r#","_r":false"#, Kind::Refresh, leeway, 1_000, Ok(1_000)),
            (r#","_r":true"#, Kind::Access, leeway, 1_000, Err(Fault::WrongClaims)),
            ("", Kind::Access, leeway, 1_000, Err(Fault::WrongClaims)),
        ] {
            let token = token(more);
            let verified =
                Unverified::read(&token).unwrap().verify(KEY, kind, leeway, UnixTime::from_seconds(now));
            assert_eq!(verified.map(|claims| claims.expires.seconds()), expected, "{more} at {now}");
        }
    }

    #[test]
    fn only_the_sessions_own_long_key_proves_a_token() {
        let token = token(r#","_a":true"#);
        let unverified = Unverified::read(&token).unwrap();
        let verify = |key: &[u8]| unverified.verify(key, Kind::Access, None, UnixTime::from_seconds(1));
        let claims = verify(KEY).unwrap();
        assert_eq!((claims.session.to_string(), claims.subject.to_string()), (SESSION.into(), USER.into()));
        assert_eq!(claims.issued.seconds(), 7);
        assert_eq!(verify(b"another-key-another-key-another-key"), Err(Fault::BadSignature));
        for short in [&b""[..], b"short"] {
            assert_eq!(verify(short), Err(Fault::ShortKey));
        }
    }
}
