//! The signed identity: a JWT (RFC 7519) with an Ed25519 signature (RFC 8037) that names the caller, made
//! for one audience, valid for a minute.
//!
//! The edge signs one for every authenticated request (`iss` = the edge's name, `aud` = the backend, or all
//! the backends that the route deals its requests to). A service
//! signs one to introduce itself to the edge on the service listener (`iss` = its own name, `aud` = the edge's).
//! Both have their own key, and a verifier ties each issuer to its keys, so neither can speak for the other.

mod claims;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use clock::UnixTime;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};

use crate::audience::Audience;
use crate::form::{Form, Members};
use crate::in_time::is_in_time;
use crate::keyset::{self, KeyFileError};
use crate::principal::{Caller, Service, ServiceName};
use claims::{Claims, Kind, Named, caller};

pub use crate::keyset::key_id;

/// How long a signed identity is valid. Long enough for a queue in front of a backend, short enough that a
/// leaked one is worth little.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// How far the clocks of two machines may differ.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// Longer identities are refused unread. A person with [`MAX_ROLES_BYTES`] of roles and as much of scopes fits.
pub const MAX_BYTES: usize = 40_960;

/// The most bytes that all names of a person's roles have together, and all their scopes: 200 ids of groups, or 9 KB of
/// roles, and some room.
pub const MAX_ROLES_BYTES: usize = 12_288;

/// Signs identities in the name of one issuer.
pub struct Signer {
    issuer: String,
    form: Form,
    header: Header,
    key: EncodingKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("issuer", &self.issuer).field("key", &"[redacted]").finish()
    }
}

/// The library could not produce a signature; nothing the caller sent causes it.
#[derive(Debug, thiserror::Error)]
#[error("the identity could not be signed: {0}")]
pub struct SigningFailed(#[from] jsonwebtoken::errors::Error);

impl Signer {
    /// A signer with the private key in `path` (PKCS #8 PEM, Ed25519), in the name of `issuer`.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file and the fix.
    pub fn from_file(issuer: &str, path: &Path) -> Result<Self, KeyFileError> {
        let (key, kid) = keyset::signing_key(path)?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(kid);
        Ok(Self { issuer: issuer.to_owned(), form: Form::default(), header, key })
    }

    /// The same signer, whose [`Self::sign`] uses `form`.
    #[must_use]
    pub fn in_form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Signs `caller` for `audience` (one name, or an [`Audience`] of several), valid from `now` for
    /// [`LIFETIME`].
    ///
    /// # Errors
    /// [`SigningFailed`] when the cryptographic library fails.
    pub fn sign(
        &self,
        caller: &Caller,
        audience: impl Into<Audience>,
        now: UnixTime,
    ) -> Result<String, SigningFailed> {
        self.sign_as(&self.form, caller, audience, now)
    }

    /// As [`Self::sign`], with the names of `form`.
    ///
    /// # Errors
    /// [`SigningFailed`] when the cryptographic library fails.
    pub fn sign_as(
        &self,
        form: &Form,
        caller: &Caller,
        audience: impl Into<Audience>,
        now: UnixTime,
    ) -> Result<String, SigningFailed> {
        let (kind, sub, tenant, person, client) = match caller {
            Caller::Person(person) => {
                (Kind::Person, person.subject.to_string(), person.tenant.clone(), Some(person), None)
            }
            Caller::Service(service) => {
                (Kind::Service, service.name.to_string(), service.tenant.clone(), None, None)
            }
            Caller::Client(client) => {
                (Kind::Client, client.name.to_string(), client.tenant.clone(), None, Some(client))
            }
        };
        let scopes = person.map(|p| &p.scopes).or(client.map(|c| &c.scopes));
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: audience.into(),
            sub,
            kind,
            sid: person.and_then(|p| p.session.clone()),
            tenant,
            role: person.and_then(|p| p.role).or(client.and_then(|c| c.role)),
            roles: person.map(|p| p.roles.clone()).or(client.map(|c| c.roles.clone())).unwrap_or_default(),
            scope: scopes.map(|scopes| scopes.join(" ")).unwrap_or_default(),
            iat: now.seconds(),
            exp: now.plus(LIFETIME).seconds(),
        };
        let header = Header { typ: Some(form.typ.clone()), ..self.header.clone() };
        Ok(jsonwebtoken::encode(&header, &Named(&claims, form), &self.key)?)
    }
}

