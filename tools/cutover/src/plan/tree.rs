//! Path matches as a tree of segments: finds those that take a path, and enumerates the paths that they distinguish.

use std::collections::{BTreeMap, BTreeSet};

use edge_config::edge::{PathMatch, Segment};

/// A segment that no match names, because a path of an edge file cannot contain these characters. A parameter takes it.
const ANYTHING: &str = "<anything>";

/// A segment that neither a literal nor a parameter takes.
const OUTSIDE: &str = "<änything>";

/// Values by their path matches.
pub(super) struct Tree<'a, T> {
    nodes: Vec<Node<'a, T>>,
}

struct Node<'a, T> {
    literals: BTreeMap<&'a str, usize>,
    /// The child for any segment, and the name by which it is shown.
    parameter: Option<(usize, &'a str)>,
    exact: Vec<T>,
    prefix: Vec<T>,
}

impl<T> Default for Node<'_, T> {
    fn default() -> Self {
        Self { literals: BTreeMap::new(), parameter: None, exact: Vec::new(), prefix: Vec::new() }
    }
}

/// Paths that the same matches take.
pub(super) struct PathRegion {
    /// The path, with a parameter for a segment that no match names.
    pub(super) path: String,
    /// Whether the region is the path itself, or the paths below it.
    pub(super) itself: bool,
    /// A path that stands for the whole region.
    pub(super) sample: String,
}

impl<T> Default for Tree<'_, T> {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl<'a, T: Copy> Tree<'a, T> {
    pub(super) fn add(&mut self, path: &'a PathMatch, value: T) {
        let mut at = 0;
        for segment in path.segments() {
            let new = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            at = match segment {
                Segment::Literal(text) => *node.literals.entry(text).or_insert(new),
                Segment::Parameter(name) => node.parameter.get_or_insert((new, name)).0,
            };
            if at == new {
                self.nodes.push(Node::default());
            }
        }
        let Some(node) = self.nodes.get_mut(at) else { return };
        match path {
            PathMatch::Exact(_) => node.exact.push(value),
            PathMatch::Prefix(_) => node.prefix.push(value),
        }
    }

    /// The values whose matches take `path`, the most specific first; those of one match together.
    pub(super) fn of(&self, path: &str) -> Vec<&[T]> {
        let mut found = Vec::new();
        if let Some(rest) = path.strip_prefix('/') {
            self.visit(0, Some(rest), &mut found);
        }
        found
    }

    fn visit<'s>(&'s self, at: usize, rest: Option<&str>, found: &mut Vec<&'s [T]>) {
        let Some(node) = self.nodes.get(at) else { return };
        if let Some(rest) = rest {
            let (segment, rest) = rest.split_once('/').map_or((rest, None), |(one, rest)| (one, Some(rest)));
            if let Some(child) = node.literals.get(segment) {
                self.visit(*child, rest, found);
            }
            if let Some((child, _)) = node.parameter
                && is_value(segment)
            {
                self.visit(child, rest, found);
            }
        } else {
            found.push(node.exact.as_slice());
        }
        found.push(node.prefix.as_slice());
    }

    /// The regions of all matches: each path that some match names, and the paths below it that no longer match takes.
    pub(super) fn regions(&self) -> Vec<PathRegion> {
        let mut walk = Walk { tree: self, seen: BTreeSet::new(), regions: Vec::new() };
        walk.enter(&[0], "", "", &[]);
        walk.regions
    }

    fn is_end(&self, at: usize) -> bool {
        at == 0 || self.nodes.get(at).is_some_and(|node| !node.exact.is_empty() || !node.prefix.is_empty())
    }
}

fn is_value(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Visits every set of nodes at which a path can be at once: that of a literal, and that of a parameter in its place.
struct Walk<'t, 'a, T> {
    tree: &'t Tree<'a, T>,
    /// The ends on the way to each region. A literal on the way that leads nowhere makes no region of its own.
    seen: BTreeSet<Vec<usize>>,
    regions: Vec<PathRegion>,
}

impl<T: Copy> Walk<'_, '_, T> {
    fn enter(&mut self, at: &[usize], path: &str, sample: &str, passed: &[usize]) {
        let nodes: Vec<&Node<'_, T>> = at.iter().filter_map(|at| self.tree.nodes.get(*at)).collect();
        let mut ends = passed.to_vec();
        ends.extend(at.iter().filter(|at| self.tree.is_end(**at)));
        let is_new = ends.len() > passed.len() && self.seen.insert(ends.clone());
        let name = nodes.iter().find_map(|node| node.parameter.map(|(_, name)| name));
        if is_new {
            if !path.is_empty() {
                self.push(path, true, sample.to_owned());
            }
            let other = if name.is_some() { OUTSIDE } else { ANYTHING };
            self.push(if path.is_empty() { "/" } else { path }, false, format!("{sample}/{other}"));
        }
        let parameters: Vec<usize> =
            nodes.iter().filter_map(|node| node.parameter.map(|(child, _)| child)).collect();
        if let Some(name) = name {
            self.enter(&parameters, &format!("{path}/{{{name}}}"), &format!("{sample}/{ANYTHING}"), &ends);
        }
        let literals: BTreeSet<&str> = nodes.iter().flat_map(|node| node.literals.keys().copied()).collect();
        for literal in literals {
            let mut next: Vec<usize> =
                nodes.iter().filter_map(|node| node.literals.get(literal).copied()).collect();
            if is_value(literal) {
                next.extend(&parameters);
            }
            self.enter(&next, &format!("{path}/{literal}"), &format!("{sample}/{literal}"), &ends);
        }
    }

    fn push(&mut self, path: &str, itself: bool, sample: String) {
        self.regions.push(PathRegion { path: path.to_owned(), itself, sample });
    }
}
