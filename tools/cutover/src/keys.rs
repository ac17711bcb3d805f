//! `cutover keys` makes the keys of an edge, on the machine that uses them.
//!
//! | file | holds | read by |
//! |---|---|---|
//! | `session.pem` | ES256, signs session tokens | `services/auth` |
//! | `session.jwks.json` | its public half | the authorizer |
//! | `identity.pem` | Ed25519, signs `x-auth-identity` | the authorizer |
//! | `identity.jwks.json` | its public half | every service |
//! | `auth.pem` | Ed25519, introduces `services/auth` on the service listener | `services/auth` |
//! | `auth.jwks.json` | its public half | the authorizer |
//! | `library.pem`, `users.pem` | Ed25519, introduce these services on the service listener | the service of that name |
//! | `library.jwks.json`, `users.jwks.json` | their public halves | the authorizer |
//! | `sync.pem` | Ed25519, introduces `services/sync` on the service listener | `services/sync` |
//! | `sync.jwks.json` | its public half | the authorizer |
//! | `notifications.pem` | Ed25519, introduces a program that pushes messages on the service listener | that program |
//! | `notifications.jwks.json` | its public half | the authorizer |
//! | `service-token.pem` | Ed25519, signs service tokens | `services/auth` |
//! | `service-token.jwks.json` | its public half | the authorizer |
//! | `tenants.pem` | Ed25519, introduces `services/tenants` on the service listener | `services/tenants` |
//! | `tenants.jwks.json` | its public half | the authorizer |
//! | `admin.pem` | Ed25519, introduces operators on the service listener | `cutover introduce admin` |
//! | `admin.jwks.json` | its public half | the authorizer |
//!
//! A removed private key is replaced by a new one, and the earlier public keys stay published beside the new one. A
//! program signs with the key that it read at its start, and its signatures stay valid until it is restarted.
//! `--retire` publishes the present keys alone.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use clap::Args;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, EncodingKey};

use crate::exit::{DONE, FOUND, exit};
use crate::home::Home;
use crate::{out, whole_file};

/// `cutover keys`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
    /// Publish the present keys alone, so that signatures of older keys are no longer valid. First restart the programs
    /// that sign.
    #[arg(long)]
    pub retire: bool,
}

/// How many earlier public keys stay published beside the present one. Two allow for two replacements in a row, for
/// example after a mistake in the first. A key set is read at every start and stays small.
const OLDER_KEYS: usize = 2;

/// The key pairs of an edge: file name and algorithm.
const PAIRS: [(&str, Algorithm); 10] = [
    ("session", Algorithm::ES256),
    ("identity", Algorithm::EdDSA),
    ("auth", Algorithm::EdDSA),
    ("library", Algorithm::EdDSA),
    ("notifications", Algorithm::EdDSA),
    ("users", Algorithm::EdDSA),
    ("service-token", Algorithm::EdDSA),
    ("tenants", Algorithm::EdDSA),
    ("sync", Algorithm::EdDSA),
    ("admin", Algorithm::EdDSA),
];

/// Why keys could not be made.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file could not be read or written.
    #[error("cannot use the key file {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A private key that other users can read, or that cannot be read.
    #[error(transparent)]
    Secret(#[from] secret_file::SecretFileError),
    /// The file of a private key exists but does not hold a key of the expected kind.
    #[error(
        "{path} is not a private key in PKCS #8 PEM ({what}); remove it, and `cutover keys` makes a new one"
    )]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The cryptographic library generated no key.
    #[error("cannot generate a key: the system's random source failed")]
    Generation,
}

/// `cutover keys`
pub fn main(arguments: &Arguments) -> ExitCode {
    let directory = arguments.home.home.join("keys");
    let made = make_missing(&directory).and_then(|mut made| {
        if arguments.retire {
            made.extend(retire(&directory)?);
        }
        Ok(made)
    });
    match made {
        Ok(made) if made.is_empty() => {
            out::line!("{}: all keys exist", directory.display());
            exit(DONE)
        }
        Ok(made) => {
            for path in made {
                out::line!("{}", path.display());
            }
            exit(DONE)
        }
        Err(error) => {
            out::error!("{error}");
            exit(FOUND)
        }
    }
}

/// Makes the missing key files in `directory` and leaves the others alone. Returns the paths of the new ones.
///
/// # Errors
/// [`KeysError`], naming the file.
pub fn make_missing(directory: &Path) -> Result<Vec<PathBuf>, KeysError> {
    secret_file::make_directory(directory)
        .map_err(|source| KeysError::File { path: directory.to_owned(), source })?;
    let mut made = Vec::new();
    for (name, algorithm) in PAIRS {
        let private = directory.join(format!("{name}.pem"));
        let public = directory.join(format!("{name}.jwks.json"));
        if !private.exists() {
            let key = generate(algorithm)?;
            // The public key is published before a program can sign with the private one.
            let mut keys = vec![public_half(key.as_bytes(), &private, algorithm)?];
            keys.extend(published(&public).into_iter().take(OLDER_KEYS));
            write(&public, &key_set(keys, &private)?, 0o644)?;
            write(&private, key.as_bytes(), 0o600)?;
            made.extend([private, public]);
        } else if !public.exists() {
            let key = public_half(&read(&private)?, &private, algorithm)?;
            write(&public, &key_set(vec![key], &private)?, 0o644)?;
            made.push(public);
        }
    }
    Ok(made)
}

