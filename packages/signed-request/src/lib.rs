//! Requests that prove who sent them: HTTP Message Signatures (RFC 9421) over method, path, query and body, the
//! body through `Content-Digest` (RFC 9530).
//!
//! * [`mod@field`] reads `Signature-Input`, `Signature` and `Content-Digest`, in their canonical spelling only.
//! * [`message`] is the request, and the values of its components.
//! * [`mod@offer`] is the signature that a request carries: what it covers, when it was made, by which key.
//! * [`key`] verifies and signs, [`mod@sign`] makes the headers of a signed request.
//!
//! A subset on purpose. One signature for each request; `created`, `nonce`, `keyid` and `alg` always there; no
//! component parameters (`;sf`, `;bs`, `;req`) and none of the other derived components. Whatever is outside of
//! it is refused. So is every spelling but the canonical one (RFC 9421 §2.3): a verifier that reads a text and
//! writes it anew can be made to verify another text than the one that was signed, so here the text itself is
//! the last line of the signature base.
//!
//! Time, replay and addresses are not decided here: they need a clock, a memory and a connection.

pub mod field;
pub mod key;
pub mod message;
pub mod offer;
pub mod sign;

pub use key::{Algorithm, SigningKey, VerifyingKey};
pub use message::Message;
pub use offer::{Offer, offer};
pub use sign::{Signature, sign};

/// Why a signature is not believed. A value, not a failure: whoever sent it is simply not who they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not a signature in canonical spelling, or with something that is not understood.
    #[error("not a signature as RFC 9421 spells it")]
    Malformed,
    /// More than one signature, or one of its headers twice.
    #[error("more than one signature")]
    Ambiguous,
    /// It does not cover what every signature must, or lacks a parameter.
    #[error("it does not cover everything that it must")]
    Incomplete,
    /// It covers something that this edge does not look at.
    #[error("it covers a component that is not allowed here")]
    UnknownComponent,
    /// The request cannot be signed unambiguously: an empty query, a byte that is not visible ASCII.
    #[error("the request has no unambiguous signature base")]
    Unsignable,
    /// The key's algorithm is another one.
    #[error("the key is for another algorithm")]
    WrongAlgorithm,
    /// The signature does not fit.
    #[error("the signature does not verify")]
    BadSignature,
    /// `Content-Digest` is not the digest of the body, or a body has none.
    #[error("the content digest is not the body's")]
    WrongDigest,
}
