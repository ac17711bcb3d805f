//! Keys, each for one algorithm.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How a signature is made (RFC 9421 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// A secret that client and edge share.
    HmacSha256,
    /// A key pair. The edge knows the public half.
    Ed25519,
}

impl Algorithm {
    /// Returns the name in the registry of RFC 9421 §6.2.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Returns the algorithm called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::HmacSha256, Self::Ed25519].into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// Why a text is not a valid key. The error never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not base64 of 32 to 256 bytes.
    #[error("not a secret: base64 of 32 to 256 random bytes, as `openssl rand -base64 32` writes it")]
    Secret,
    /// The key does not have 32 bytes.
    #[error("not an Ed25519 public key: 32 bytes")]
    Public,
    /// The text is not PKCS #8.
    #[error("not an Ed25519 private key in PKCS #8 PEM, as `openssl genpkey -algorithm ed25519` writes it")]
    Private,
}

fn secret(text: &str) -> Result<hmac::Key, KeyError> {
    let bytes = STANDARD.decode(text.trim_ascii()).map_err(|_| KeyError::Secret)?;
    // RFC 2104 §3: a key with fewer bytes than the hash output weakens it.
    if !(32..=256).contains(&bytes.len()) {
        return Err(KeyError::Secret);
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// A key that verifies signatures.
#[derive(Clone)]
pub enum VerifyingKey {
    /// The secret that both sides have (HMAC with SHA-256).
    HmacSha256(Box<hmac::Key>),
    /// A public key.
    Ed25519(UnparsedPublicKey<Vec<u8>>),
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HmacSha256(_) => "hmac-sha256 [redacted]",
            Self::Ed25519(_) => "ed25519",
        })
    }
}

impl VerifyingKey {
    /// Reads the secret that `text` contains in base64.
    ///
    /// # Errors
    /// [`KeyError::Secret`].
    pub fn secret(text: &str) -> Result<Self, KeyError> {
        secret(text).map(Box::new).map(Self::HmacSha256)
    }

    /// Creates the public key with these 32 bytes (`x` of its JWK).
    ///
    /// # Errors
    /// [`KeyError::Public`].
    pub fn public(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != 32 {
            return Err(KeyError::Public);
        }
        Ok(Self::Ed25519(UnparsedPublicKey::new(&ED25519, bytes.to_vec())))
    }

    /// Returns whether `signature` is valid for `base`; in constant time.
    #[must_use]
    pub fn verifies(&self, base: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::HmacSha256(key) => hmac::verify(key, base, signature).is_ok(),
            Self::Ed25519(key) => key.verify(base, signature).is_ok(),
        }
    }
}

/// A key that signs requests.
pub enum SigningKey {
    /// The secret that both sides have (HMAC with SHA-256).
    HmacSha256(Box<hmac::Key>),
    /// A private key.
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [redacted]", self.algorithm().name())
    }
}

impl SigningKey {
    /// Reads the key in `text`: a secret in base64, or an Ed25519 private key in PKCS #8 PEM.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(text: &str) -> Result<Self, KeyError> {
        const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
        const END: &str = "-----END PRIVATE KEY-----";
        if !text.contains("-----BEGIN") {
            return secret(text).map(Box::new).map(Self::HmacSha256);
        }
        let body = text.trim_ascii().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
        let body: String = body.ok_or(KeyError::Private)?.split_ascii_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|_| KeyError::Private)?;
        let pair = Ed25519KeyPair::from_pkcs8(&der)
            .or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der))
            .map_err(|_| KeyError::Private)?;
        Ok(Self::Ed25519(pair))
    }

    /// Returns the key's algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::HmacSha256(_) => Algorithm::HmacSha256,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// Returns a signature over `base`.
    #[must_use]
    pub fn sign(&self, base: &[u8]) -> Vec<u8> {
        match self {
            Self::HmacSha256(key) => hmac::sign(key, base).as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(base).as_ref().to_vec(),
        }
    }
}
