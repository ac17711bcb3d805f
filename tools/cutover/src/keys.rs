//! The keys of an edge, made where they are used and never anywhere else.
//!
//! | file | holds | read by |
//! |---|---|---|
//! | `session.pem` | ES256, signs session tokens | `services/auth` |
//! | `session.jwks.json` | its public half | the authorizer |
//! | `identity.pem` | Ed25519, signs `x-madome-identity` | the authorizer |
//! | `identity.jwks.json` | its public half | every service |
//! | `auth.pem` | Ed25519, introduces `services/auth` on the service listener | `services/auth` |
//! | `auth.jwks.json` | its public half | the authorizer |
//! | `service-token.pem` | Ed25519, signs service tokens | `services/auth` |
//! | `service-token.jwks.json` | its public half | the authorizer |

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
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
use crate::out;

/// `cutover keys`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
}

/// The key pairs of an edge: file name and algorithm.
const PAIRS: [(&str, Algorithm); 4] = [
    ("session", Algorithm::ES256),
    ("identity", Algorithm::EdDSA),
    ("auth", Algorithm::EdDSA),
    ("service-token", Algorithm::EdDSA),
];

/// Why keys could not be made.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file could not be read or written.
    #[error("cannot use the key file {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A private key is there but is not what its name says.
    #[error(
        "{path} is not a private key in PKCS #8 PEM ({what}); remove it and `cutover keys` makes a new one"
    )]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The cryptographic library gave no key.
    #[error("no key could be generated: the system's random source failed")]
    Generation,
}

/// `cutover keys`
pub fn main(arguments: &Arguments) -> ExitCode {
    let directory = arguments.home.home.join("keys");
    match make_missing(&directory) {
        Ok(made) if made.is_empty() => {
            out::line!("{}: every key is there", directory.display());
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

/// Makes the key files that are missing in `directory` and leaves the others alone. Gives the paths of the
/// new ones.
///
/// # Errors
/// [`KeysError`], naming the file.
pub fn make_missing(directory: &Path) -> Result<Vec<PathBuf>, KeysError> {
    fs::create_dir_all(directory).map_err(|source| KeysError::File { path: directory.to_owned(), source })?;
    let mut made = Vec::new();
    for (name, algorithm) in PAIRS {
        let private = directory.join(format!("{name}.pem"));
        let public = directory.join(format!("{name}.jwks.json"));
        if !private.exists() {
            write(&private, generate(algorithm)?.as_bytes(), 0o600)?;
            // A public half from before belongs to another key.
            let _ = fs::remove_file(&public);
            made.push(private.clone());
        }
        if !public.exists() {
            write(&public, public_half(&private, algorithm)?.as_bytes(), 0o644)?;
            made.push(public);
        }
    }
    Ok(made)
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

fn public_half(private: &Path, algorithm: Algorithm) -> Result<String, KeysError> {
    let bytes = fs::read(private).map_err(|source| KeysError::File { path: private.to_owned(), source })?;
    let unusable = |what: String| KeysError::Unusable { path: private.to_owned(), what };
    let key = if algorithm == Algorithm::ES256 {
        EncodingKey::from_ec_pem(&bytes)
    } else {
        EncodingKey::from_ed_pem(&bytes)
    }
    .map_err(|e| unusable(e.to_string()))?;
    let mut jwk = Jwk::from_encoding_key(&key, algorithm).map_err(|e| unusable(e.to_string()))?;
    jwk.common.key_id = Some(identity::assertion::key_id(&jwk).map_err(unusable)?);
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    serde_json::to_string_pretty(&JwkSet { keys: vec![jwk] }).map_err(|e| unusable(e.to_string()))
}

/// A new file that is there whole or not at all, readable as `mode` says from its first byte on.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeysError> {
    let failed = |source| KeysError::File { path: path.to_owned(), source };
    let unfinished = path.with_extension("unfinished");
    let _ = fs::remove_file(&unfinished);
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::assertion::{Signer, Verifier};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_keys_fit_their_readers_and_are_made_once() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(make_missing(home.path()).unwrap().len(), 8);
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
        fs::write(home.path().join("session.pem"), "not a key").unwrap();
        let message = make_missing(home.path()).unwrap_err().to_string();
        assert!(message.contains("session.pem") && message.contains("cutover keys"), "{message}");
    }
}
