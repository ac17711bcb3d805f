//! The two tokens of a session: JWTs (RFC 7519) signed ES256 with one key. They differ in `typ` and `aud`, so
//! that neither is accepted as the other.

mod keys;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, UnixTime};
use identity::Role;
use identity::assertion::key_id;
use identity::keyset::{self, KeyFileError};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation};
use kit::{SessionId, SubjectId, TenantId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use keys::PublicKeys;

use crate::legacy::session_key::SessionKey;

/// How long an access token is valid: as long as the legacy backend's (`contracts/http/legacy/auth.hurl`).
pub const ACCESS_LIFETIME: Duration = Duration::from_secs(14_400);

/// How long a refresh token is valid: as long as its cookie (`contracts/cookies/session.hurl`).
pub const REFRESH_LIFETIME: Duration = Duration::from_secs(604_800);

/// How long after its `exp` a token is still accepted, as by the legacy backend and as configured at the
/// edge.
pub const LEEWAY: Duration = Duration::from_secs(60);

const ACCESS_TYPE: &str = "at+jwt";
const REFRESH_TYPE: &str = "rt+jwt";

/// The longest token in bytes. A longer one is refused unread; own tokens are under 700 bytes.
const MAX_BYTES: usize = 4_096;

#[derive(Serialize, Deserialize)]
struct AccessClaims {
    iss: String,
    aud: String,
    sub: SubjectId,
    sid: SessionId,
    #[serde(rename = "tenantId")]
    tenant: TenantId,
    role: Role,
    scope: String,
    iat: u64,
    exp: u64,
    jti: Uuid,
}

#[derive(Serialize, Deserialize)]
struct RefreshClaims {
    iss: String,
    aud: String,
    sub: SubjectId,
    sid: SessionId,
    #[serde(rename = "tenantId")]
    tenant: TenantId,
    iat: u64,
    exp: u64,
    jti: Uuid,
}

/// The person a session belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The person.
    pub subject: SubjectId,
    /// The person's tenant.
    pub tenant: TenantId,
    /// The person's current role. It stays in the access token until the next refresh.
    pub role: Role,
}

/// The tokens of a new session, and the values that are stored with it.
pub struct Pair {
    /// The access token, for every request.
    pub access: String,
    /// The refresh token, for the next pair.
    pub refresh: String,
    /// The session of both tokens.
    pub session: SessionId,
    /// `jti` of the refresh token.
    pub refresh_id: Uuid,
    /// `exp` of the access token.
    pub access_expires: UnixTime,
    /// `exp` of the refresh token.
    pub refresh_expires: UnixTime,
    /// The key of a session in the legacy backend's form, to be written into its Redis.
    pub key: Option<SessionKey>,
}

impl Pair {
    /// Returns `iat` of both tokens.
    #[must_use]
    pub fn issued(&self) -> UnixTime {
        UnixTime::from_seconds(self.access_expires.seconds().saturating_sub(ACCESS_LIFETIME.as_secs()))
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("session", &self.session).finish_non_exhaustive()
    }
}

/// The claims of a genuine token. Its signature, type, issuer and audience are right. Its expiry was checked
/// only if the caller requested [`Expiry::Checked`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Genuine {
    /// The token's session.
    pub session: SessionId,
    /// The person.
    pub subject: SubjectId,
    /// The person's tenant.
    pub tenant: TenantId,
    /// `jti`.
    pub id: Uuid,
    /// `iat`.
    pub issued: UnixTime,
    /// `exp`.
    pub expires: UnixTime,
}

/// Whether the expiry of a token is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// A token is refused [`LEEWAY`] after its `exp`.
    Checked,
    /// A token of any age is accepted.
    Ignored,
}

/// The cryptographic library failed. No input of a caller causes this.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SigningFailed(#[from] jsonwebtoken::errors::Error);

