//! How sessions are found, and the keys that verify them.

use std::path::PathBuf;

use super::{Issuer, KeyAlgorithm, OpaqueIssuer};

/// How a session is found and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Name of the cookie with the access token.
    pub cookie: String,
    /// How that cookie is read.
    pub reading: CookieReading,
    /// Name of the cookie with the refresh token, by which public routes recognise a session; absent when none needs to.
    pub refresh_cookie: Option<String>,
    /// Whether `Authorization: Bearer` is accepted, too.
    pub bearer: bool,
    /// The trusted issuers of signed tokens. The first is the platform's own auth service. Empty when only
    /// [`opaque`](Self::opaque) has an issuer.
    pub issuers: Vec<Issuer>,
    /// The trusted issuers of opaque tokens.
    pub opaque: Vec<OpaqueIssuer>,
    /// The list of revoked sessions; absent when sessions cannot be revoked before they expire.
    pub revocations: Option<PathBuf>,
}

/// The most parts of a split cookie. A browser sends at most 4 KB in each, so a token has 64 KB.
pub const MAX_COOKIE_PARTS: usize = 16;

/// How a cookie is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CookieReading {
    /// What separates the name from the number of a part (`sid.0`, `sid.1`); absent when the cookie is never split.
    pub split: Option<char>,
    /// Which of several cookies of one name in one line counts.
    pub duplicates: Duplicates,
}

/// Which of several cookies of one name in one line counts. Lines that choose different values are always refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The last one, as most backends read them.
    #[default]
    Last,
    /// The first one.
    First,
    /// None: different values are refused.
    Refuse,
}

/// The source of public keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A JWK set in a file.
    File(PathBuf),
    /// A JWK set at a URL.
    Url(String),
    /// The JWK set that the issuer's metadata names (OpenID Connect Discovery 1.0, RFC 8414). The first of these addresses
    /// that answers with the issuer's metadata counts.
    Discovery(Vec<String>),
    /// One public key in a PEM file (SubjectPublicKeyInfo), which carries neither a `kid` nor an algorithm.
    Pem {
        /// The file.
        path: PathBuf,
        /// The `kid` by which tokens name it.
        kid: String,
        /// The one algorithm for which it may be used.
        algorithm: KeyAlgorithm,
    },
}
