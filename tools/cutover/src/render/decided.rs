//! The last filter before a request leaves for a backend: where somebody must decide, somebody did.
//!
//! Envoy takes an answer of the authorizer without a status for an allow. Ours never sends one; whatever else listens
//! at its address might, and so might a defect. Every allow of ours writes `x-madome-gw` ([`headers::GATEWAY`]), no client
//! can (the guard and the second wall remove it), so that a request without it was not decided about: 403.

use identity::headers;
use serde_json::{Value, json};

use super::stage::{is, not};

/// The filter's settings.
pub(super) fn filter() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": { "action": "ALLOW", "policies": { "decided": {
            "permissions": [{ "header": { "name": headers::GATEWAY, "string_match": { "exact": "1" } } }],
            "principals": [{ "any": true }],
        } } },
    })
}

/// That there may be something to refuse: no header says that somebody decided.
pub(super) fn undecided() -> Value {
    let header = json!({
        "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
        "header_name": headers::GATEWAY,
    });
    not(&is("decided", &header, "1"))
}

/// For routes about which nobody decides.
pub(super) fn by_nobody() -> Value {
    json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute" })
}
