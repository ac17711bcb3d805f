//! Tokens like those of the auth service, and all kinds of invalid ones.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};

/// The development edge's demo tenant.
pub const DEMO_TENANT: &str = "00000000-0000-7000-8000-000000000001";
/// A tenant that is suspended from the start.
pub const SUSPENDED_TENANT: &str = "00000000-0000-7000-8000-000000000002";

/// Seconds since the epoch, by the machine's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a token for a running edge is made for its clock")]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_secs()).unwrap_or_default()
}

/// Mints access tokens with the key of a running edge.
#[derive(Clone)]
pub struct Mint {
    key: EncodingKey,
    kid: String,
}

impl Mint {
    /// The mint of the edge at `home`.
    ///
    /// # Panics
    /// When its keys do not exist.
    #[must_use]
    pub fn of(home: &Path) -> Self {
        let pem = std::fs::read(home.join("keys/session.pem")).expect("the session key is there");
        let jwks =
            std::fs::read(home.join("keys/session.jwks.json")).expect("the public session key is there");
        let set: JwkSet = serde_json::from_slice(&jwks).expect("the public keys are a JWK set");
        let kid = set.keys[0].common.key_id.clone().expect("the key has an id");
        Self { key: EncodingKey::from_ec_pem(&pem).expect("the session key is ES256"), kid }
    }

    /// The id of the key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The header of a good token.
    #[must_use]
    pub fn header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": "ES256", "kid": self.kid })
    }

    /// A good token for a fresh person with `role`.
    #[must_use]
    pub fn good(&self, role: u8) -> String {
        self.sign(&self.header(), &claims(role))
    }

    /// A token with claims that the test edits.
    #[must_use]
    pub fn with(&self, edit: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut claims = claims(0);
        edit(claims.as_object_mut().expect("claims are an object"));
        self.sign(&self.header(), &claims)
    }

    /// Header and claims, signed with the valid key whatever they contain.
    #[must_use]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// Header and claims as text, for JSON that no serialiser would write.
    ///
    /// # Panics
    /// When the signature cannot be made.
    #[must_use]
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, Algorithm::ES256)
            .expect("it can be signed");
        format!("{message}.{signature}")
    }

    /// A token with the given header type, signed by the library.
    ///
    /// # Panics
    /// When the signature cannot be made.
    #[must_use]
    pub fn typed(&self, typ: &str, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).expect("it can be signed")
    }
}

/// The claims of a good access token of the development edge.
#[must_use]
pub fn claims(role: u8) -> Value {
    json!({
        "iss": "https://api.dev-domain.test/auth",
        "aud": "https://api.dev-domain.test",
        "sub": uuid::Uuid::now_v7(),
        "sid": uuid::Uuid::now_v7(),
        "tenantId": DEMO_TENANT,
        "role": role,
        "scope": "",
        "iat": now(),
        "exp": now() + 14_400,
        "jti": uuid::Uuid::now_v7(),
    })
}

/// base64url without padding (RFC 4648 §5).
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
