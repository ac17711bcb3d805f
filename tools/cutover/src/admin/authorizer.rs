//! What a running authorizer reports about its edge file.

use std::net::SocketAddr;

use serde_json::Value;

/// The revisions by which an authorizer decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionsInForce {
    /// The newest revision.
    pub revision: String,
    /// Every revision by which it decides, including the newest.
    pub known: Vec<String>,
    /// The newer file that it refuses, if any.
    pub refused: Option<Refused>,
    /// Its description of the file's state.
    pub detail: String,
}

/// An edge file that an authorizer refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The revision that the file would have.
    pub revision: String,
    /// Why.
    pub why: String,
}

/// Queries the authorizer whose admin interface is at `address`. Returns nothing when it does not answer: an authorizer
/// that is down reads the file when it starts.
#[must_use]
pub fn standing(address: SocketAddr) -> Option<RevisionsInForce> {
    let (_, body) = super::get(address, "/readyz").ok()?;
    let answer: Value = serde_json::from_str(&body).ok()?;
    let revision = answer.get("revision")?.as_str()?.to_owned();
    let detail = answer.pointer("/parts/edge/detail").and_then(Value::as_str).unwrap_or_default().to_owned();
    let texts = |value: &Value| value.as_array().map(|all| all.iter().filter_map(text).collect::<Vec<_>>());
    // An authorizer of an older release names the newest alone.
    let known = answer.get("revisions").and_then(texts).unwrap_or_else(|| vec![revision.clone()]);
    let refused = answer.get("refused").and_then(|refused| {
        Some(Refused { revision: text(refused.get("revision")?)?, why: text(refused.get("why")?)? })
    });
    Some(RevisionsInForce { revision, known, refused, detail })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
