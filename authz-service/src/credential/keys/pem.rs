//! Reads one public key from a PEM file (RFC 7468, SubjectPublicKeyInfo).
//!
//! Such a file contains neither the `kid` nor the algorithm, so the edge file supplies both. A key that does
//! not match its algorithm is refused at load time, not token by token.

use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edge_config::edge::{AlgorithmFamily, KeyAlgorithm};
use sha2::{Digest as _, Sha256};

use super::jwks::LEAST_RSA_BITS;
use super::set::{KeySet, PinnedKey, verification};

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// The object identifiers (DER) that name the type of a key in the first bytes of its SubjectPublicKeyInfo.
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const HEAD_BYTES: usize = 32;

/// Parses `content` into a set of one key.
///
/// # Errors
/// A sentence that names the `kid`.
pub(super) fn read(content: &[u8], kid: &str, algorithm: KeyAlgorithm) -> Result<KeySet, String> {
    let key = key(content, kid, algorithm).map_err(|what| format!("key {kid:?}: {what}"))?;
    KeySet::of(vec![key], Vec::new())
}

fn key(content: &[u8], kid: &str, algorithm: KeyAlgorithm) -> Result<PinnedKey, String> {
    let text = std::str::from_utf8(content).map_err(|_| "not a PEM file".to_owned())?;
    if text.contains("PRIVATE KEY") {
        return Err("the file holds a private key; use the public key instead".to_owned());
    }
    let body = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let body = body.ok_or_else(|| format!("expected exactly one PEM block that begins with {BEGIN}"))?;
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|_| "the PEM block is not base64".to_owned())?;
    let head = der.get(..HEAD_BYTES).ok_or("the PEM block is too short")?;
    let kind = match algorithm.family() {
        AlgorithmFamily::P256 => P256,
        AlgorithmFamily::P384 => P384,
        AlgorithmFamily::Ed25519 => ED25519,
        AlgorithmFamily::RsaPkcs1 | AlgorithmFamily::RsaPss => RSA,
    };
    if !head.windows(kind.len()).any(|window| window == kind) {
        return Err(format!("the key does not match the algorithm {}", algorithm.as_str()));
    }
    if kind == RSA
        && !PublicEncryptingKey::from_der(&der).is_ok_and(|key| key.key_size_bits() >= LEAST_RSA_BITS)
    {
        return Err(format!("it is not a valid RSA key of at least {LEAST_RSA_BITS} bits"));
    }
    let verifier = ParsedPublicKey::new(verification(algorithm), &der);
    let verifier = verifier.map_err(|error| format!("it is not a valid public key ({error})"))?;
    Ok(PinnedKey::new(Some(kid.into()), vec![(algorithm, verifier)], Sha256::digest(&der).into()))
}
