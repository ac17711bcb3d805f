//! Reads the signature that a request carries.

use std::borrow::Cow;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::field::{self, Input};
use crate::key::VerifyingKey;
use crate::message::{DERIVED, Message};
use crate::{Algorithm, Fault};

/// The components that every signature must cover, in one of three ways: the target as a whole, or its parts. Without
/// the authority it would be valid on another host and at another edge that knows the same key.
pub const REQUIRED: [&[&str]; 3] = [
    &["@method", "@path", "@query", "@authority"],
    &["@method", "@request-target", "@authority"],
    &["@method", "@target-uri"],
];

/// What a verifier asks of a signature beyond the components that every one covers.
#[derive(Clone, Copy, Debug)]
pub struct Profile<'a> {
    /// The header names, in lower case, that it may cover in addition.
    pub headers: &'a [String],
    /// Whether it must have a nonce. Without one, [`Offer::once`] distinguishes it from others.
    pub needs_nonce: bool,
    /// Whether it must name its algorithm. Without one, that of the key counts.
    pub needs_algorithm: bool,
    /// The tag that it must have; with `None` it must have none, because a tag limits its meaning to an application.
    pub tag: Option<&'a str>,
}

/// The header with the digest of the content.
pub const CONTENT_DIGEST: &str = "content-digest";
/// The header with the type of the content. It must be covered when the request has content and a type: the
/// same bytes mean something else under another type.
pub const CONTENT_TYPE: &str = "content-type";
/// The header that lists the covered components.
pub const SIGNATURE_INPUT: &str = "signature-input";
/// The header with the signature.
pub const SIGNATURE: &str = "signature";

/// A well-formed signature that a request carries. It is not verified yet.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    input: Input<'a>,
    signature: Vec<u8>,
    base: Vec<u8>,
}

/// Returns the signature that `message` carries, if any, in the form that `profile` asks for.
///
/// # Errors
/// The first [`Fault`] in its form.
pub fn offer<'a>(message: &Message<'a>, profile: &Profile<'_>) -> Result<Option<Offer<'a>>, Fault> {
    let (input, signature) = match (message.line(SIGNATURE_INPUT)?, message.line(SIGNATURE)?) {
        (None, None) => return Ok(None),
        (Some(input), Some(signature)) => (input, signature),
        (Some(_), None) | (None, Some(_)) => return Err(Fault::Malformed),
    };
    let input = field::input(input)?;
    let signature = field::signature(signature, input.label)?;
    if input.tag != profile.tag {
        return Err(Fault::WrongTag);
    }
    if (profile.needs_nonce && input.nonce.is_none())
        || (profile.needs_algorithm && input.algorithm.is_none())
    {
        return Err(Fault::Incomplete);
    }
    for component in &input.components {
        let known = DERIVED.contains(component)
            || *component == CONTENT_DIGEST
            || *component == CONTENT_TYPE
            || profile.headers.iter().any(|header| header == component);
        if !known {
            return Err(Fault::UnknownComponent);
        }
    }
    // An uncovered digest proves nothing, and a body without a digest is not signed.
    let has_digest = message.line(CONTENT_DIGEST)?.is_some() || !message.body.is_empty();
    // A type that is added to a signed body is uncovered, so the request is refused.
    let is_typed = !message.body.is_empty() && message.lines(CONTENT_TYPE).next().is_some();
    let of_content = [has_digest.then_some(CONTENT_DIGEST), is_typed.then_some(CONTENT_TYPE)];
    let covers = |component: &&str| input.components.contains(component);
    let covers_target = REQUIRED.iter().any(|way| way.iter().all(covers));
    if !covers_target || !of_content.iter().flatten().all(covers) {
        return Err(Fault::Incomplete);
    }
    let base = base(message, &input.components, input.parameters)?;
    Ok(Some(Offer { input, signature, base }))
}

/// Builds the signature base (RFC 9421 §2.5).
pub(crate) fn base(message: &Message<'_>, components: &[&str], parameters: &str) -> Result<Vec<u8>, Fault> {
    let mut base = String::with_capacity(512);
    for component in components {
        let value = message.component(component)?;
        base.extend(["\"", component, "\": ", &value, "\n"]);
    }
    base.extend(["\"@signature-params\": ", parameters]);
    Ok(base.into_bytes())
}

/// Returns SHA-256 of `body`.
#[must_use]
pub fn sha256(body: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, body).as_ref().to_vec()
}

impl Offer<'_> {
    /// Returns the claimed key id.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.input.key_id
    }

    /// Returns what must not be seen twice under one key: the nonce, 16 to 128 characters of base64 or a UUID. Without a
    /// nonce it is a digest of everything that was signed, so two equal requests of one second count as one.
    #[must_use]
    pub fn once(&self) -> Cow<'_, str> {
        match self.input.nonce {
            Some(nonce) => Cow::Borrowed(nonce),
            // No nonce has a `!`.
            None => Cow::Owned(format!("!{}", URL_SAFE_NO_PAD.encode(sha256(&self.base)))),
        }
    }

    /// Returns the claimed creation time, in seconds since 1970.
    #[must_use]
    pub const fn created(&self) -> u64 {
        self.input.created
    }

    /// Returns the claimed expiry, in seconds since 1970.
    #[must_use]
    pub const fn expires(&self) -> Option<u64> {
        self.input.expires
    }

    /// Verifies the signature with one of `keys`, which are all for `algorithm`, and then the body of
    /// `message`. `message` must be the one that the signature was read from.
    ///
    /// # Errors
    /// [`Fault::WrongAlgorithm`], [`Fault::BadSignature`] or [`Fault::WrongDigest`].
    pub fn verify(
        &self,
        message: &Message<'_>,
        algorithm: Algorithm,
        keys: &[VerifyingKey],
    ) -> Result<(), Fault> {
        if self.input.algorithm.is_some_and(|named| named != algorithm) {
            return Err(Fault::WrongAlgorithm);
        }
        if !keys.iter().any(|key| key.verifies(&self.base, &self.signature)) {
            return Err(Fault::BadSignature);
        }
        match message.line(CONTENT_DIGEST)? {
            None => Ok(()),
            Some(line) => {
                let said = field::content_digest(line)?;
                verify_slices_are_equal(&said, &sha256(message.body)).map_err(|_| Fault::WrongDigest)
            }
        }
    }
}
