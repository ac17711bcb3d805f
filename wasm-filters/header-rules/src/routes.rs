//! Finds the policy of a path.
//!
//! The match is the same as Envoy's: exact before prefix, a long prefix before a short one, a route that names the method
//! before one for any method. A route that does not list the request's method does not match, and the next less specific one
//! is tried. The cost of a lookup depends on the length of the path, and not on the number of routes: the beginnings of the
//! path at each slash are hashed in one pass and looked up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::ConfigError;
use crate::config::{PathRule, RouteRule};

/// A policy of one listener, by its position among the names.
pub(crate) type PolicyId = u32;

/// The entry of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The policy of the route that takes it; `None` without a route.
    pub(crate) policy: Option<PolicyId>,
    /// The description of its lease.
    pub(crate) lease: Option<u32>,
    /// Whether pages of any site may send requests here.
    pub(crate) cross_site: bool,
    /// Whether it is internal, whatever the routes are.
    pub(crate) closed: bool,
}

/// The routes of one host group, and the paths that are closed on its listener.
#[derive(Clone, Debug)]
pub(crate) struct HostRoutes {
    plain: Table,
    /// The same with lower-case paths, and with an optional final slash of an exact path. Absent when that makes no
    /// difference.
    folded: Option<Table>,
}

impl HostRoutes {
    pub(crate) fn compile(
        place: &str,
        routes: &[RouteRule],
        closed: &[PathRule],
        mut policy: impl FnMut(&str) -> PolicyId,
    ) -> Result<Self, ConfigError> {
        let mut plain = Table::default();
        let mut folded = Table::default();
        for rule in closed {
            check_path(rule, "internal_paths")?;
            plain.close(rule);
            for rule in lenient(rule) {
                folded.close(&rule);
            }
        }
        for route in routes {
            check_path(&route.path, place)?;
            let path = path(&route.path);
            if route.policy.is_empty() {
                return Err(ConfigError::NoPolicy { place: place.to_owned(), path: path.to_owned() });
            }
            let policy = policy(&route.policy);
            let target = Target { policy, lease: route.lease, cross_site: route.cross_site };
            for method in &route.methods {
                if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
                    return Err(ConfigError::BadMethod { place: place.to_owned(), method: method.clone() });
                }
            }
            if let Err(taken) = plain.add(&route.path, &route.methods, target) {
                return Err(ConfigError::DuplicateRoute {
                    place: place.to_owned(),
                    path: path.to_owned(),
                    method: taken.method.unwrap_or_else(|| "any method".to_owned()),
                });
            }
            for rule in lenient(&route.path) {
                match folded.add(&rule, &route.methods, target) {
                    Ok(()) => {}
                    Err(taken) if taken.policy == policy => {}
                    Err(_) => {
                        let twin = |other: &&RouteRule| {
                            other.path != route.path && lenient(&other.path).any(|other| other == rule)
                        };
                        return Err(ConfigError::Confusable {
                            place: place.to_owned(),
                            path: path.to_owned(),
                            other: routes
                                .iter()
                                .find(twin)
                                .map_or("", |other| self::path(&other.path))
                                .to_owned(),
                        });
                    }
                }
            }
        }
        let same = plain.nodes.values().flatten().all(|node| is_strict(&node.path));
        Ok(Self { plain, folded: (!same).then_some(folded) })
    }

    /// Envoy's reading of `path`.
    pub(crate) fn raw(&self, path: &[u8], method: &[u8]) -> Place {
        self.plain.find(path, method, false)
    }

    /// Whether every backend takes `path` as Envoy does, provided that no step applies to it (see
    /// [`forms`](crate::forms)): the usual case, which [`Self::raw`] answers alone.
    pub(crate) fn is_plain(&self, path: &[u8], upper: bool) -> bool {
        !upper && self.folded.is_none() && (path.len() < 2 || path.last() != Some(&b'/'))
    }

    /// Whether any backend, case-sensitive or not, with or without a final slash, may read `path` as an entry that
    /// `differs`. `upper` is true when `path` has upper-case letters.
    pub(crate) fn any(
        &self,
        path: &[u8],
        upper: bool,
        method: &[u8],
        mut differs: impl FnMut(Place) -> bool,
    ) -> bool {
        let shorter = path.strip_suffix(b"/").map(|mut shorter| {
            while let Some(rest) = shorter.strip_suffix(b"/") {
                shorter = rest;
            }
            if shorter.is_empty() { b"/" } else { shorter }
        });
        std::iter::once(path).chain(shorter).any(|path| {
            differs(self.plain.find(path, method, false))
                || match &self.folded {
                    Some(folded) => differs(folded.find(path, method, true)),
                    None => upper && differs(self.plain.find(path, method, true)),
                }
        })
    }
}

