//! The entries by path, as a tree of segments.
//!
//! The cost of a lookup depends on the length of the path, and not on the number of routes: the children of a node are found
//! by a hash. Where a node has a child for the literal and one for any segment, both are tried, the literal first; so a lookup
//! visits few nodes, and never one twice.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::{PathEntry, PolicyId, is_parameter};
use crate::config::PathRule;

/// How a path is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As Envoy does: a parameter takes visible ASCII.
    Raw,
    /// As a backend may do that decodes: a parameter takes any bytes.
    Decoded,
    /// The same without regard to letter case.
    Folded,
}

impl Reading {
    const fn byte(self, byte: u8) -> u8 {
        match self {
            Self::Raw | Self::Decoded => byte,
            Self::Folded => byte.to_ascii_lowercase(),
        }
    }

    fn same(self, one: &[u8], other: &[u8]) -> bool {
        match self {
            Self::Raw | Self::Decoded => one == other,
            Self::Folded => one.eq_ignore_ascii_case(other),
        }
    }

    fn is_value(self, segment: &[u8]) -> bool {
        !segment.is_empty()
            && match self {
                Self::Raw => segment.iter().all(u8::is_ascii_graphic),
                Self::Decoded | Self::Folded => true,
            }
    }
}

/// The settings of a route for its requests. By default it has none: no route takes them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target {
    /// `None` where Envoy answers itself.
    pub(super) policy: Option<PolicyId>,
    pub(super) lease: Option<u32>,
    pub(super) cross_site: bool,
    pub(super) cors: Option<u32>,
    pub(super) sign_in: bool,
    pub(super) websocket_token: bool,
}

/// A route that already exists.
pub(super) struct Taken {
    pub(super) policy: Option<PolicyId>,
    pub(super) method: Option<String>,
}

/// The position of a node. The root is the path that every path begins with: it has no segment.
type NodeId = u32;

const ROOT: NodeId = 0;

#[derive(Clone, Debug)]
pub(super) struct Table {
    nodes: Vec<Node>,
    /// The nodes of literal segments by [`key`]. Two of one hash share a list; the table is fixed, so no client can make it
    /// long.
    literals: HashMap<u64, Vec<NodeId>, BuildHasherDefault<AlreadyHashed>>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    parent: NodeId,
    /// The literal; empty for a parameter, which no lookup compares.
    segment: Box<[u8]>,
    /// The child for any segment.
    parameter: Option<NodeId>,
    /// Absent where no rule ends.
    entry: Option<Box<Entry>>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    exact: Methods,
    prefix: Methods,
    closed: bool,
    closed_below: bool,
}

impl Default for Table {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], literals: HashMap::default() }
    }
}

impl Table {
    /// Closes the paths of `rule`, whatever the routes are.
    pub(super) fn close(&mut self, rule: &PathRule) {
        match rule {
            PathRule::Exact(path) => self.entry(path).closed = true,
            PathRule::Prefix(path) => self.entry(path.trim_end_matches('/')).closed_below = true,
        }
    }

    pub(super) fn add(&mut self, rule: &PathRule, methods: &[String], target: Target) -> Result<(), Taken> {
        match rule {
            PathRule::Exact(path) => self.entry(path).exact.add(methods, target),
            PathRule::Prefix(path) => self.entry(path.trim_end_matches('/')).prefix.add(methods, target),
        }
    }

    /// The entry that takes `path`, and whether the path is closed.
    pub(super) fn find(&self, path: &[u8], method: &[u8], reading: Reading) -> PathEntry {
        let mut place = PathEntry::default();
        if let Some(rest) = path.strip_prefix(b"/") {
            Lookup { table: self, method, reading, taken: false, place: &mut place }.visit(ROOT, Some(rest));
        }
        place
    }

    /// The most nodes of one hash.
    #[cfg(test)]
    pub(super) fn longest_list(&self) -> usize {
        self.literals.values().map(Vec::len).max().unwrap_or_default()
    }

    /// The entry of a rule's path, made if necessary. The empty path is the root.
    fn entry(&mut self, path: &str) -> &mut Entry {
        let mut at = ROOT;
        for segment in path.strip_prefix('/').into_iter().flat_map(|path| path.split('/')) {
            at =
                if is_parameter(segment) { self.parameter(at) } else { self.literal(at, segment.as_bytes()) };
        }
        self.node(at).entry.get_or_insert_default()
    }

