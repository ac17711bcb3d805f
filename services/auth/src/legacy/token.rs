//! The legacy backend's own tokens: JWTs signed with HS256 under a key of their session alone.
//!
//! The session's id is read from the still unverified payload, because it chooses the key. Then the signature
//! must match. The claims are checked as in the legacy backend: `exp` present and an integer, the marker `_a`
//! (access) or `_r` (refresh) present as a boolean of either value, [`LEEWAY`] after `exp`. `iss` and `sub`
//! are ignored. As at the edge, the header has no other members and ids are UUIDs in their usual spelling.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::UnixTime;
use identity::{SessionId, SubjectId};
use serde::Deserialize;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::token::{Expiry, LEEWAY};

/// Longer tokens are refused unread. The legacy backend's have about 350 bytes.
const MAX_BYTES: usize = 4_096;

/// A shorter key was not drawn by the legacy backend, whose keys have 86 characters. With an empty key, for
/// example, any client could sign.
const MIN_KEY_BYTES: usize = 32;

/// Which of the two tokens is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The access token.
    Access,
    /// The refresh token.
    Refresh,
}

/// A token whose signature has not been verified.
pub struct Unproved<'t> {
    text: &'t str,
    signed: &'t str,
    signature: Vec<u8>,
    session: SessionId,
    claims: Claims,
}

impl fmt::Debug for Unproved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unproved").field("session", &self.session).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    id: String,
    user_id: Option<String>,
    iat: Option<serde_json::Value>,
    exp: Option<serde_json::Value>,
    #[serde(rename = "_a")]
    access: Option<serde_json::Value>,
    #[serde(rename = "_r")]
    refresh: Option<serde_json::Value>,
}

/// The claims of a token with a valid signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The session of the legacy backend.
    pub session: SessionId,
    /// The person.
    pub subject: SubjectId,
    /// When the token was issued; 0 when the token does not say.
    pub issued: UnixTime,
    /// `exp`.
    pub expires: UnixTime,
}

impl<'t> Unproved<'t> {
    /// Splits a token of the legacy backend into its parts. `None` for every other text.
    #[must_use]
    pub fn read(text: &'t str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        if (header.typ.as_str(), header.alg.as_str()) != ("JWT", "HS256") {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&decode(payload)?).ok()?;
        let session = plain_uuid(&claims.id).map(SessionId)?;
        Some(Self { text, signed, signature: decode(signature)?, session, claims })
    }

    /// Returns the token as it was sent.
    #[must_use]
    pub const fn text(&self) -> &'t str {
        self.text
    }

    /// Returns the session that the token names.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Returns the person and the time that the token claims, without proof.
    #[must_use]
    pub fn claimed(&self) -> Option<Proved> {
        let subject = SubjectId(plain_uuid(self.claims.user_id.as_deref()?)?);
        let seconds = |claim: &Option<serde_json::Value>| claim.as_ref().and_then(serde_json::Value::as_u64);
        Some(Proved {
            session: self.session,
            subject,
            issued: UnixTime::from_seconds(seconds(&self.claims.iat).unwrap_or(0)),
            // `1.0` is not an integer, here or in the legacy backend.
            expires: UnixTime::from_seconds(seconds(&self.claims.exp)?),
        })
    }

    /// Returns the claims of a token of `kind`, if the session's `key` signed it. Its expiry is checked at
    /// `now`, if `expiry` says so.
    #[must_use]
    pub fn prove(&self, key: &[u8], kind: Kind, expiry: Expiry, now: UnixTime) -> Option<Proved> {
        if key.len() < MIN_KEY_BYTES {
            return None;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::verify(&key, self.signed.as_bytes(), &self.signature).ok()?;
        let marker = match kind {
            Kind::Access => &self.claims.access,
            Kind::Refresh => &self.claims.refresh,
        };
        if !marker.as_ref().is_some_and(serde_json::Value::is_boolean) {
            return None;
        }
        let claims = self.claimed()?;
        let is_in_time = match expiry {
            Expiry::Checked => now.seconds() <= claims.expires.plus(LEEWAY).seconds(),
            Expiry::Ignored => true,
        };
        is_in_time.then_some(claims)
    }
}

/// A UUID in the one spelling that the legacy backend writes.
fn plain_uuid(text: &str) -> Option<Uuid> {
    text.parse::<Hyphenated>().ok().map(Hyphenated::into_uuid)
}
