//! Removes credentials before a request reaches its backend.
//!
//! The edge turns a credential into an identity, signed for one backend and for a minute. The credential itself is valid at
//! other backends, too, and for longer: a backend that received it could act as its owner. So the route removes it, whether
//! the request was checked or served by a lease. The filters have read it by then.

use edge_config::Edge;
use edge_config::edge::{Credentials, Destination, Policy, Route};

/// The credentials of programs, besides API keys.
const OF_PROGRAMS: [&str; 3] = ["authorization", "signature", "signature-input"];

/// The credentials of people. A single cookie is not cut out of its header line: the line stays or goes as a whole.
const OF_PEOPLE: [&str; 2] = ["authorization", "cookie"];

/// The headers that reach none of the backends of `to`.
pub(super) fn ended<'e>(edge: &'e Edge, route: &Route, to: &Destination) -> Vec<&'e str> {
    // The headers belong to the edge: a key in them is one of the edge's keys, whatever the route accepts. A key in
    // `Authorization` is removed by the authorizer, which reads the scheme.
    let mut ended: Vec<&str> = edge.api_keys.iter().flat_map(|keys| keys.own_headers()).collect();
    match edge.policies.get(&route.policy) {
        Some(Policy::Internal(_) | Policy::Signed(_)) => ended.extend(OF_PROGRAMS),
        // The signature of a webhook is worth nothing elsewhere, and the backend may still verify it.
        // A certificate is part of the connection, and ends with it.
        Some(Policy::Webhook(_) | Policy::Certificate(_)) => {}
        Some(Policy::Session(_)) => {
            if let Some(backend) = to.only() {
                ended.extend(ended_before(edge, route, backend));
            }
        }
        Some(Policy::Public(_)) | None => {}
    }
    ended.dedup();
    ended
}

/// The headers that do not reach `backend`, when other backends of the route receive them. On a public route, credentials
/// are the backend's own matter.
pub(super) fn ended_before(edge: &Edge, route: &Route, backend: &str) -> &'static [&'static str] {
    let decided = match edge.policies.get(&route.policy) {
        Some(Policy::Session(_)) => true,
        // Credentials of these policies never reach a backend.
        Some(Policy::Internal(_) | Policy::Signed(_) | Policy::Webhook(_) | Policy::Certificate(_)) => false,
        Some(Policy::Public(_)) | None => false,
    };
    let credentials = edge.backends.get(backend).map_or(Credentials::Keep, |backend| backend.credentials);
    match (decided, credentials) {
        (true, Credentials::Remove) => &OF_PEOPLE,
        (true, Credentials::Keep) | (false, Credentials::Keep | Credentials::Remove) => &[],
    }
}