    fn parameter(&mut self, parent: NodeId) -> NodeId {
        if let Some(known) = self.node(parent).parameter {
            return known;
        }
        let new = self.push(Node { parent, ..Node::default() });
        self.node(parent).parameter = Some(new);
        new
    }

    fn literal(&mut self, parent: NodeId, segment: &[u8]) -> NodeId {
        if let Some(known) = self.child(parent, segment, Reading::Raw) {
            return known;
        }
        let new = self.push(Node { parent, segment: segment.into(), ..Node::default() });
        self.literals.entry(key(parent, segment, Reading::Raw)).or_default().push(new);
        new
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        // A configuration is far below 4 GiB, so it has fewer nodes than the type has values.
        NodeId::try_from(self.nodes.len() - 1).unwrap_or(NodeId::MAX)
    }

    fn node(&mut self, at: NodeId) -> &mut Node {
        #[expect(clippy::indexing_slicing, reason = "the position of a node that exists")]
        &mut self.nodes[at as usize]
    }

    fn child(&self, parent: NodeId, segment: &[u8], reading: Reading) -> Option<NodeId> {
        let twins = self.literals.get(&key(parent, segment, reading))?;
        // Where case is folded, every rule is in lower case.
        twins.iter().copied().find(|&at| {
            let node = self.nodes.get(at as usize);
            node.is_some_and(|node| node.parent == parent && reading.same(&node.segment, segment))
        })
    }
}

/// One lookup: it goes to the most specific entry first, and keeps the first that takes the request.
struct Lookup<'t> {
    table: &'t Table,
    method: &'t [u8],
    reading: Reading,
    /// Whether an entry took the request. An absent path does, and has no policy.
    taken: bool,
    place: &'t mut PathEntry,
}

impl Lookup<'_> {
    /// Visits a node and what is below it. `rest` is the path after the node; absent at the end of the path. It goes as deep
    /// as the deepest rule.
    fn visit(&mut self, at: NodeId, rest: Option<&[u8]>) {
        let table = self.table;
        let Some(node) = table.nodes.get(at as usize) else { return };
        if let Some(rest) = rest {
            let end = rest.iter().position(|&byte| byte == b'/');
            let (segment, rest) = match end.and_then(|end| rest.split_at_checked(end)) {
                Some((segment, rest)) => (segment, rest.get(1..)),
                None => (rest, None),
            };
            if let Some(child) = table.child(at, segment, self.reading) {
                self.visit(child, rest);
            }
            if let Some(child) = node.parameter
                && self.reading.is_value(segment)
            {
                self.visit(child, rest);
            }
        }
        let Some(entry) = &node.entry else { return };
        if rest.is_none() {
            self.take(entry.exact.of(self.method));
            self.place.closed |= entry.closed;
        }
        self.take(entry.prefix.of(self.method));
        self.place.closed |= entry.closed_below;
    }

    fn take(&mut self, target: Option<Target>) {
        if let Some(Target { policy, lease, cross_site, cors, sign_in, websocket_token }) = target
            && !self.taken
        {
            self.taken = true;
            self.place.policy = policy;
            self.place.lease = lease;
            self.place.cross_site = cross_site;
            self.place.cors = cors;
            self.place.sign_in = sign_in;
            self.place.websocket_token = websocket_token;
        }
    }
}

/// The policies of one path, by method.
#[derive(Clone, Debug, Default)]
struct Methods {
    /// At most one for each method, so never more than a handful.
    named: Vec<(Box<[u8]>, Target)>,
    /// For the methods of [`USUAL`].
    any: Option<Target>,
}

/// The methods of a route that names none. Envoy's routes take no other without its name.
const USUAL: [&[u8]; 7] = [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"];

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
        // An absent path takes every method.
        let takes = |target: &Target| target.policy.is_none() || USUAL.contains(&method);
        self.named(method).or_else(|| self.any.filter(takes))
    }
}

/// The hash of a literal segment below `parent`: FNV-1a.
fn key(parent: NodeId, segment: &[u8], reading: Reading) -> u64 {
    let bytes = segment.iter().map(|&byte| reading.byte(byte));
    parent.to_le_bytes().into_iter().chain(bytes).fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Passes a [`key`] to the map, whose buckets need entropy in the upper bits, too.
#[derive(Clone, Copy, Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, bytes: &[u8]) {
        self.0 =
            bytes.iter().fold(self.0, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
