//! Reads and checks one access token (RFC 9068 profile of a JWT).
//!
//! The three steps cannot be reordered: [`Unverified::read`] splits the text, [`Unverified::verify`] verifies
//! the signature and returns [`SignedClaims`], [`SignedClaims::check`] compares the claims with the
//! expectations of this edge, at a moment. The third step runs on every request, also when the first two are
//! cached.
//!
//! Strict where no provider needs laxness, because a form that is accepted once can never be refused again:
//!
//! * compact serialisation only, three parts, each canonical base64url: no padding, no stray bits;
//! * the header needs an `alg`. `kid` and `typ` are optional, other members are ignored (RFC 7515 §4): `jku`, `x5u`, `jwk`
//!   and `x5c` are never followed, because keys come from the issuer's own source only. `crit` is refused, because no
//!   extension is implemented (RFC 7515 §4.1.11); so are `enc`, which marks an encrypted token (RFC 7516 §9), and a `b64`
//!   other than true, which would change the signed bytes (RFC 7797);
//! * a duplicate member is refused, in the header and in the claims, at every depth ([`json`]);
//! * the key decides the algorithm, never the token;
//! * issuer, audience, end, subject and tenant are required, and what the edge file requires beyond; times may have a
//!   fraction (RFC 7519 §2);
//! * one of several audiences is enough (RFC 7519 §4.1.3).

use std::fmt;
use std::sync::Arc;

use ::lease::Tag;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::UnixTime;
use edge_config::edge::{ClaimRules, Issuer};
use identity::{Person, SessionId, TenantId};
use serde::Deserialize;
use serde_json::Value;

use crate::credential::fault::{Claim, TokenFault};
use crate::credential::keys::{KeySet, MAX_KID_BYTES, key_tag};

mod claims;
mod examine;
mod json;

pub(in crate::credential) use claims::Claims;
pub(crate) use claims::{RawClaims, SessionOf};
pub(in crate::credential) use examine::Expected;
pub use examine::{Check, Outcome};

/// No issuer may have longer tokens: they must fit into Envoy's 60 KiB of headers. The issuer's own limit is
/// [`Issuer::max_token_bytes`].
pub const MAX_BYTES: usize = 49_152;

/// A token whose signature has not been verified. It proves nothing about its sender.
pub struct Unverified<'t> {
    header: Header,
    /// `header.payload`, the signed text.
    signed: &'t str,
    payload: &'t str,
    signature: Vec<u8>,
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").finish_non_exhaustive()
    }
}

struct Header {
    typ: Option<Box<str>>,
    alg: String,
    kid: Option<String>,
}

impl Header {
    fn read(text: &[u8]) -> Option<Self> {
        let members = json::object(text)?;
        let text = |name: &str| match members.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.as_str())),
            Some(_) => None,
        };
        let changes_meaning = members.contains_key("crit")
            || members.contains_key("enc")
            || members.get("b64").is_some_and(|b64| *b64 != Value::Bool(true));
        if changes_meaning {
            return None;
        }
        let (typ, alg, kid) = (text("typ")?, text("alg")??, text("kid")?);
        if kid.is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
            return None;
        }
        Some(Self { typ: typ.map(Box::from), alg: alg.to_owned(), kid: kid.map(str::to_owned) })
    }
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
        let header = Header::read(&canonical(header)?).ok_or(TokenFault::Malformed)?;
        let signature = canonical(signature)?;
        Ok(Self { header, signed, payload, signature })
    }

    /// Verifies the signature with the key that the header chooses, and reads the claims by `rules`.
    ///
    /// # Errors
    /// [`TokenFault::UnknownKey`], [`TokenFault::WrongAlgorithm`], [`TokenFault::BadSignature`], and for a payload that
    /// its issuer signed but that is not an access token [`TokenFault::WrongClaims`], [`TokenFault::ClaimMissing`] or
    /// [`TokenFault::ClaimInvalid`].
    pub fn verify(self, keys: &KeySet, rules: &Arc<ClaimRules>) -> Result<SignedClaims, TokenFault> {
        let Self { header, signed, payload, signature } = self;
        let chosen = keys.choose(header.kid.as_deref(), &header.alg)?;
        if !chosen.verifies(signed.as_bytes(), &signature) {
            // A key without `kid` was only presumed to be the one that the token names.
            let presumed = header.kid.is_some() && chosen.key.kid().is_none();
            return Err(if presumed { TokenFault::UnknownKey } else { TokenFault::BadSignature });
        }
        let payload = canonical(payload)?;
        let RawClaims { iss, audiences, subject, session, tenant, role, roles, scopes, iat, exp, nbf } =
            RawClaims::read(&payload, rules)?;
        Ok(SignedClaims {
            token_type: header.typ,
            key: key_tag(&iss, &chosen.key.id()),
            issuer: iss.into(),
            audiences,
            issued: iat.unwrap_or(0),
            expires: exp,
            not_before: nbf.unwrap_or(0),
            person: Arc::new(Person { subject, tenant, session, role, roles, scopes }),
            rules: Arc::clone(rules),
        })
    }
}

