//! The parts of an explanation as JSON.

use authz_service::credential::token::Check;
use edge_config::Edge;
use edge_config::edge::{HTTP, HTTPS, Listener, Policy, Route};
use serde_json::{Value, json};

use crate::explain::request::Request;

/// One check of a token: names and codes, never a value.
pub(super) fn check(check: &Check) -> Value {
    let outcome = check.outcome.to_string();
    match &check.claim {
        Some(claim) => json!({ "check": check.check, "outcome": outcome, "claim": claim }),
        None => json!({ "check": check.check, "outcome": outcome }),
    }
}

/// The policy of `route`, with its kind.
pub(super) fn policy(edge: &Edge, route: &Route) -> String {
    let kind = match edge.policies.get(&route.policy) {
        Some(Policy::Public(_)) => "public",
        Some(Policy::Session(_)) => "session",
        Some(Policy::Internal(_)) => "internal",
        Some(Policy::Signed(_)) => "signed",
        Some(Policy::Webhook(_)) => "webhook",
        Some(Policy::Certificate(_)) => "client-certificate",
        None => "missing",
    };
    format!("{} ({kind})", route.policy)
}

/// The answer of the edge itself: made by `from`, because of `why`.
pub(super) fn answer(status: u16, body: &str, from: &str, why: &str) -> Value {
    json!({ "status": status, "body": body, "from": from, "why": why })
}

/// The answer of a listener that redirects to https.
pub(super) fn redirected(edge: &Edge, name: &str, listener: &Listener, request: &Request) -> Value {
    let Some((_, host)) = edge_config::host_of(edge, name, &request.authority) else { return Value::Null };
    let ports = edge.https_ports(name, host);
    let (named, port) = match request.authority.rsplit_once(':') {
        Some((named, port)) if port.parse::<u16>().is_ok() => (named, port.parse().unwrap_or(HTTP)),
        Some(_) | None => (request.authority.as_str(), HTTP),
    };
    let to = if port == listener.address.port() { ports.direct } else { ports.translated };
    let shown = if to == HTTPS { String::new() } else { format!(":{to}") };
    json!({
        "status": 308,
        "location": format!("https://{named}{shown}{}", request.target),
        "from": "Envoy",
        "why": "the listener redirects to https",
    })
}

/// The answer of a backend, which receives these identity headers.
pub(super) fn passed(backend: &str, headers: &[&str]) -> Value {
    json!({ "from": format!("the backend {backend}"), "identity_headers": headers.join(" ") })
}