/// `rule` as a lenient backend reads it: its path in lower case and, for an exact one, without a final slash.
fn lenient(rule: &PathRule) -> impl Iterator<Item = PathRule> {
    let (first, second) = match rule {
        PathRule::Prefix(path) => (PathRule::Prefix(path.to_ascii_lowercase()), None),
        PathRule::Exact(path) => {
            let lower = path.to_ascii_lowercase();
            let shorter = lower.strip_suffix('/').filter(|shorter| !shorter.is_empty());
            let shorter = shorter.map(|shorter| PathRule::Exact(shorter.to_owned()));
            (PathRule::Exact(lower), shorter)
        }
    };
    std::iter::once(first).chain(second)
}

/// Whether [`lenient`] does not change a path.
fn is_strict(path: &[u8]) -> bool {
    !path.iter().any(u8::is_ascii_uppercase) && (path.len() < 2 || path.last() != Some(&b'/'))
}

fn path(rule: &PathRule) -> &str {
    match rule {
        PathRule::Exact(path) | PathRule::Prefix(path) => path,
    }
}

fn check_path(rule: &PathRule, place: &str) -> Result<(), ConfigError> {
    let path = path(rule);
    let fault = if !path.starts_with('/') {
        "does not begin with `/`"
    } else if path.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'?' | b'#')) {
        "has a byte that no path can have (only visible ASCII, without `?` and `#`)"
    } else if matches!(rule, PathRule::Prefix(_)) && path.len() > 1 && path.ends_with('/') {
        "ends with `/`: a prefix is matched by whole segments, so leave the slash out"
    } else {
        return Ok(());
    };
    Err(ConfigError::BadPath { place: place.to_owned(), path: path.to_owned(), fault })
}

/// The entries by path.
#[derive(Clone, Debug, Default)]
struct Table {
    /// By [`Fnv`] of the path. Two paths of one hash share a list; the table is fixed, so no client can make it long.
    nodes: HashMap<u64, Vec<Node>, BuildHasherDefault<AlreadyHashed>>,
    /// Length of the longest path: longer beginnings need no lookup.
    longest: usize,
}

#[derive(Clone, Debug)]
struct Node {
    /// Empty for the prefix `/`, with which every path begins.
    path: Box<[u8]>,
    exact: Methods,
    prefix: Methods,
    closed: bool,
    closed_below: bool,
}

/// The settings of a route for its requests.
#[derive(Clone, Copy, Debug)]
struct Target {
    policy: PolicyId,
    lease: Option<u32>,
    cross_site: bool,
}

/// A route that already exists.
struct Taken {
    policy: PolicyId,
    method: Option<String>,
}

impl Table {
    fn node(&mut self, path: &str) -> &mut Node {
        let path = path.as_bytes();
        self.longest = self.longest.max(path.len());
        let nodes = self.nodes.entry(Fnv::of(path)).or_default();
        let position = nodes.iter().position(|node| *node.path == *path).unwrap_or_else(|| {
            let path = path.into();
            let (exact, prefix) = Default::default();
            nodes.push(Node { path, exact, prefix, closed: false, closed_below: false });
            nodes.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "a position that was just found or pushed")]
        &mut nodes[position]
    }

