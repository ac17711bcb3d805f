//! The destination of a route's requests: one cluster, or several by weight.
//!
//! Envoy's weighted clusters implement shares. A sticky share is chosen by a hash instead of by chance, over a value that
//! no client can choose: the session and the tenant are read from the headers that the authorizer wrote. After that the
//! route is matched once more (`clear_route_cache`). This cannot change its policy, because host, method and path are the
//! same, and every route that they match has the same policy. The hash (xxHash64 of the value, without a seed) is the same
//! in every worker and in every replica, and so is the order of the clusters: when the weights move, only the clients
//! whose share moved go to another backend.

use std::time::Duration;

use edge_config::Edge;
use edge_config::edge::{Backend, Destination, Route, Sticky};
use serde_json::{Map, Value, json};

use super::cluster::cluster_name;
use super::credentials;
use super::header::header;
use super::object::insert;

use super::seconds;

/// The cluster without an address. Each caller of a route without shares has a kind with its own backend; if a request ever
/// came here, it would be answered 503 in the route's words. No backend has this name: theirs begin with `backend-`.
const NOWHERE: &str = "nowhere";

/// The cluster [`NOWHERE`], when a route has no shares.
pub(super) fn nowhere(edge: &Edge) -> Option<Value> {
    let is_needed = edge.routes.iter().any(|route| route.destination.shares.is_empty());
    is_needed.then(|| {
        json!({ "name": NOWHERE, "type": "STATIC", "load_assignment": { "cluster_name": NOWHERE, "endpoints": [] } })
    })
}

/// The `route` of an Envoy route.
pub(super) fn action(edge: &Edge, route: &Route, destination: &Destination) -> Value {
    let mut action = json!({
        // The wait for an answer is limited (per try, below), but not its duration: a large answer to a slow client may
        // take long. An answer that stops in the middle ends with `stream_idle_timeout`.
        "timeout": "0s",
        "retry_policy": retries(edge, route, destination),
    });
    match destination.only() {
        None if destination.shares.is_empty() => insert(&mut action, "cluster", json!(NOWHERE)),
        Some(backend) => {
            insert(&mut action, "cluster", json!(cluster_name(backend)));
            rename(edge, backend, &mut action);
        }
        None => {
            insert(&mut action, "weighted_clusters", weighted(edge, route, destination));
            if let Some(sticky) = &destination.sticky {
                insert(&mut action, "hash_policy", hashed(edge, sticky));
            }
        }
    }
    if let Some(silence) = route.times.idle_timeout {
        insert(&mut action, "idle_timeout", json!(seconds(silence)));
    }
    if route.websocket {
        insert(&mut action, "upgrade_configs", json!([{ "upgrade_type": "websocket" }]));
    }
    action
}

/// Retries only requests that are safe to repeat, and only when the backend has not answered. Envoy reads this before it
/// chooses a backend, so among several the strictest retry rule and the longest timeout apply.
fn retries(edge: &Edge, route: &Route, destination: &Destination) -> Value {
    let backends: Vec<&Backend> = destination.backends().filter_map(|name| edge.backends.get(name)).collect();
    let attempts = backends.iter().map(|backend| backend.retries.attempts).min().unwrap_or(0);
    let mut policy = json!({ "num_retries": attempts });
    if attempts > 0 {
        // `reset` is every end without an answer: the backend may have acted.
        let when = if route.idempotent {
            "connect-failure,refused-stream,reset-before-request,reset"
        } else {
            "connect-failure,refused-stream,reset-before-request"
        };
        insert(&mut policy, "retry_on", json!(when));
        if !route.idempotent {
            let safe = json!([{ "name": ":method", "string_match": { "safe_regex": { "regex": "GET|HEAD|OPTIONS" } } }]);
            insert(&mut policy, "retriable_request_headers", safe);
        }
        // Avoid the endpoint that has just failed, when there is another.
        let elsewhere = json!([{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate" },
        }]);
        insert(&mut policy, "retry_host_predicate", elsewhere);
        // Endpoints are drawn at random: of two, three draws hit the failed one once in eight times, twenty hardly ever. A
        // draw costs less than a microsecond.
        insert(&mut policy, "host_selection_retry_max_attempts", json!(20));
        let pause = |of: fn(&Backend) -> Duration| backends.iter().map(|backend| of(backend)).max();
        if let (Some(first), Some(longest)) =
            (pause(|b| b.retries.backoff), pause(|b| b.retries.longest_backoff))
        {
            let back_off = json!({ "base_interval": seconds(first), "max_interval": seconds(longest) });
            insert(&mut policy, "retry_back_off", back_off);
        }
    }
    // An event stream may send nothing for long; every other answer has a limit.
    let streams = route.stream || route.websocket;
    let of_backends = || backends.iter().map(|backend| backend.request_timeout).max();
    if let Some(patience) = route.times.timeout.or_else(of_backends)
        && !streams
    {
        // Envoy ignores this timeout once an answer has begun. It does not ignore the idle timeout of a try, which also
        // fires while a slow client keeps Envoy from reading on.
        insert(&mut policy, "per_try_timeout", json!(seconds(patience)));
    }
    policy
}

