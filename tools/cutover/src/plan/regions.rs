//! The regions of two edges, and what takes each.
//!
//! A path belongs to one of two kinds of region: a path that some route or closed path names, or whatever is below
//! such a path and below no longer one. Inside a region every path is taken by the same routes, because routes
//! match whole paths and whole segments and nothing else. So one path of each region stands for all of it.

use std::collections::{BTreeMap, BTreeSet};

use edge_config::edge::{Exposure, PathMatch, Route};
use edge_config::{Edge, closed_paths, host_of};

/// A segment that no route names: letters that a path of an edge file cannot have.
const ANYTHING: &str = "<anything>";

/// The path regions of both edges: the path, whether it is the path itself or what is below, and one that stands
/// for it.
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

/// The names that either edge knows on a listener of either, and one that neither does.
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

/// What takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken<'a> {
    /// A route.
    Route(&'a Route),
    /// Nobody: the listener has no such host or the host no such route.
    Nobody,
    /// Nobody: the path is closed here.
    Internal,
}

/// The routes of an edge by host group and path: the answers of [`edge_config::route_of`], in a time that does not
/// depend on how many routes there are.
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

    /// The host group that answers to `name` on `listener`.
    pub(super) fn group(&self, listener: &str, name: &str) -> Option<&'a str> {
        // Nobody's name stands for every name that is not named; only `*` takes it.
        host_of(self.edge, listener, if name == "*" { "\0" } else { name }).map(|(group, _)| group)
    }

    pub(super) fn exposure(&self, listener: &str) -> Exposure {
        self.edge.listeners.get(listener).map_or(Exposure::Public, |listener| listener.exposure)
    }

    /// What takes `method` `path` of the host group on `listener`.
    pub(super) fn takes(&self, listener: &str, group: Option<&str>, method: &str, path: &str) -> Taken<'a> {
        let Some(group) = group else { return Taken::Nobody };
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
        Taken::Nobody
    }
}

/// Every way of naming `path`, the most specific first.
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
