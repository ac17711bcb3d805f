//! Which route takes a request: the same answer as Envoy's, for explanations and tests. No request is decided
//! by it; Envoy says with every check which route it took.

use std::cmp::Reverse;

use crate::edge::{Edge, Exposure, Host, METHODS, PathMatch, Policy, Route};

/// What takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// This route.
    Route(&'a Route),
    /// Envoy itself, with 405: a method that no edge lets through.
    MethodNotAllowed,
    /// Envoy itself, with 404: the path is closed on this listener.
    InternalPath,
    /// Envoy itself, with 404: the listener serves no such host.
    UnknownHost,
    /// Envoy itself, with 404: the host has no such route.
    Unmatched,
}

/// What takes `method` `path` (raw, without its query) of `host` on `listener`.
///
/// The most specific route wins: exact before prefix, a long path before a short one, named methods before any.
/// A route whose methods leave the request's out is no match, and the next one is asked. `host` may have a
/// port, which does not count.
#[must_use]
pub fn route_of<'a>(edge: &'a Edge, listener: &str, host: &str, method: &str, path: &str) -> Match<'a> {
    let Some((group, _)) = host_of(edge, listener, host) else { return Match::UnknownHost };
    if !METHODS.contains(&method) {
        return Match::MethodNotAllowed;
    }
    let exposure = edge.listeners.get(listener).map_or(Exposure::Public, |listener| listener.exposure);
    if closed_paths(edge, exposure).iter().any(|closed| closed.takes(path)) {
        return Match::InternalPath;
    }
    let takes = |route: &&Route| {
        let method_fits = route.methods.is_empty() || route.methods.iter().any(|named| named == method);
        route.host == group && route.path.takes(path) && method_fits
    };
    let specificity = |route: &&Route| {
        let prefix = matches!(route.path, PathMatch::Prefix(_));
        (prefix, Reverse(route.path.path().len()), route.methods.is_empty())
    };
    edge.routes.iter().filter(takes).min_by_key(specificity).map_or(Match::Unmatched, Match::Route)
}

/// The host group of `listener` that answers to `host`: the one that names it, or the one for any name.
#[must_use]
pub fn host_of<'a>(edge: &'a Edge, listener: &str, host: &str) -> Option<(&'a str, &'a Host)> {
    let name = without_port(host).to_ascii_lowercase();
    let of = |wanted: &str| {
        let mut groups = edge.hosts.iter();
        groups.find(|(_, host)| host.listener == listener && host.names.iter().any(|name| name == wanted))
    };
    of(&name).or_else(|| of("*")).map(|(group, host)| (group.as_str(), host))
}

/// The paths that no spelling may reach on a listener for `exposure`: the declared ones and those of every
/// internal route on a public listener, none on an internal one.
#[must_use]
pub fn closed_paths(edge: &Edge, exposure: Exposure) -> Vec<PathMatch> {
    if exposure == Exposure::Internal {
        return Vec::new();
    }
    let of_routes = edge
        .routes
        .iter()
        .filter(|route| matches!(edge.policies.get(&route.policy), Some(Policy::Internal(_))))
        .map(|route| &route.path);
    let mut paths: Vec<PathMatch> = edge.internal_paths.iter().chain(of_routes).cloned().collect();
    paths.sort();
    paths.dedup();
    paths
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // An IPv6 address without a port ends with its bracket.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}
