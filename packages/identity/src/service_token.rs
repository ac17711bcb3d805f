//! Service tokens: what a service of the platform gets from the auth service for its own assertion, and shows on
//! the service listener instead of it (OAuth 2.0 client credentials, RFC 6749 §4.4; a JWT as RFC 9068 has it).
//!
//! They cannot be taken for anything else: they have a key of their own, so a person's access token (also
//! `at+jwt`) never verifies as one, nor one as a person's; their audience is the edge's name; and a signed
//! identity has another `typ` ([`crate::Form`]).

use std::fmt;
use std::path::Path;
use std::time::Duration;

use clock::UnixTime;
use jsonwebtoken::jwk::KeyAlgorithm;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::assertion::{Rejected, SigningFailed};
use crate::id::TenantId;
use crate::in_time::is_in_time;
use crate::keyset::{self, KeyFileError};
use crate::principal::ServiceName;

/// The `typ` of the header (RFC 9068 §2.1).
pub const TOKEN_TYPE: &str = "at+jwt";

/// The longest accepted life: a service that loses a permission keeps it for at most this long, and the edge
/// file ends it earlier.
pub const MAX_LIFETIME: Duration = Duration::from_secs(900);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: ServiceName,
    client_id: ServiceName,
    #[serde(rename = "serviceId")]
    id: ServiceName,
    #[serde(rename = "serviceName")]
    name: ServiceName,
    permissions: Vec<String>,
    #[serde(default, rename = "tenantId", skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantId>,
    iat: u64,
    exp: u64,
    jti: String,
}

/// Longer tokens, and longer assertions of services about themselves, are refused unread.
pub const MAX_BYTES: usize = 4_096;

/// The claims of a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceToken {
    /// The service that got it from the auth service, and calls with it.
    pub service: ServiceName,
    /// What it may do.
    pub permissions: Vec<String>,
    /// For which tenant it acts; absent when it acts for the platform.
    pub tenant: Option<TenantId>,
}

/// Issues service tokens.
pub struct Issuer {
    issuer: String,
    audience: String,
    header: Header,
    key: EncodingKey,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("key", &"[redacted]")
            .finish()
    }
}

impl Issuer {
    /// An issuer with the private key in `path` (PKCS #8 PEM, Ed25519), whose tokens are for the edge called
    /// `audience`.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file and the fix.
    pub fn from_file(issuer: &str, audience: &str, path: &Path) -> Result<Self, KeyFileError> {
        let (key, kid) = keyset::signing_key(path)?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(kid);
        Ok(Self { issuer: issuer.to_owned(), audience: audience.to_owned(), header, key })
    }

    /// A token with the claims of `token`, valid from `now` for `lifetime`, at most [`MAX_LIFETIME`]. `id` must be
    /// unique.
    ///
    /// # Errors
    /// [`SigningFailed`] when the cryptographic library fails.
    pub fn issue(
        &self,
        token: &ServiceToken,
        id: &str,
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<String, SigningFailed> {
        let service = || token.service.clone();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: service(),
            client_id: service(),
            id: service(),
            name: service(),
            permissions: token.permissions.clone(),
            tenant: token.tenant.clone(),
            iat: now.seconds(),
            exp: now.plus(lifetime.min(MAX_LIFETIME)).seconds(),
            jti: id.to_owned(),
        };
        Ok(jsonwebtoken::encode(&self.header, &claims, &self.key)?)
    }
}

/// Verifies service tokens of one issuer, for one edge.
pub struct TokenVerifier {
    issuer: String,
    audience: String,
    keys: Vec<(String, DecodingKey)>,
    validation: Validation,
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|(id, _)| id).collect();
        f.debug_struct("TokenVerifier").field("issuer", &self.issuer).field("keys", &ids).finish()
    }
}

impl TokenVerifier {
    /// A verifier for tokens of `issuer` with the public keys in the JWK set `path`, for the edge `audience`.
    ///
    /// # Errors
    /// [`KeyFileError`], also when a key is not Ed25519.
    pub fn from_file(issuer: &str, audience: &str, path: &Path) -> Result<Self, KeyFileError> {
        let json = keyset::read(path)?;
        Self::from_json(issuer, audience, &json)
            .map_err(|what| KeyFileError::Unusable { path: path.to_owned(), what })
    }

    /// The same with the JWK set `json`.
    ///
    /// # Errors
    /// A sentence, for a key set that cannot be used, see [`keyset::public_keys`], or a key that is not Ed25519.
    pub fn from_json(issuer: &str, audience: &str, json: &[u8]) -> Result<Self, String> {
        let mut keys = Vec::new();
        for jwk in keyset::public_keys(json)? {
            let id = jwk.common.key_id.clone().unwrap_or_default();
            if jwk.common.key_algorithm != Some(KeyAlgorithm::EdDSA) {
                return Err(format!("key {id:?} is not for EdDSA"));
            }
            let key = DecodingKey::from_jwk(&jwk).map_err(|e| format!("key {id:?}: {e}"))?;
            keys.push((id, key));
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Times and audience are checked in `verify`, against the clock that is handed in.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Ok(Self { issuer: issuer.to_owned(), audience: audience.to_owned(), keys, validation })
    }

    /// The claims of `token`, if it is valid at `now`.
    ///
    /// # Errors
    /// [`Rejected`] with the first reason found.
    pub fn verify(&self, token: &str, now: UnixTime) -> Result<ServiceToken, Rejected> {
        if token.len() > MAX_BYTES {
            return Err(Rejected::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Rejected::Malformed)?;
        if header.typ.as_deref() != Some(TOKEN_TYPE) || header.alg != Algorithm::EdDSA {
            return Err(Rejected::Malformed);
        }
        let kid = header.kid.ok_or(Rejected::Malformed)?;
        let (_, key) = self.keys.iter().find(|(id, _)| *id == kid).ok_or(Rejected::UnknownKey)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .map_err(|error| {
                let is_json = matches!(error.kind(), jsonwebtoken::errors::ErrorKind::Json(_));
                if is_json { Rejected::WrongClaims } else { Rejected::BadSignature }
            })?
            .claims;
        if claims.iss != self.issuer {
            return Err(Rejected::WrongClaims);
        }
        if claims.aud != self.audience {
            return Err(Rejected::WrongAudience);
        }
        if !is_in_time(claims.iat, claims.exp, MAX_LIFETIME, now) {
            return Err(Rejected::WrongTime);
        }
        let Claims { sub, client_id, id, name, permissions, tenant, .. } = claims;
        // All four are the registered name; a token in which they differ names no service.
        if client_id != sub || id != sub || name != sub || sub.as_str().parse::<ServiceName>().is_err() {
            return Err(Rejected::WrongClaims);
        }
        Ok(ServiceToken { service: sub, permissions, tenant })
    }
}
