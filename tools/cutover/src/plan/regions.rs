//! The regions of two edges, and the route that takes each.
//!
//! There are two kinds of path region: a path that a route, an absent or a closed path names, and all paths below such a
//! path that are not below a longer one. The same routes take every path of a region, because routes match whole paths and whole
//! segments and nothing else. So one path stands for its whole region. Where one route has a literal and another has a
//! parameter, the literal and every other segment make regions of their own.

use std::collections::{BTreeMap, BTreeSet};

use edge_config::edge::{Exposure, FURTHER_METHODS, METHODS, PathMatch, Route};
use edge_config::{Edge, closed_paths, host_of};

use super::tree::{PathRegion, Tree};

/// The path regions of both edges.
pub(super) fn paths(edges: [&Edge; 2]) -> Vec<PathRegion> {
    let root = PathMatch::Exact("/".to_owned());
    let mut tree = Tree::default();
    tree.add(&root, ());
    for edge in edges {
        let routes = edge.routes.iter().map(|route| &route.path);
        let absent = edge.absent_paths.iter().map(|absent| &absent.path);
        for path in routes.chain(&edge.internal_paths).chain(absent) {
            tree.add(path, ());
        }
    }
    tree.regions()
}

/// By listener, the host names that either edge knows (`*.example.com` for one below it that neither knows), and `*` for a
/// name that neither knows.
pub(super) fn hosts(edges: [&Edge; 2]) -> BTreeMap<String, BTreeSet<String>> {
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for edge in edges {
        for listener in edge.listeners.keys() {
            names.entry(listener.clone()).or_default().insert("*".to_owned());
        }
        for host in edge.hosts.values() {
            for listener in &host.listeners {
                names.entry(listener.clone()).or_default().extend(host.names.iter().cloned());
            }
        }
    }
    names
}

/// The methods that either edge distinguishes.
pub(super) fn methods(edges: [&Edge; 2]) -> Vec<&'static str> {
    let is_named = |method: &&str| {
        let mut routes = edges.iter().flat_map(|edge| &edge.routes);
        routes.any(|route| route.takes_method(method))
    };
    METHODS.into_iter().chain(FURTHER_METHODS.into_iter().filter(is_named)).collect()
}

/// The part of the edge that takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken<'a> {
    /// A route.
    Route(&'a Route),
    /// No route: the listener does not have the host, or the host does not have the route.
    Nothing,
    /// No route: the path is internal and closed here.
    Internal,
    /// No route: the listener sends every request to https.
    Redirected,
}

/// The routes of an edge by host group and path. It gives the answers of [`edge_config::route_of`] in a time that does
/// not depend on the number of routes.
pub(super) struct Table<'a> {
    edge: &'a Edge,
    /// An absent path has no route.
    routes: BTreeMap<&'a str, Tree<'a, Option<&'a Route>>>,
    closed: Tree<'a, ()>,
}

impl<'a> Table<'a> {
    pub(super) fn of(edge: &'a Edge) -> Self {
        let mut routes: BTreeMap<_, Tree<'_, Option<&Route>>> = BTreeMap::new();
        for route in &edge.routes {
            routes.entry(route.host.as_str()).or_default().add(&route.path, Some(route));
        }
        for absent in &edge.absent_paths {
            routes.entry(absent.host.as_str()).or_default().add(&absent.path, None);
        }
        let mut closed = Tree::default();
        for path in closed_paths(edge, Exposure::Public) {
            closed.add(path, ());
        }
        Self { edge, routes, closed }
    }

    /// The host group that serves `name` on `listener`.
    pub(super) fn group(&self, listener: &str, name: &str) -> Option<&'a str> {
        // `\0` is not a host name: it stands for every name, or every first label, that no host lists.
        host_of(self.edge, listener, &name.replace('*', "\0")).map(|(group, _)| group)
    }

    pub(super) fn exposure(&self, listener: &str) -> Exposure {
        self.edge.listeners.get(listener).map_or(Exposure::Public, |listener| listener.exposure)
    }

    /// The part that takes `method` `path` of the host group on `listener`.
    pub(super) fn takes(&self, listener: &str, group: Option<&str>, method: &str, path: &str) -> Taken<'a> {
        let Some(group) = group else { return Taken::Nothing };
        if self.edge.listeners.get(listener).is_some_and(|listener| !listener.serves()) {
            return Taken::Redirected;
        }
        let is_public = self.exposure(listener) == Exposure::Public;
        if is_public && self.closed.of(path).iter().any(|closed| !closed.is_empty()) {
            return Taken::Internal;
        }
        let candidates = self.routes.get(group).map(|tree| tree.of(path)).unwrap_or_default();
        for routes in candidates {
            let open = || routes.iter().flatten();
            let named = open().find(|route| route.methods.iter().any(|m| m == method));
            let any = open().find(|route| route.takes_method(method));
            if let Some(route) = named.or(any) {
                return Taken::Route(route);
            }
            if routes.iter().any(Option::is_none) {
                return Taken::Nothing;
            }
        }
        Taken::Nothing
    }
}