    fn close(&mut self, rule: &PathRule) {
        match rule {
            PathRule::Exact(path) => self.node(path).closed = true,
            PathRule::Prefix(path) => self.node(path.trim_end_matches('/')).closed_below = true,
        }
    }

    fn add(&mut self, rule: &PathRule, methods: &[String], target: Target) -> Result<(), Taken> {
        match rule {
            PathRule::Exact(path) => self.node(path).exact.add(methods, target),
            PathRule::Prefix(path) => self.node(path.trim_end_matches('/')).prefix.add(methods, target),
        }
    }

    fn find(&self, path: &[u8], method: &[u8], fold: bool) -> Place {
        let mut hash = Fnv::START;
        let mut place = Place::default();
        let read = |byte: u8| if fold { byte.to_ascii_lowercase() } else { byte };
        for (end, &byte) in path.iter().enumerate() {
            if end > self.longest {
                return place;
            }
            if byte == b'/' {
                self.enter(hash, path.get(..end), fold, |node| place.go_below(node, method));
            }
            hash = hash.with(read(byte));
        }
        self.enter(hash, Some(path), fold, |node| {
            place.go_below(node, method);
            place.go(node.exact.of(method));
            place.closed |= node.closed;
        });
        place
    }

    fn enter(&self, hash: Fnv, path: Option<&[u8]>, fold: bool, mut visit: impl FnMut(&Node)) {
        let (Some(path), Some(nodes)) = (path, self.nodes.get(&hash.0)) else { return };
        // Where case is folded, every node's path is in lower case.
        let same =
            |node: &&Node| if fold { node.path.eq_ignore_ascii_case(path) } else { *node.path == *path };
        nodes.iter().filter(same).for_each(&mut visit);
    }
}

impl Place {
    fn go_below(&mut self, node: &Node, method: &[u8]) {
        self.go(node.prefix.of(method));
        self.closed |= node.closed_below;
    }

    fn go(&mut self, target: Option<Target>) {
        if let Some(Target { policy, lease, cross_site }) = target {
            self.policy = Some(policy);
            self.lease = lease;
            self.cross_site = cross_site;
        }
    }
}

/// The policies of one path, by method.
#[derive(Clone, Debug, Default)]
struct Methods {
    /// At most one for each method, so never more than a handful.
    named: Vec<(Box<[u8]>, Target)>,
    any: Option<Target>,
}

impl Methods {
    fn add(&mut self, methods: &[String], target: Target) -> Result<(), Taken> {
        if methods.is_empty() {
            if let Some(Target { policy, .. }) = self.any {
                return Err(Taken { policy, method: None });
            }
            self.any = Some(target);
        }
        for method in methods {
            if let Some(Target { policy, .. }) = self.named(method.as_bytes()) {
                return Err(Taken { policy, method: Some(method.clone()) });
            }
            self.named.push((method.as_bytes().into(), target));
        }
        Ok(())
    }

    fn named(&self, method: &[u8]) -> Option<Target> {
        self.named.iter().find(|(named, _)| **named == *method).map(|(_, target)| *target)
    }

    fn of(&self, method: &[u8]) -> Option<Target> {
        self.named(method).or(self.any)
    }
}

/// FNV-1a: one pass over a path gives the hash of each of its beginnings.
#[derive(Clone, Copy)]
struct Fnv(u64);

impl Fnv {
    const START: Self = Self(0xcbf2_9ce4_8422_2325);

    const fn with(self, byte: u8) -> Self {
        Self((self.0 ^ byte as u64).wrapping_mul(0x0100_0000_01b3))
    }

    fn of(path: &[u8]) -> u64 {
        path.iter().fold(Self::START, |hash, &byte| hash.with(byte)).0
    }
}

/// Passes an [`Fnv`] to the map, whose buckets need entropy in the upper bits, too.
#[derive(Clone, Copy, Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(Fnv(self.0), |hash, &byte| hash.with(byte)).0;
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
