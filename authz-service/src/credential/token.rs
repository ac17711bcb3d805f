//! Reads and checks one access token (RFC 9068 profile of a JWT).
//!
//! The three steps cannot be reordered: [`Unverified::read`] splits the text, [`Unverified::verify`] verifies
//! the signature and returns [`SignedClaims`], [`SignedClaims::check`] compares the claims with the
//! expectations of this edge, at a moment. The third step runs on every request, also when the first two are
//! cached.
//!
//! Strict where standards are lax, because a form that is accepted once can never be refused again:
//!
//! * compact serialisation only, three parts, each canonical base64url: no padding, no stray bits;
//! * the header holds `typ`, `alg` and `kid` and nothing else. `crit`, `b64`, `jku`, `x5u`, `jwk`, `x5c`,
//!   `zip`, `enc` are refused instead of skipped: no accepted issuer needs them;
//! * a duplicate member in the header or in the claims is refused, whichever one a parser would choose;
//! * the key decides the algorithm, never the token;
//! * `exp`, `iat`, `sub`, `sid`, `tenantId`, `role`, `iss`, `aud` are required, numbers are non-negative integers;
//! * a member without a reader is still parsed as JSON to its end: no half of a surrogate pair, no number
//!   beyond an `f64`, at most 128 deep, so that no other parser reads the same claims differently;
//! * `aud` may be an array only when its one element is an expected audience: a token for several audiences
//!   could be replayed by each of them.

use std::fmt;
use std::sync::Arc;

use ::lease::Tag;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::UnixTime;
use edge_config::edge::Issuer;
use identity::Person;
use serde::Deserialize;

use crate::credential::fault::TokenFault;
use crate::credential::keys::{KeySet, key_tag};

mod claims;

pub(crate) use claims::RawClaims;

/// Longer tokens are refused unread. The platform's have about 700 bytes; RSA signatures and long scopes add
/// one or two thousand.
pub const MAX_BYTES: usize = 8_192;

/// Longer key ids are refused before they are looked up. A thumbprint (RFC 7638) has 43 bytes.
pub const MAX_KID_BYTES: usize = 128;

/// A token whose signature has not been verified. It proves nothing about its sender.
pub struct Unverified<'t> {
    header: Header,
    /// `header.payload`, the signed text.
    signed: &'t str,
    payload: &'t str,
    signature: &'t str,
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
    kid: String,
}

impl<'t> Unverified<'t> {
    /// Splits `token` into its parts.
    ///
    /// # Errors
    /// [`TokenFault::TooLong`] or [`TokenFault::Malformed`].
    pub fn read(token: &'t [u8]) -> Result<Self, TokenFault> {
        if token.len() > MAX_BYTES {
            return Err(TokenFault::TooLong);
        }
        let token = std::str::from_utf8(token).map_err(|_| TokenFault::Malformed)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        if payload.contains('.') || header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(TokenFault::Malformed);
        }
        let header: Header =
            serde_json::from_slice(&canonical(header)?).map_err(|_| TokenFault::Malformed)?;
        if header.kid.len() > MAX_KID_BYTES {
            return Err(TokenFault::Malformed);
        }
        // The verifier decodes the signature again; here it only has to have the one accepted spelling.
        canonical(signature)?;
        Ok(Self { header, signed, payload, signature })
    }

    /// Verifies the signature with the key that the header names.
    ///
    /// # Errors
    /// [`TokenFault::UnknownKey`], [`TokenFault::WrongAlgorithm`], [`TokenFault::BadSignature`], and
    /// [`TokenFault::WrongClaims`] for a payload that its issuer signed but that is not an access token.
    pub fn verify(self, keys: &KeySet) -> Result<SignedClaims, TokenFault> {
        let key = keys.find(&self.header.kid).ok_or(TokenFault::UnknownKey)?;
        if self.header.alg != key.algorithm_name() {
            return Err(TokenFault::WrongAlgorithm);
        }
        if !key.verifies(self.signed.as_bytes(), self.signature) {
            return Err(TokenFault::BadSignature);
        }
        // Text that is not UTF-8 is not JSON (RFC 8259, section 8.1), even where no string is made of it.
        let payload = String::from_utf8(canonical(self.payload)?).map_err(|_| TokenFault::WrongClaims)?;
        let raw: RawClaims = serde_json::from_str(&payload).map_err(|_| TokenFault::WrongClaims)?;
        SignedClaims::from_raw(self.header, raw).ok_or(TokenFault::WrongClaims)
    }
}

