//! What a running authorizer says of its edge file.

use std::net::SocketAddr;

use serde_json::Value;

/// Which edge an authorizer decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The revision in force.
    pub revision: String,
    /// What it says about the file; the reason, when it refused a newer one.
    pub detail: String,
}

/// Asks the authorizer whose admin interface is at `address`. Nothing when there is no answer: an authorizer that is
/// down reads the file when it starts.
#[must_use]
pub fn standing(address: SocketAddr) -> Option<Standing> {
    let (_, body) = super::get(address, "/readyz").ok()?;
    let told: Value = serde_json::from_str(&body).ok()?;
    let revision = told.get("revision")?.as_str()?.to_owned();
    let detail = told.pointer("/parts/edge/detail").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Standing { revision, detail })
}