/// Why an assertion was refused. A value, not a failure: the sender has not proved its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Not a compact JWT with the right header, or longer than [`MAX_BYTES`].
    #[error("not a signed identity")]
    Malformed,
    /// Signed with a key that this verifier does not know.
    #[error("signed with an unknown key")]
    UnknownKey,
    /// The signature does not fit, or the issuer is not the key's owner.
    #[error("the signature does not verify")]
    BadSignature,
    /// Made for another audience.
    #[error("made for another audience")]
    WrongAudience,
    /// Too old, or from the future, or valid for longer than [`LIFETIME`].
    #[error("not valid at this time")]
    WrongTime,
    /// The claims do not describe a person, a service or a client.
    #[error("the claims do not describe a caller")]
    WrongClaims,
}

struct TrustedKey {
    id: String,
    issuer: String,
    speaks_for: SpeaksFor,
    key: DecodingKey,
}

/// For whom an issuer's word counts.
#[derive(Clone)]
enum SpeaksFor {
    /// The edge, which names any caller.
    Anybody,
    /// A service, which names itself and no other caller.
    Itself(ServiceName),
}

/// A verified assertion: the caller, and when it is valid.
#[derive(Clone, Debug)]
pub struct Proof {
    caller: Caller,
    /// In seconds since 1970, as in the assertion.
    issued: u64,
    /// In seconds since 1970, as in the assertion.
    expires: u64,
}

impl Proof {
    /// The caller, if the assertion is valid at `now`.
    ///
    /// # Errors
    /// [`Rejected::WrongTime`].
    pub fn at(&self, now: UnixTime) -> Result<&Caller, Rejected> {
        if is_in_time(self.issued, self.expires, LIFETIME, now) {
            Ok(&self.caller)
        } else {
            Err(Rejected::WrongTime)
        }
    }
}

/// Verifies identities that trusted issuers made for one audience.
pub struct Verifier {
    audience: String,
    form: Form,
    keys: Vec<TrustedKey>,
    validation: Validation,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers: Vec<_> = self.keys.iter().map(|k| (&k.issuer, &k.id)).collect();
        f.debug_struct("Verifier").field("audience", &self.audience).field("keys", &issuers).finish()
    }
}