/// Publishes the present keys alone. Returns the changed files.
///
/// # Errors
/// [`KeysError`], naming the file.
pub fn retire(directory: &Path) -> Result<Vec<PathBuf>, KeysError> {
    let mut changed = Vec::new();
    for (name, algorithm) in PAIRS {
        let private = directory.join(format!("{name}.pem"));
        let public = directory.join(format!("{name}.jwks.json"));
        let present = public_half(&read(&private)?, &private, algorithm)?;
        if published(&public) != [present.clone()] {
            write(&public, &key_set(vec![present], &private)?, 0o644)?;
            changed.push(public);
        }
    }
    Ok(changed)
}

/// The keys that `path` publishes; none when the file is missing or is not a valid key set.
fn published(path: &Path) -> Vec<Jwk> {
    identity::keyset::read_public(path).unwrap_or_default()
}

fn key_set(keys: Vec<Jwk>, private: &Path) -> Result<Vec<u8>, KeysError> {
    serde_json::to_vec_pretty(&JwkSet { keys })
        .map_err(|e| KeysError::Unusable { path: private.to_owned(), what: e.to_string() })
}

fn read(private: &Path) -> Result<Vec<u8>, KeysError> {
    let secret = secret_file::read(private, secret_file::MAX_KEY_BYTES)?;
    Ok(secret.as_bytes().to_vec())
}

fn generate(algorithm: Algorithm) -> Result<String, KeysError> {
    let text = if algorithm == Algorithm::ES256 {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .and_then(|pair| pair.to_pkcs8v1().map(|document| pem(document.as_ref())))
    } else {
        Ed25519KeyPair::generate().and_then(|pair| {
            let der: Pkcs8V1Der<'_> = pair.as_der()?;
            Ok(pem(der.as_ref()))
        })
    };
    text.map_err(|_| KeysError::Generation)
}

/// RFC 7468: lines of 64 characters.
fn pem(der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    for (index, character) in body.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END PRIVATE KEY-----\n");
    text
}

fn public_half(bytes: &[u8], private: &Path, algorithm: Algorithm) -> Result<Jwk, KeysError> {
    let unusable = |what: String| KeysError::Unusable { path: private.to_owned(), what };
    let key = if algorithm == Algorithm::ES256 {
        EncodingKey::from_ec_pem(bytes)
    } else {
        EncodingKey::from_ed_pem(bytes)
    }
    .map_err(|e| unusable(e.to_string()))?;
    let mut jwk = Jwk::from_encoding_key(&key, algorithm).map_err(|e| unusable(e.to_string()))?;
    jwk.common.key_id = Some(identity::assertion::key_id(&jwk).map_err(unusable)?);
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok(jwk)
}

/// Writes a new file that exists completely or not at all, with `mode` from its first byte on.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeysError> {
    whole_file::replace(path, bytes, mode).map_err(|source| KeysError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::assertion::{Signer, Verifier};
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_keys_fit_their_readers_and_are_made_once() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(make_missing(home.path()).unwrap().len(), 2 * PAIRS.len());
        assert!(make_missing(home.path()).unwrap().is_empty());

        let signer = Signer::from_file("dev", &home.path().join("identity.pem")).unwrap();
        let verifier =
            Verifier::new("users").trust_file("dev", &home.path().join("identity.jwks.json")).unwrap();
        let now = clock::UnixTime::from_seconds(1_800_000_000);
        let caller = identity::Caller::Service("auth".parse().unwrap());
        assert_eq!(verifier.verify(&signer.sign(&caller, "users", now).unwrap(), now), Ok(caller));
        assert_eq!(identity::keyset::read_public(&home.path().join("session.jwks.json")).unwrap().len(), 1);
        assert!(EncodingKey::from_ec_pem(&fs::read(home.path().join("session.pem")).unwrap()).is_ok());
    }

    /// The authorizer signs with the key that it read at its start until it is restarted.
    #[test]
    fn a_replaced_key_stays_published_until_it_is_retired() {
        let home = tempfile::tempdir().unwrap();
        make_missing(home.path()).unwrap();
        let (private, public) = (home.path().join("identity.pem"), home.path().join("identity.jwks.json"));
        let now = clock::UnixTime::from_seconds(1_800_000_000);
        let caller = identity::Caller::Service("auth".parse().unwrap());
        let sign = || Signer::from_file("dev", &private).unwrap().sign(&caller, "users", now).unwrap();
        let believed = |token: &str| {
            Verifier::new("users").trust_file("dev", &public).unwrap().verify(token, now).is_ok()
        };
        let mut signed = vec![sign()];
        for count in 2..=4 {
            fs::remove_file(&private).unwrap();
            assert_eq!(make_missing(home.path()).unwrap(), [private.clone(), public.clone()]);
            signed.push(sign());
            let kept = identity::keyset::read_public(&public).unwrap().len();
            assert_eq!(kept, count.min(1 + OLDER_KEYS));
            assert!(signed.iter().rev().take(kept).all(|token| believed(token)), "{count}");
        }
        assert!(!believed(&signed[0]), "a key with two newer ones before it is forgotten");
        assert_eq!(retire(home.path()).unwrap(), std::slice::from_ref(&public));
        assert!(believed(&signed[3]) && !believed(&signed[2]));
        assert_eq!(retire(home.path()).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_private_key_is_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        make_missing(home.path()).unwrap();
        for (name, _) in PAIRS {
            let mode = fs::metadata(home.path().join(format!("{name}.pem"))).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}.pem");
        }
    }

    #[test]
    fn a_broken_private_key_is_named() {
        let home = tempfile::tempdir().unwrap();
        secret_file::write(&home.path().join("session.pem"), b"not a key").unwrap();
        let message = make_missing(home.path()).unwrap_err().to_string();
        assert!(message.contains("session.pem") && message.contains("cutover keys"), "{message}");
    }
}
