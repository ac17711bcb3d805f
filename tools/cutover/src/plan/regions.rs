//! The regions of two edges, and the route that takes each.
//!
//! There are two kinds of path region: a path that a route or a closed path names, and all paths below such a path that
//! are not below a longer one. The same routes take every path of a region, because routes match whole paths and whole
//! segments and nothing else. So one path stands for its whole region.

use std::collections::{BTreeMap, BTreeSet};

use edge_config::edge::{Exposure, PathMatch, Route};
use edge_config::{Edge, closed_paths, host_of};

/// A segment that no route names, because a path of an edge file cannot contain these characters.
const ANYTHING: &str = "<anything>";

/// The path regions of both edges: the path, whether the region is the path itself or the paths below it, and a path
/// that stands for the region.
pub(super) fn paths(edges: [&Edge; 2]) -> Vec<(String, bool, String)> {
    let mut named = BTreeSet::from(["/".to_owned()]);
    for edge in edges {
        let routes = edge.routes.iter().map(|route| &route.path);
        named.extend(routes.chain(&edge.internal_paths).map(|path| path.path().to_owned()));
    }
    let below = |path: &str| format!("{}/{ANYTHING}", if path == "/" { "" } else { path });
    named
        .into_iter()
        .flat_map(|path| [(path.clone(), true, path.clone()), (path.clone(), false, below(&path))])
        .collect()
}

/// By listener, the host names that either edge knows, and `*` for a name that neither knows.
pub(super) fn hosts(edges: [&Edge; 2]) -> BTreeMap<String, BTreeSet<String>> {
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for edge in edges {
        for listener in edge.listeners.keys() {
            names.entry(listener.clone()).or_default().insert("*".to_owned());
        }
        for host in edge.hosts.values() {
            names.entry(host.listener.clone()).or_default().extend(host.names.iter().cloned());
        }
    }
    names
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
}

/// The routes of an edge by host group and path. It gives the answers of [`edge_config::route_of`] in a time that does
/// not depend on the number of routes.
pub(super) struct Table<'a> {
    edge: &'a Edge,
    routes: BTreeMap<(&'a str, &'a PathMatch), Vec<&'a Route>>,
    closed: BTreeSet<PathMatch>,
}

impl<'a> Table<'a> {
    pub(super) fn of(edge: &'a Edge) -> Self {
        let mut routes: BTreeMap<_, Vec<&Route>> = BTreeMap::new();
        for route in &edge.routes {
            routes.entry((route.host.as_str(), &route.path)).or_default().push(route);
        }
        Self { edge, routes, closed: closed_paths(edge, Exposure::Public).into_iter().collect() }
    }

    /// The host group that serves `name` on `listener`.
    pub(super) fn group(&self, listener: &str, name: &str) -> Option<&'a str> {
        // `\0` is not a host name: it stands for every name that no host lists, and only `*` takes it.
        host_of(self.edge, listener, if name == "*" { "\0" } else { name }).map(|(group, _)| group)
    }

    pub(super) fn exposure(&self, listener: &str) -> Exposure {
        self.edge.listeners.get(listener).map_or(Exposure::Public, |listener| listener.exposure)
    }

    /// The part that takes `method` `path` of the host group on `listener`.
    pub(super) fn takes(&self, listener: &str, group: Option<&str>, method: &str, path: &str) -> Taken<'a> {
        let Some(group) = group else { return Taken::Nothing };
        let candidates = matches(path);
        if self.exposure(listener) == Exposure::Public && candidates.iter().any(|c| self.closed.contains(c)) {
            return Taken::Internal;
        }
        for candidate in &candidates {
            let routes = self.routes.get(&(group, candidate)).map(Vec::as_slice).unwrap_or_default();
            let named = routes.iter().find(|route| route.methods.iter().any(|m| m == method));
            let any = routes.iter().find(|route| route.methods.is_empty());
            if let Some(route) = named.or(any) {
                return Taken::Route(route);
            }
        }
        Taken::Nothing
    }
}

/// Every path match that takes `path`, the most specific first.
fn matches(path: &str) -> Vec<PathMatch> {
    let mut all = vec![PathMatch::Exact(path.to_owned()), PathMatch::Prefix(path.to_owned())];
    let mut rest = path;
    while let Some((parent, _)) = rest.rsplit_once('/') {
        if !parent.is_empty() {
            all.push(PathMatch::Prefix(parent.to_owned()));
        }
        rest = parent;
    }
    if path != "/" {
        all.push(PathMatch::Prefix("/".to_owned()));
    }
    all
}
