//! The routes: which requests go where, under which policy.

use super::{Canary, Destination, EndsWith, PathMatch, RouteCors, RouteTimes};

/// The destination of a set of requests, and the policy for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Unique name: it is in the access log, the metrics and every explanation.
    pub name: String,
    /// Its host group.
    pub host: String,
    /// Its paths.
    pub path: PathMatch,
    /// Its methods: of [`METHODS`] and [`FURTHER_METHODS`]. Empty means every method of [`METHODS`], and no other.
    pub methods: Vec<String>,
    /// The name of the policy that each of its requests must satisfy.
    pub policy: String,
    /// The backends and their shares.
    pub destination: Destination,
    /// Callers that go to another backend, whatever the shares are. The first that applies counts.
    pub canaries: Vec<Canary>,
    /// The backend that receives a copy of each GET and HEAD, and whose answer no client receives.
    pub shadow: Option<String>,
    /// The name of the answers for refused callers.
    pub answers: String,
    /// Whether pages of any other site may have a browser send requests here; otherwise the guard refuses them.
    pub cross_site: bool,
    /// The pages of other origins that may read its answers.
    pub cors: RouteCors,
    /// Whether its requests may become a WebSocket (RFC 6455).
    pub websocket: bool,
    /// Whether its answers may begin and end at any time, such as server-sent events.
    pub stream: bool,
    /// Whether a repetition of any of its requests has the same effect, so that they may be sent again, whatever their method.
    pub idempotent: bool,
    /// What ends its open requests, as the file says it; [`Edge::ends_with`](super::Edge::ends_with) knows the rest.
    pub ends_with: Option<EndsWith>,
    /// The names of the limits for its requests.
    pub limits: Vec<String>,
    /// The longest body of its requests, in bytes; a longer one is refused with 413. Absent where any may pass.
    pub body_limit: Option<u64>,
    /// The times that it has instead of those of its backends and its listener.
    pub times: RouteTimes,
}

/// Paths that do not exist: Envoy answers 404 itself, to every client and every method. A route takes its own, more specific
/// paths out of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentPath {
    /// Its host group.
    pub host: String,
    /// The paths.
    pub path: PathMatch,
    /// The name of the answers, whose `not_found` is sent.
    pub answers: String,
}

impl Route {
    /// Whether it takes requests with `method`.
    #[must_use]
    pub fn takes_method(&self, method: &str) -> bool {
        if self.methods.is_empty() {
            METHODS.contains(&method)
        } else {
            self.methods.iter().any(|named| named == method)
        }
    }

    /// The names of all backends to which its requests can go, each once.
    #[must_use]
    pub fn backends(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let canaries = self.canaries.iter().map(|canary| canary.backend.as_str());
        for name in self.destination.backends().chain(canaries) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// Methods that pass only where a route names them: those of WebDAV and CalDAV, QUERY, and those of caches and event
/// subscriptions.
pub const FURTHER_METHODS: [&str; 24] = [
    "ACL",
    "BIND",
    "CHECKOUT",
    "COPY",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "NOTIFY",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SUBSCRIBE",
    "UNBIND",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
];

/// The methods that pass through an edge when a route names none. `TRACE` echoes headers back and `CONNECT`
/// opens tunnels, so neither passes on any route.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