/// The one claim that is read before the signature: it chooses the keys, and proves nothing.
#[derive(Deserialize)]
struct Named {
    iss: Option<Value>,
}

impl Unverified<'_> {
    /// The issuer that the token names. It is not verified.
    ///
    /// # Errors
    /// [`TokenFault::ClaimMissing`] or [`TokenFault::ClaimInvalid`], and [`TokenFault::WrongClaims`] when the claim is
    /// duplicated.
    pub fn issuer(&self) -> Result<String, TokenFault> {
        let payload = canonical(self.payload)?;
        let Named { iss } = serde_json::from_slice(&payload).map_err(|_| TokenFault::WrongClaims)?;
        match iss {
            Some(Value::String(iss)) => Ok(iss),
            None | Some(Value::Null) => Err(TokenFault::ClaimMissing(Claim::Issuer)),
            Some(_) => Err(TokenFault::ClaimInvalid(Claim::Issuer)),
        }
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
    token_type: Option<Box<str>>,
    issuer: Box<str>,
    audiences: Vec<String>,
    issued: u64,
    expires: u64,
    /// `nbf`; 0 without one, which is always in the past.
    not_before: u64,
    key: Tag,
    person: Arc<Person>,
    rules: Arc<ClaimRules>,
}

impl SignedClaims {
    /// Whether the claims were read by `rules`.
    #[must_use]
    pub fn are_read_by(&self, rules: &Arc<ClaimRules>) -> bool {
        Arc::ptr_eq(&self.rules, rules) || self.rules == *rules
    }

    /// The second in which the token was issued (`iat`); 0 when it does not say, so that a revocation of everything
    /// issued before a moment ends it too.
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

    /// The rules by which they were read.
    #[must_use]
    pub const fn rules(&self) -> &Arc<ClaimRules> {
        &self.rules
    }

    /// How many bytes the claims take beside their own size.
    #[must_use]
    pub fn allocated(&self) -> usize {
        let texts = |all: &[String]| all.iter().map(|text| text.len() + size_of::<String>()).sum::<usize>();
        let Person { subject, tenant, session, role: _, roles, scopes } = self.person.as_ref();
        subject.allocated()
            + tenant.as_ref().map_or(0, TenantId::allocated)
            + session.as_ref().map_or(0, SessionId::allocated)
            + texts(roles)
            + texts(scopes)
            + texts(&self.audiences)
            + self.issuer.len()
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
        if !rules.token_types.accept(self.token_type.as_deref()) {
            return Err(TokenFault::WrongType);
        }
        if *self.issuer != *rules.issuer {
            return Err(TokenFault::WrongIssuer);
        }
        if !self.audiences.iter().any(|named| rules.audiences.contains(named)) {
            return Err(TokenFault::WrongAudience);
        }
        let now = now.seconds();
        let leeway = rules.leeway.as_secs();
        if now > self.expires.saturating_add(leeway) {
            return Err(TokenFault::Expired);
        }
        let latest = now.saturating_add(leeway);
        if self.issued > latest {
            return Err(TokenFault::NotYetValid(Claim::Issued));
        }
        if self.not_before > latest {
            return Err(TokenFault::NotYetValid(Claim::NotBefore));
        }
        Ok(&self.person)
    }
}
