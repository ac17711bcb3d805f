//! Key files: a private key is PKCS #8 PEM (RFC 5958), public keys are a JWK set (RFC 7517 §5).

use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey};
use secret_file::{MAX_KEY_BYTES, Secret, SecretFileError};

/// A key file that cannot be used. The message names the file and what to do, never the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file is missing or unreadable.
    #[error("cannot read the key file {path}: {source}; `cutover keys` makes the missing ones")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A private key that other users can read, or whose size no key has.
    #[error(transparent)]
    Exposed(SecretFileError),
    /// The content does not match the name of the file.
    #[error("{path}: {what}; remove the file and run `cutover keys` to make a new one")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What the content lacks, as a sentence without the path.
        what: String,
    },
}

/// Reads the private key in `path`, which no other user may be able to read.
///
/// # Errors
/// [`KeyFileError::Unreadable`] or [`KeyFileError::Exposed`], naming the file and the fix.
pub fn read_private(path: &Path) -> Result<Secret, KeyFileError> {
    secret_file::read(path, MAX_KEY_BYTES).map_err(|error| match error {
        SecretFileError::Unreadable { path, source } => KeyFileError::Unreadable { path, source },
        SecretFileError::Exposed { .. } | SecretFileError::TooLarge { .. } => KeyFileError::Exposed(error),
    })
}

/// Reads the Ed25519 key in `path`, a private key in PKCS #8 PEM, and returns it with its [`key_id`].
///
/// # Errors
/// [`KeyFileError`], naming the file and the fix.
pub(crate) fn signing_key(path: &Path) -> Result<(EncodingKey, String), KeyFileError> {
    let pem = read_private(path)?;
    let unusable = |what: String| KeyFileError::Unusable { path: path.to_owned(), what };
    let key = EncodingKey::from_ed_pem(pem.as_bytes())
        .map_err(|e| unusable(format!("not an Ed25519 private key in PKCS #8 PEM ({e})")))?;
    let jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA)
        .map_err(|e| unusable(format!("its public half cannot be derived ({e})")))?;
    let kid = key_id(&jwk).map_err(unusable)?;
    Ok((key, kid))
}

/// The RFC 7638 thumbprint of a public key, which serves as its `kid`.
///
/// # Errors
/// A sentence, for a kind of key that has no thumbprint.
pub fn key_id(jwk: &Jwk) -> Result<String, String> {
    jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256)
        .map_err(|e| format!("it has no thumbprint ({e})"))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    std::fs::read(path).map_err(|source| KeyFileError::Unreadable { path: path.to_owned(), source })
}

/// Reads a JWK set of public signature keys and refuses what could weaken verification later: an empty set, a
/// key without `kid`, a `kid` twice, a symmetric key, a key declared for anything but signatures.
///
/// # Errors
/// [`KeyFileError`], naming the file and the offending `kid`.
pub fn read_public(path: &Path) -> Result<Vec<Jwk>, KeyFileError> {
    let bytes = read(path)?;
    public_keys(&bytes).map_err(|what| KeyFileError::Unusable { path: path.to_owned(), what })
}

/// The keys of a JWK set given as JSON; [`read_public`] lists what is refused.
///
/// # Errors
/// A sentence that names the fault.
pub fn public_keys(json: &[u8]) -> Result<Vec<Jwk>, String> {
    use jsonwebtoken::jwk::{AlgorithmParameters, KeyOperations, PublicKeyUse};

    let set: JwkSet = serde_json::from_slice(json).map_err(|e| format!("not a JWK set ({e})"))?;
    if set.keys.is_empty() {
        return Err("the JWK set is empty".to_owned());
    }
    let mut seen: Vec<&str> = Vec::with_capacity(set.keys.len());
    for key in &set.keys {
        let kid = key.common.key_id.as_deref().ok_or("a key has no `kid`")?;
        if seen.contains(&kid) {
            return Err(format!("two keys have the `kid` {kid:?}"));
        }
        seen.push(kid);
        if matches!(key.algorithm, AlgorithmParameters::OctetKey(_)) {
            return Err(format!(
                "key {kid:?} is symmetric: every service that can verify with it can also sign"
            ));
        }
        if !matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return Err(format!("key {kid:?} has a `use` other than `sig`"));
        }
        if let Some(operations) = &key.common.key_operations
            && !operations.contains(&KeyOperations::Verify)
        {
            return Err(format!("key {kid:?} has `key_ops` without `verify`"));
        }
        if key.common.key_algorithm.is_none() {
            return Err(format!("key {kid:?} has no `alg`: every key is pinned to one algorithm"));
        }
    }
    Ok(set.keys)
}
