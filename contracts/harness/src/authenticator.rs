//! A passkey in software, with the browser before it: it answers the options of a ceremony as a device does, and can be told
//! to answer wrongly.
//!
//! It is written after the standard (WebAuthn level 3, CTAP 2.1) and shares nothing with the library that verifies it, except
//! the writer of CBOR.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value as Cbor;
use serde_json::{Value, json};

/// The person touched it.
const PRESENT: u8 = 0x01;
/// The person showed a PIN, a face or a finger.
const VERIFIED: u8 = 0x04;
/// A key follows.
const ATTESTED: u8 = 0x40;

/// One passkey, not yet registered. Its fields can be changed, to answer as no honest device does.
pub struct Authenticator {
    key: EcdsaKeyPair,
    /// The id of the passkey.
    pub id: Vec<u8>,
    /// The signature counter. It grows with each signature; `None` stays zero, as in devices that synchronise their passkeys.
    pub counter: Option<u32>,
    /// The origin of the page.
    pub origin: String,
    /// The domain that is signed. `None` takes the one of the options.
    pub domain: Option<String>,
    /// Whether the person is present and verified, as bits.
    pub flags: u8,
    /// Replaces the challenge of the options.
    pub challenge: Option<String>,
    /// Replaces the kind of the ceremony.
    pub kind: Option<String>,
    /// The algorithm that a new key claims: ES256.
    pub algorithm: i64,
    /// The person whom the registration named.
    handle: Option<Value>,
}

impl Authenticator {
    /// A new passkey of a page at `origin`.
    ///
    /// # Panics
    /// When the system has no random numbers.
    #[must_use]
    pub fn new(origin: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let mut id = vec![0; 32];
        aws_lc_rs::rand::fill(&mut id).expect("random bytes");
        Self {
            key,
            id,
            counter: Some(0),
            origin: origin.to_owned(),
            domain: None,
            flags: PRESENT | VERIFIED,
            challenge: None,
            kind: None,
            algorithm: -7,
            handle: None,
        }
    }

    /// The id in base64url without padding.
    #[must_use]
    pub fn id_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.id)
    }

    /// Leaves the person unverified: the device asked for no PIN.
    #[must_use]
    pub fn unverified(mut self) -> Self {
        self.flags = PRESENT;
        self
    }

    /// Creates the key that `options` ask for, as the JSON of `navigator.credentials.create`. `None` when the passkey is in
    /// their list of excluded ones.
    pub fn create(&mut self, options: &Value) -> Option<Value> {
        let asked = &options["publicKey"];
        let excluded = asked["excludeCredentials"].as_array().cloned().unwrap_or_default();
        if excluded.iter().any(|known| known["id"] == self.id_text()) {
            return None;
        }
        self.handle = Some(asked["user"]["id"].clone());
        let client = self.client_data(asked, "webauthn.create");
        let mut signed = self.authenticator_data(asked["rp"]["id"].as_str().unwrap_or_default(), ATTESTED);
        signed.extend([0; 16]);
        signed.extend(u16::try_from(self.id.len()).unwrap_or(u16::MAX).to_be_bytes());
        signed.extend(&self.id);
        signed.extend(encoded(&self.public_key()));
        let object = Cbor::Map(vec![
            (Cbor::from("fmt"), Cbor::from("none")),
            (Cbor::from("attStmt"), Cbor::Map(Vec::new())),
            (Cbor::from("authData"), Cbor::Bytes(signed)),
        ]);
        Some(json!({
            "id": self.id_text(),
            "rawId": self.id_text(),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
                "attestationObject": URL_SAFE_NO_PAD.encode(encoded(&object)),
                "transports": ["internal", "hybrid"],
            },
        }))
    }

    /// Signs what `options` ask for, as the JSON of `navigator.credentials.get`.
    ///
    /// # Panics
    /// When the system has no random numbers.
    pub fn get(&mut self, options: &Value) -> Value {
        let asked = &options["publicKey"];
        self.counter = self.counter.map(|counter| counter + 1);
        let client = self.client_data(asked, "webauthn.get");
        let mut signed = self.authenticator_data(asked["rpId"].as_str().unwrap_or_default(), 0);
        let data = URL_SAFE_NO_PAD.encode(&signed);
        signed.extend(digest(&SHA256, client.as_bytes()).as_ref());
        let signature = self.key.sign(&SystemRandom::new(), &signed).expect("a signature");
        json!({
            "id": self.id_text(),
            "rawId": self.id_text(),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
                "authenticatorData": data,
                "signature": URL_SAFE_NO_PAD.encode(signature.as_ref()),
                "userHandle": self.handle,
            },
        })
    }

    fn client_data(&self, asked: &Value, kind: &str) -> String {
        let challenge = self.challenge.clone().map_or_else(|| asked["challenge"].clone(), Value::from);
        let kind = self.kind.as_deref().unwrap_or(kind);
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
    }

    fn authenticator_data(&self, domain: &str, more: u8) -> Vec<u8> {
        let domain = self.domain.as_deref().unwrap_or(domain);
        let mut data = digest(&SHA256, domain.as_bytes()).as_ref().to_vec();
        data.push(self.flags | more);
        data.extend(self.counter.unwrap_or_default().to_be_bytes());
        data
    }

    /// The public key as COSE writes it (RFC 9053 §7.1.1).
    fn public_key(&self) -> Cbor {
        // 4, then 32 bytes of each coordinate.
        let point = self.key.public_key().as_ref();
        let number = |number: i64| Cbor::from(number);
        Cbor::Map(vec![
            (number(1), number(2)),
            (number(3), number(self.algorithm)),
            (number(-1), number(1)),
            (number(-2), Cbor::Bytes(point[1..33].to_vec())),
            (number(-3), Cbor::Bytes(point[33..].to_vec())),
        ])
    }
}

fn encoded(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("CBOR");
    bytes
}
