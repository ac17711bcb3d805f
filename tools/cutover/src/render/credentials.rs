//! Where a credential ends.
//!
//! The edge turns a credential into an identity, signed for one backend and for a minute. The credential itself counts at
//! other backends too, and for longer: a backend that gets it could use it in its owner's name. So it ends here, by the
//! route, whether a request was checked or served by a lease; the filters have read it by then.

use edge_config::Edge;
use edge_config::edge::{Credentials, Destination, Policy, Route};

/// What programs prove themselves with, beside API keys.
const OF_PROGRAMS: [&str; 3] = ["authorization", "signature", "signature-input"];

/// What people prove themselves with. A cookie is not taken out of its line: a line is whole or gone.
const OF_PEOPLE: [&str; 2] = ["authorization", "cookie"];

/// The headers that reach none of the backends of `to`.
pub(super) fn ended<'e>(edge: &'e Edge, route: &Route, to: &Destination) -> Vec<&'e str> {
    // The header is the edge's: a key in it is one of the edge's keys, whatever the route accepts.
    let mut ended: Vec<&str> = edge.api_keys.iter().map(|keys| keys.header.as_str()).collect();
    match edge.policies.get(&route.policy) {
        Some(Policy::Internal(_) | Policy::Signed(_)) => ended.extend(OF_PROGRAMS),
        Some(Policy::Session(_)) => {
            if let Some(backend) = to.only() {
                ended.extend(ended_before(edge, route, backend));
            }
        }
        Some(Policy::Public) | None => {}
    }
    ended.dedup();
    ended
}

/// The headers that do not reach `backend`, among others that get them. On a route that anybody may use, credentials are
/// the backend's own business.
pub(super) fn ended_before(edge: &Edge, route: &Route, backend: &str) -> &'static [&'static str] {
    let decided = match edge.policies.get(&route.policy) {
        Some(Policy::Session(_)) => true,
        // Their credentials reach no backend anyway.
        Some(Policy::Internal(_) | Policy::Signed(_)) => false,
        Some(Policy::Public) | None => false,
    };
    let credentials = edge.backends.get(backend).map_or(Credentials::Keep, |backend| backend.credentials);
    match (decided, credentials) {
        (true, Credentials::Remove) => &OF_PEOPLE,
        (true, Credentials::Keep) | (false, Credentials::Keep | Credentials::Remove) => &[],
    }
}