impl Verifier {
    /// A verifier for `audience` that trusts no issuer yet.
    #[must_use]
    pub fn new(audience: &str) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Times and audience are checked in `verify`, against the clock that is handed in.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self { audience: audience.to_owned(), form: Form::default(), keys: Vec::new(), validation }
    }

    /// The same verifier for identities in `form`, and in no other.
    #[must_use]
    pub fn reading(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Trusts the edge `issuer` with the public keys in the JWK set `path`: what it signs about anybody counts.
    ///
    /// # Errors
    /// [`KeyFileError`], also when a key is not Ed25519 or its `kid` is already trusted.
    pub fn trust_file(self, issuer: &str, path: &Path) -> Result<Self, KeyFileError> {
        self.trust(issuer, &SpeaksFor::Anybody, path)
    }

    /// Trusts the service `name` with the public keys in the JWK set `path`, about itself alone.
    ///
    /// # Errors
    /// As [`Verifier::trust_file`].
    pub fn trust_service_file(self, name: &ServiceName, path: &Path) -> Result<Self, KeyFileError> {
        self.trust(name.as_str(), &SpeaksFor::Itself(name.clone()), path)
    }

    /// Trusts the service `name` with the public keys in the JWK set `json`, about itself alone.
    ///
    /// # Errors
    /// A sentence, for a key set that cannot be used, see [`keyset::public_keys`]; also when a key is not Ed25519 or its
    /// `kid` is already trusted.
    pub fn trust_service(self, name: &ServiceName, json: &[u8]) -> Result<Self, String> {
        self.trust_keys(name.as_str(), &SpeaksFor::Itself(name.clone()), &keyset::public_keys(json)?)
    }

    fn trust(self, issuer: &str, speaks_for: &SpeaksFor, path: &Path) -> Result<Self, KeyFileError> {
        let keys = keyset::read_public(path)?;
        self.trust_keys(issuer, speaks_for, &keys)
            .map_err(|what| KeyFileError::Unusable { path: path.to_owned(), what })
    }

    fn trust_keys(mut self, issuer: &str, speaks_for: &SpeaksFor, keys: &[Jwk]) -> Result<Self, String> {
        for jwk in keys {
            let id = jwk.common.key_id.clone().unwrap_or_default();
            if jwk.common.key_algorithm != Some(KeyAlgorithm::EdDSA) {
                return Err(format!("key {id:?} is not for EdDSA"));
            }
            if self.keys.iter().any(|k| k.id == id) {
                return Err(format!("key {id:?} is already trusted for another issuer"));
            }
            let key = DecodingKey::from_jwk(jwk).map_err(|e| format!("key {id:?}: {e}"))?;
            self.keys.push(TrustedKey { id, issuer: issuer.to_owned(), speaks_for: speaks_for.clone(), key });
        }
        Ok(self)
    }

    /// Whether it knows the key `kid`.
    #[must_use]
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.id == kid)
    }

    /// The caller that `assertion` names, if it is valid at `now`.
    ///
    /// # Errors
    /// [`Rejected`] with the first reason found.
    pub fn verify(&self, assertion: &str, now: UnixTime) -> Result<Caller, Rejected> {
        self.prove(assertion, now).map(|proof| proof.caller)
    }

    /// The same as a proof, which also tells whether the assertion is valid at a later time.
    ///
    /// # Errors
    /// [`Rejected`] with the first reason found.
    pub fn prove(&self, assertion: &str, now: UnixTime) -> Result<Proof, Rejected> {
        if assertion.len() > MAX_BYTES {
            return Err(Rejected::Malformed);
        }
        let header = jsonwebtoken::decode_header(assertion).map_err(|_| Rejected::Malformed)?;
        if header.typ.as_deref() != Some(self.form.typ.as_str()) || header.alg != Algorithm::EdDSA {
            return Err(Rejected::Malformed);
        }
        let kid = header.kid.as_deref().ok_or(Rejected::Malformed)?;
        let trusted = self.keys.iter().find(|k| k.id == kid).ok_or(Rejected::UnknownKey)?;
        let token = jsonwebtoken::decode::<Members>(assertion, &trusted.key, &self.validation)
            .map_err(|e| if is_json(&e) { Rejected::WrongClaims } else { Rejected::BadSignature })?;
        let claims: Claims = token.claims.read(&self.form).ok_or(Rejected::WrongClaims)?;
        if claims.iss != trusted.issuer {
            return Err(Rejected::BadSignature);
        }
        if !claims.aud.includes(&self.audience) {
            return Err(Rejected::WrongAudience);
        }
        if !is_in_time(claims.iat, claims.exp, LIFETIME, now) {
            return Err(Rejected::WrongTime);
        }
        let (issued, expires) = (claims.iat, claims.exp);
        let proof = Proof { caller: caller(claims)?, issued, expires };
        match (&trusted.speaks_for, &proof.caller) {
            (SpeaksFor::Anybody, _) => Ok(proof),
            // A service cannot choose the tenant that it acts for: that takes a service token.
            (SpeaksFor::Itself(name), Caller::Service(Service { name: service, tenant: None }))
                if name == service =>
            {
                Ok(proof)
            }
            (SpeaksFor::Itself(_), Caller::Service(_) | Caller::Person(_) | Caller::Client(_)) => {
                Err(Rejected::WrongClaims)
            }
        }
    }
}

fn is_json(error: &jsonwebtoken::errors::Error) -> bool {
    matches!(error.kind(), jsonwebtoken::errors::ErrorKind::Json(_))
}

#[cfg(test)]
mod tests;
