//! Keys and tokens, including ones that no issuer should create.

use std::path::Path;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding,
};
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

/// An RSA key as most identity providers have one.
pub(crate) struct Rsa {
    pub(crate) kid: String,
    key: rsa::KeyPair,
}

impl Rsa {
    pub(crate) fn generate(kid: &str) -> Self {
        Self { kid: kid.to_owned(), key: rsa::KeyPair::generate(KeySize::Rsa2048).unwrap() }
    }

    /// The bare key: `kty`, `kid`, `n` and `e`, as the widest readable set has it.
    pub(crate) fn jwk(&self) -> Value {
        // RSAPublicKey (RFC 8017, appendix A.1.1) of 2048 bits: two heads, a sign byte, `n`, the head of `e`, `e`.
        let der = self.key.public_key().as_ref();
        json!({ "kty": "RSA", "kid": self.kid, "n": part(&der[9..265]), "e": part(&der[267..]) })
    }

    /// The bare key with `members` beside it.
    pub(crate) fn jwk_with(&self, members: &Value) -> Value {
        let mut jwk = self.jwk();
        jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        jwk
    }

    /// Signs any two texts with RS256, PS256 or RS512.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let padding: &'static dyn RsaEncoding = match header["alg"].as_str().unwrap() {
            "PS256" => &RSA_PSS_SHA256,
            "RS512" => &RSA_PKCS1_SHA512,
            _ => &RSA_PKCS1_SHA256,
        };
        let message = format!("{}.{}", part(header.to_string()), part(claims.to_string()));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", part(signature))
    }

    /// A token whose header has `alg` and the key's `kid`.
    pub(crate) fn token(&self, alg: &str, claims: &Value) -> String {
        self.sign(&json!({ "typ": "at+jwt", "alg": alg, "kid": self.kid }), claims)
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
