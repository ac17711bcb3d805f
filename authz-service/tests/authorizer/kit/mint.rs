//! Keys and tokens, also such as nobody should issue.

use std::path::Path;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use identity::assertion::key_id;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::{AUDIENCE, ISSUER, NOW, SESSION, SUBJECT, TENANT};

/// A session key as the auth service has it.
pub(crate) struct Es256 {
    pub(crate) kid: String,
    key: EncodingKey,
    jwk: Jwk,
}

impl Es256 {
    pub(crate) fn generate(kid: &str) -> Self {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EncodingKey::from_ec_der(der.as_ref());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(kid.to_owned());
        Self { kid: kid.to_owned(), key, jwk }
    }

    pub(crate) fn jwk(&self) -> Value {
        serde_json::to_value(&self.jwk).unwrap()
    }

    pub(crate) fn jwks(&self) -> String {
        json!({ "keys": [self.jwk()] }).to_string()
    }

    /// The uncompressed public point, as a PEM holds it after its fixed prefix.
    pub(crate) fn public_point(&self) -> Vec<u8> {
        let jwk = self.jwk();
        let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        [vec![4], part("x"), part("y")].concat()
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": "ES256", "kid": self.kid })
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// Signs any two texts.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        self.sign_bytes(header, claims.as_bytes())
    }

    /// Signs claims that need not be text.
    pub(crate) fn sign_bytes(&self, header: &str, claims: &[u8]) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, Algorithm::ES256).unwrap();
        format!("{message}.{signature}")
    }
}

/// Base64url without padding.
pub(crate) fn part(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The claims of a good access token.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "sid": SESSION, "tenantId": TENANT, "role": 1,
        "scope": "books.read books.list", "iat": NOW - 100, "exp": NOW + 14_300, "jti": "1",
    })
}

/// Good claims with `changes` laid over them; `null` removes one.
pub(crate) fn claims_with(changes: &Value) -> Value {
    let mut all = claims();
    let map = all.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            map.remove(name);
        } else {
            map.insert(name.clone(), value.clone());
        }
    }
    all
}

/// A signing key in a PEM file, for identities.
pub(crate) struct Ed25519 {
    jwk: Jwk,
}

impl Ed25519 {
    pub(crate) fn generate(pem: &Path) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let body = STANDARD.encode(der.as_ref());
        let text = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        secret_file::write(pem, text.as_bytes()).unwrap();
        let key = EncodingKey::from_ed_pem(text.as_bytes()).unwrap();
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap();
        jwk.common.key_id = Some(key_id(&jwk).unwrap());
        Self { jwk }
    }

    pub(crate) fn jwks(&self) -> String {
        serde_json::to_string(&JwkSet { keys: vec![self.jwk.clone()] }).unwrap()
    }
}