/// The one claim that is read before the signature: it chooses the keys, and proves nothing.
#[derive(Deserialize)]
struct Named {
    iss: String,
}

impl Unverified<'_> {
    /// The issuer that the token names. It is not verified.
    ///
    /// # Errors
    /// [`TokenFault::WrongClaims`] when the claim is missing or duplicated.
    pub fn issuer(&self) -> Result<String, TokenFault> {
        let payload = canonical(self.payload)?;
        serde_json::from_slice(&payload).map(|Named { iss }| iss).map_err(|_| TokenFault::WrongClaims)
    }
}

/// Decodes canonical base64url: the alphabet of RFC 4648 §5, no padding, no bits left over.
pub(crate) fn canonical(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)
}

/// Claims that an issuer signed. They are authentic, and perhaps expired, for another audience, or of another
/// kind of token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedClaims {
    token_type: String,
    issuer: String,
    audience: String,
    issued: u64,
    expires: u64,
    not_before: Option<u64>,
    key: Tag,
    person: Arc<Person>,
}

impl SignedClaims {
    fn from_raw(header: Header, raw: RawClaims) -> Option<Self> {
        let RawClaims { iss, aud, sub, sid, tenant, role, scope, iat, exp, nbf } = raw;
        if exp <= iat {
            return None;
        }
        let person = Person { subject: sub, tenant, session: sid, role, scopes: scope };
        Some(Self {
            token_type: header.typ,
            key: key_tag(&iss, &header.kid),
            issuer: iss,
            audience: aud,
            issued: iat,
            expires: exp,
            not_before: nbf,
            person: Arc::new(person),
        })
    }

    /// The second in which the token was issued (`iat`).
    #[must_use]
    pub const fn issued(&self) -> u64 {
        self.issued
    }

    /// The second that the token expires in (`exp`).
    #[must_use]
    pub const fn expires(&self) -> u64 {
        self.expires
    }

    /// The key that verified the signature.
    #[must_use]
    pub const fn key(&self) -> Tag {
        self.key
    }

    /// The issuer that signed them.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Checks these claims against `rules` at `now`. Times are compared in whole seconds, and the second at
    /// `exp + leeway` is still valid, as in the legacy backend.
    ///
    /// # Errors
    /// [`TokenFault::WrongType`], [`TokenFault::WrongIssuer`], [`TokenFault::WrongAudience`],
    /// [`TokenFault::Expired`] or [`TokenFault::NotYetValid`].
    pub fn check(&self, rules: &Issuer, now: UnixTime) -> Result<&Arc<Person>, TokenFault> {
        if self.token_type != rules.token_type {
            return Err(TokenFault::WrongType);
        }
        if self.issuer != rules.issuer {
            return Err(TokenFault::WrongIssuer);
        }
        if !rules.audiences.contains(&self.audience) {
            return Err(TokenFault::WrongAudience);
        }
        let now = now.seconds();
        let leeway = rules.leeway.as_secs();
        if now > self.expires.saturating_add(leeway) {
            return Err(TokenFault::Expired);
        }
        let earliest = self.not_before.unwrap_or(0).max(self.issued);
        if earliest > now.saturating_add(leeway) {
            return Err(TokenFault::NotYetValid);
        }
        Ok(&self.person)
    }
}
