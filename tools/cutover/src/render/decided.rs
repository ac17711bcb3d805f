//! The last filter before a backend: it refuses a request that needs a decision and has none.
//!
//! Envoy treats an authorizer's answer without a status as an allow. Our authorizer never sends one, but a wrong program
//! at its address might, and so might a defect. Every allow of our authorizer writes the mark [`headers::DECIDED`]. No client
//! can send it (the guard and the second wall remove it), so a request without it has no decision: 403. Envoy removes the
//! mark before the backend.

use identity::headers;
use serde_json::{Value, json};

use super::stage::{is, not};

/// The filter's settings.
pub(super) fn filter() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": { "action": "ALLOW", "policies": { "decided": {
            "permissions": [{ "header": { "name": headers::DECIDED, "string_match": { "exact": "1" } } }],
            "principals": [{ "any": true }],
        } } },
    })
}

/// The condition for the filter: no header shows a decision.
pub(super) fn undecided() -> Value {
    let header = json!({
        "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
        "header_name": headers::DECIDED,
    });
    not(&is("decided", &header, "1"))
}

/// The settings for routes without decisions.
pub(super) fn by_nobody() -> Value {
    json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute" })
}
