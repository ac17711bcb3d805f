//! Creates the headers of a signed request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Fault;
use crate::key::SigningKey;
use crate::message::Message;
use crate::offer::{CONTENT_DIGEST, SIGNATURE, SIGNATURE_INPUT, base, sha256};

/// The parameters of a new signature.
#[derive(Clone, Debug)]
pub struct Signature<'a> {
    /// The key id that the verifier knows.
    pub key_id: &'a str,
    /// 16 to 128 characters that were never used with this key before; absent for a verifier that asks for none.
    pub nonce: Option<&'a str>,
    /// Whether the signature names its algorithm.
    pub names_algorithm: bool,
    /// The tag that the verifier asks for.
    pub tag: Option<&'a str>,
    /// The current time, in seconds since 1970.
    pub created: u64,
    /// The expiry, in seconds since 1970.
    pub expires: Option<u64>,
    /// The covered components, in this order. They must contain one way of [`crate::offer::REQUIRED`], and
    /// `content-digest` and `content-type` for a request with a body.
    pub components: &'a [&'a str],
}

/// The components that a request without special headers should cover. One with a body covers `content-type`
/// too.
pub const COMPONENTS: [&str; 5] = ["@method", "@path", "@query", "@authority", CONTENT_DIGEST];

/// Returns the headers that sign `message`: `content-digest`, `signature-input` and `signature`.
///
/// # Errors
/// [`Fault`] when the request or the key id cannot be signed.
pub fn sign(
    message: &Message<'_>,
    signature: &Signature<'_>,
    key: &SigningKey,
) -> Result<Vec<(&'static str, String)>, Fault> {
    let Signature { key_id, nonce, names_algorithm, tag, created, expires, components } = signature;
    let covered = components.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" ");
    let expires = expires.map(|expires| format!(";expires={expires}")).unwrap_or_default();
    let text = |name: &str, value: &str| format!(";{name}=\"{value}\"");
    let nonce = nonce.map(|nonce| text("nonce", nonce)).unwrap_or_default();
    let algorithm = if *names_algorithm { text("alg", key.algorithm().name()) } else { String::new() };
    let tag = tag.map(|tag| text("tag", tag)).unwrap_or_default();
    let parameters =
        format!("({covered});created={created}{expires}{nonce};keyid=\"{key_id}\"{algorithm}{tag}");
    let digest = format!("sha-256=:{}:", STANDARD.encode(sha256(message.body)));
    let mut with_digest = message.clone();
    with_digest.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(CONTENT_DIGEST));
    with_digest.headers.push((CONTENT_DIGEST, digest.as_bytes()));
    let signed = key.sign(&base(&with_digest, components, &parameters)?);

    let mut headers = vec![
        (SIGNATURE_INPUT, format!("sig={parameters}")),
        (SIGNATURE, format!("sig=:{}:", STANDARD.encode(signed))),
    ];
    if components.contains(&CONTENT_DIGEST) {
        headers.insert(0, (CONTENT_DIGEST, digest));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
