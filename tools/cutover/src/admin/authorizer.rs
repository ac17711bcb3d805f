//! What a running authorizer says of its edge file.

use std::net::SocketAddr;

use serde_json::Value;

/// Which edges an authorizer decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The newest revision.
    pub revision: String,
    /// Every revision that it decides by, the newest included.
    pub known: Vec<String>,
    /// The newer file that it refuses, if it does.
    pub refused: Option<Refused>,
    /// What it says about the file.
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

/// Asks the authorizer whose admin interface is at `address`. Nothing when there is no answer: an authorizer that is
/// down reads the file when it starts.
#[must_use]
pub fn standing(address: SocketAddr) -> Option<Standing> {
    let (_, body) = super::get(address, "/readyz").ok()?;
    let told: Value = serde_json::from_str(&body).ok()?;
    let revision = told.get("revision")?.as_str()?.to_owned();
    let detail = told.pointer("/parts/edge/detail").and_then(Value::as_str).unwrap_or_default().to_owned();
    let texts = |value: &Value| value.as_array().map(|all| all.iter().filter_map(text).collect::<Vec<_>>());
    // One of an older release names the newest alone.
    let known = told.get("revisions").and_then(texts).unwrap_or_else(|| vec![revision.clone()]);
    let refused = told.get("refused").and_then(|refused| {
        Some(Refused { revision: text(refused.get("revision")?)?, why: text(refused.get("why")?)? })
    });
    Some(Standing { revision, known, refused, detail })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