/// Issues and verifies tokens.
pub struct Tokens {
    key: EncodingKey,
    key_id: String,
    public: PublicKeys,
    validation: Validation,
    issuer: String,
    audience: String,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("key_id", &self.key_id)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// Signs with the key in `private` (PKCS #8 PEM, P-256) and verifies with the keys in `public` (a JWK
    /// set), which are read again when the file changes.
    ///
    /// # Errors
    /// [`KeyFileError`], also when `public` lacks the signing key: then the edge would refuse every token.
    pub fn from_files(
        private: &Path,
        public: &Path,
        issuer: &str,
        audience: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyFileError> {
        let unusable = |what: String| KeyFileError::Unusable { path: private.to_owned(), what };
        let key = EncodingKey::from_ec_pem(keyset::read_private(private)?.as_bytes())
            .map_err(|e| unusable(format!("not a P-256 private key in PKCS #8 PEM ({e})")))?;
        let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256)
            .map_err(|e| unusable(format!("its public half cannot be derived ({e})")))?;
        let key_id = key_id(&jwk).map_err(unusable)?;
        let public = PublicKeys::open(public, &key_id, private)?;
        let mut validation = Validation::new(Algorithm::ES256);
        // Type, issuer, audience and time are checked in `open`, against the clock argument.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let (issuer, audience) = (issuer.to_owned(), audience.to_owned());
        Ok(Self { key, key_id, public, validation, issuer, audience, clock })
    }

    /// Creates the tokens of a new session for `holder`.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn issue(&self, holder: Holder) -> Result<Pair, SigningFailed> {
        let now = self.clock.now();
        let (access_expires, refresh_expires) = (now.plus(ACCESS_LIFETIME), now.plus(REFRESH_LIFETIME));
        let session = SessionId(Uuid::new_v4());
        let refresh_id = Uuid::new_v4();
        let access = AccessClaims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: holder.subject,
            sid: session,
            tenant: holder.tenant,
            role: holder.role,
            // People have no scopes yet.
            scope: String::new(),
            iat: now.seconds(),
            exp: access_expires.seconds(),
            jti: Uuid::new_v4(),
        };
        let refresh = RefreshClaims {
            iss: self.issuer.clone(),
            // The refresh token is for this service alone.
            aud: self.issuer.clone(),
            sub: holder.subject,
            sid: session,
            tenant: holder.tenant,
            iat: now.seconds(),
            exp: refresh_expires.seconds(),
            jti: refresh_id,
        };
        Ok(Pair {
            access: self.sign(ACCESS_TYPE, &access)?,
            refresh: self.sign(REFRESH_TYPE, &refresh)?,
            session,
            refresh_id,
            access_expires,
            refresh_expires,
            key: None,
        })
    }

    fn sign(&self, kind: &str, claims: &impl Serialize) -> Result<String, SigningFailed> {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(kind.to_owned());
        header.kid = Some(self.key_id.clone());
        Ok(jsonwebtoken::encode(&header, claims, &self.key)?)
    }

    /// Returns the claims of an access token, if it is genuine.
    #[must_use]
    pub fn access(&self, token: &str, expiry: Expiry) -> Option<Genuine> {
        let claims: AccessClaims = self.open(ACCESS_TYPE, token)?;
        let AccessClaims { iss, aud, sub, sid, tenant, role: _, scope: _, iat, exp, jti } = claims;
        (iss == self.issuer && aud == self.audience && self.in_time(exp, expiry))
            .then(|| genuine(sid, sub, tenant, jti, iat, exp))
    }

    /// Returns the claims of a refresh token, if it is genuine.
    #[must_use]
    pub fn refresh(&self, token: &str, expiry: Expiry) -> Option<Genuine> {
        let claims: RefreshClaims = self.open(REFRESH_TYPE, token)?;
        let RefreshClaims { iss, aud, sub, sid, tenant, iat, exp, jti } = claims;
        (iss == self.issuer && aud == self.issuer && self.in_time(exp, expiry))
            .then(|| genuine(sid, sub, tenant, jti, iat, exp))
    }

    fn open<C: DeserializeOwned>(&self, kind: &str, token: &str) -> Option<C> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        if header.typ.as_deref() != Some(kind) || header.alg != Algorithm::ES256 {
            return None;
        }
        let kid = header.kid?;
        let keys = self.public.current();
        let (_, key) = keys.iter().find(|(id, _)| *id == kid)?;
        jsonwebtoken::decode::<C>(token, key, &self.validation).ok().map(|token| token.claims)
    }

    fn in_time(&self, exp: u64, expiry: Expiry) -> bool {
        match expiry {
            Expiry::Checked => {
                self.clock.now().seconds() <= UnixTime::from_seconds(exp).plus(LEEWAY).seconds()
            }
            Expiry::Ignored => true,
        }
    }
}

fn genuine(
    session: SessionId,
    subject: SubjectId,
    tenant: TenantId,
    id: Uuid,
    iat: u64,
    exp: u64,
) -> Genuine {
    let (issued, expires) = (UnixTime::from_seconds(iat), UnixTime::from_seconds(exp));
    Genuine { session, subject, tenant, id, issued, expires }
}