fn weighted(edge: &Edge, route: &Route, destination: &Destination) -> Value {
    let mut shares: Vec<_> = destination.shares.iter().collect();
    // Sorted by name: another order in the file moves no client.
    shares.sort_by_key(|share| share.backend.as_str());
    let clusters: Vec<Value> = shares
        .iter()
        .map(|share| {
            let constant = constant_headers(edge.backends.get(&share.backend));
            let mut cluster = json!({
                "name": cluster_name(&share.backend),
                // Always in the same unit: Envoy takes the hash of a sticky share modulo the sum, so another unit would move
                // every client.
                "weight": share.weight.thousandths(),
                "request_headers_to_add": constant,
            });
            rename(edge, &share.backend, &mut cluster);
            let ended = credentials::ended_before(edge, route, &share.backend);
            if !ended.is_empty() {
                insert(&mut cluster, "request_headers_to_remove", json!(ended));
            }
            cluster
        })
        .collect();
    let mut weighted = Map::new();
    weighted.insert("clusters".to_owned(), Value::Array(clusters));
    if destination.sticky.is_some() {
        weighted.insert("use_hash_policy".to_owned(), json!(true));
    }
    Value::Object(weighted)
}

/// Has `chosen`, an action or one of its clusters, name the backend's own host, where it has one.
fn rename(edge: &Edge, backend: &str, chosen: &mut Value) {
    if let Some(host) = edge.backends.get(backend).and_then(|backend| backend.host.as_ref()) {
        insert(chosen, "host_rewrite_literal", json!(host));
    }
}

/// The headers that a backend expects from its edge on every route; for one with a host of its own also the client's host,
/// which Envoy reads before it writes the other one. A trusted proxy may have named another host already, which stays.
pub(super) fn constant_headers(backend: Option<&Backend>) -> Vec<Value> {
    let constant = backend.into_iter().flat_map(|backend| &backend.request_headers);
    let own = backend.filter(|backend| backend.host.is_some()).map(|_| {
        json!({
            "header": { "key": "x-forwarded-host", "value": "%REQ(:AUTHORITY)%" },
            "append_action": "ADD_IF_ABSENT",
        })
    });
    constant.map(|(name, value)| header(name, value)).chain(own).collect()
}

fn hashed(edge: &Edge, sticky: &Sticky) -> Value {
    let by = |name: &str| json!({ "header": { "header_name": name }, "terminal": true });
    match sticky {
        Sticky::Session => edge.session_headers().into_iter().map(by).collect(),
        Sticky::Subject => json!([by(edge.subject_header())]),
        Sticky::Tenant => json!([by(edge.tenant_header())]),
        // Without a `ttl` Envoy sets no cookie of its own.
        Sticky::Cookie(name) => json!([{ "cookie": { "name": name } }]),
    }
}
