//! Requests that authenticate their sender: HTTP Message Signatures (RFC 9421) over method, path, query and
//! body. `Content-Digest` (RFC 9530) covers the body.
//!
//! * [`mod@field`] parses `Signature-Input`, `Signature` and `Content-Digest`, in their canonical spelling
//!   only.
//! * [`message`] holds the request, and the values of its components.
//! * [`mod@offer`] reads the signature that a request carries: what it covers, when and with which key it was
//!   made.
//! * [`key`] verifies and signs, [`mod@sign`] creates the headers of a signed request.
//!
//! The supported subset is small on purpose. A request has one signature. `created` and `keyid` are mandatory,
//! `nonce` and `alg` unless a [`Profile`] waives them; a `tag` must be the one that it names. Component
//! parameters (`;sf`, `;bs`, `;req`) and the other derived components are refused. So is every spelling but the
//! canonical one (RFC 9421 §2.3): a verifier that parses a text and serialises it again can be made to verify
//! another text than the signed one, so here the text itself is the last line of the signature base.
//!
//! This crate does not check time, replay and addresses: they need a clock, a memory and a connection.

pub mod field;
pub mod key;
pub mod message;
pub mod offer;
pub mod sign;

pub use key::{Algorithm, SigningKey, VerifyingKey};
pub use message::Message;
pub use offer::{Offer, Profile, offer};
pub use sign::{Signature, sign};

/// Why a signature is not valid. A value, not a failure: the sender is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The signature is not in canonical spelling, or has an unknown part.
    #[error("not a signature as RFC 9421 spells it")]
    Malformed,
    /// The request has more than one signature, or one of its headers twice.
    #[error("more than one signature")]
    Ambiguous,
    /// The signature does not cover a mandatory component, or lacks a parameter.
    #[error("it does not cover every mandatory component")]
    Incomplete,
    /// The signature covers a component that this edge does not allow.
    #[error("it covers a component that is not allowed here")]
    UnknownComponent,
    /// The request cannot be signed unambiguously: it has an empty query, or a byte that is not visible
    /// ASCII.
    #[error("the request has no unambiguous signature base")]
    Unsignable,
    /// The signature is for another application: its tag is not the one that is asked for.
    #[error("its tag is not the one that is asked for")]
    WrongTag,
    /// The key is for another algorithm.
    #[error("the key is for another algorithm")]
    WrongAlgorithm,
    /// The signature does not match.
    #[error("the signature does not verify")]
    BadSignature,
    /// `Content-Digest` is not the digest of the body, or a body has none.
    #[error("the content digest is not the body's")]
    WrongDigest,
}
