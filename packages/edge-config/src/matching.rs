//! Finds the route of a request, as Envoy does, for explanations and tests. Decisions do not use it: Envoy sends its route
//! with every check.

use crate::edge::{Edge, Exposure, Host, METHODS, PathMatch, Policy, Route};

/// The route or refusal for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// Envoy sends the request on by this route, if its policy allows it.
    Route(&'a Route),
    /// Envoy itself, with 405: the host accepts the method nowhere, or not on this path.
    MethodNotAllowed,
    /// Envoy itself, with 308: the listener sends every request of its hosts to https.
    Redirect,
    /// Envoy itself, with 404: the path is closed on this listener.
    InternalPath,
    /// Envoy itself, with 404: the listener does not serve the host.
    UnknownHost,
    /// Envoy itself, with 404: no route of the host matches.
    Unmatched,
}

/// The route for `method` `path` (raw, without its query) of `host` on `listener`.
///
/// The most specific route wins, by the rule of [`PathMatch::specificity`] and then named methods before any. A route that
/// does not list the request's method does not match, and the next one is tried. A port in `host` is ignored.
#[must_use]
pub fn route_of<'a>(edge: &'a Edge, listener: &str, host: &str, method: &str, path: &str) -> Match<'a> {
    let Some((group, _)) = host_of(edge, listener, host) else { return Match::UnknownHost };
    if edge.listeners.get(listener).is_some_and(|listener| !listener.serves()) {
        return Match::Redirect;
    }
    let is_usual = METHODS.contains(&method);
    let is_named = || edge.routes.iter().any(|route| route.host == group && route.takes_method(method));
    if !is_usual && !is_named() {
        return Match::MethodNotAllowed;
    }
    let exposure = edge.listeners.get(listener).map_or(Exposure::Public, |listener| listener.exposure);
    if closed_paths(edge, exposure).iter().any(|closed| closed.takes(path)) {
        return Match::InternalPath;
    }
    let takes = |route: &&Route| route.host == group && route.path.takes(path) && route.takes_method(method);
    let nothing = if is_usual { Match::Unmatched } else { Match::MethodNotAllowed };
    let rank = |one: &&Route, other: &&Route| {
        let methods = one.methods.is_empty().cmp(&other.methods.is_empty());
        one.path.specificity().cmp(&other.path.specificity()).then(methods)
    };
    let route = edge.routes.iter().filter(takes).min_by(rank);
    let absent = edge.absent_paths.iter().filter(|absent| absent.host == group && absent.path.takes(path));
    let absent = absent.min_by(|one, other| one.path.specificity().cmp(&other.path.specificity()));
    match (route, absent) {
        // An absent path takes every method, so a route of the same path, which names its own, comes first.
        (Some(route), Some(absent)) if absent.path.specificity() < route.path.specificity() => {
            Match::Unmatched
        }
        (Some(route), _) => Match::Route(route),
        (None, Some(_)) => Match::Unmatched,
        (None, None) => nothing,
    }
}

/// The host group of `listener` that serves `host`: the one that names it, else the one with the longest `*.` ending of it,
/// else the one for any name. `*.example.com` takes names of any depth below `example.com`, but not that name itself.
#[must_use]
pub fn host_of<'a>(edge: &'a Edge, listener: &str, host: &str) -> Option<(&'a str, &'a Host)> {
    let name = without_port(host).to_ascii_lowercase();
    let of = |wanted: &str| {
        let mut groups = edge.hosts.iter();
        groups.find(|(_, host)| host.is_on(listener) && host.names.iter().any(|name| name == wanted))
    };
    let endings = name.match_indices('.').filter(|(at, _)| *at > 0).filter_map(|(at, _)| name.get(at..));
    let below = || endings.map(|ending| format!("*{ending}")).find_map(|wanted| of(&wanted));
    of(&name).or_else(below).or_else(|| of("*")).map(|(group, host)| (group.as_str(), host))
}

/// The paths that are closed in every spelling on a listener with `exposure`. On a public listener these are the declared
/// internal paths and those of every internal route; on an internal one there are none.
#[must_use]
pub fn closed_paths(edge: &Edge, exposure: Exposure) -> Vec<&PathMatch> {
    if exposure == Exposure::Internal {
        return Vec::new();
    }
    let of_routes = edge
        .routes
        .iter()
        .filter(|route| matches!(edge.policies.get(&route.policy), Some(Policy::Internal(_))))
        .map(|route| &route.path);
    let mut paths: Vec<&PathMatch> = edge.internal_paths.iter().chain(of_routes).collect();
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
