//! Access tokens with one thing wrong, or one thing more.

use harness::tokens::{Mint, claims, now};
use serde_json::{Value, json};

/// A token without a claim.
pub(crate) fn without(mint: &Mint, claim: &str) -> String {
    mint.with(|claims| {
        claims.remove(claim);
    })
}

/// A token whose claim has another value.
pub(crate) fn with(mint: &Mint, claim: &str, value: Value) -> String {
    mint.with(|claims| {
        claims.insert(claim.to_owned(), value);
    })
}

/// A token that expired `seconds` ago.
pub(crate) fn expired(mint: &Mint, seconds: u64) -> String {
    mint.with(|claims| {
        claims.insert("iat".to_owned(), json!(now() - 14_400));
        claims.insert("exp".to_owned(), json!(now() - seconds));
    })
}

/// Good claims, `name` written twice.
pub(crate) fn twice(mint: &Mint, name: &str, value: &str) -> String {
    let claims = claims(0).to_string();
    mint.sign_text(&mint.header().to_string(), &format!("{{\"{name}\":{value},{}", &claims[1..]))
}

/// Good claims under a header with one more member, or another value of one.
pub(crate) fn under(mint: &Mint, member: &str, value: Value) -> String {
    let mut header = mint.header();
    header[member] = value;
    mint.sign(&header, &claims(0))
}
