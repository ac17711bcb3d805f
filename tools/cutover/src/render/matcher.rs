//! The routes of a host as a tree, so that ten thousand of them cost as much as ten.
//!
//! Envoy walks a list of routes from its first to its last. A matcher tree reads the path once: a trie finds the
//! configured paths that are a prefix of the request's path, the longest first. At each, a handful of comparisons decide
//! whether it really takes the request: by whole segments, with a query or without one, and by method. A path that takes
//! nothing passes the request on to the next shorter one. The route at the end has its own match, too, which repeats the
//! same conditions. A path with parameters is found by its literal beginning, and then by [`templates`].

mod templates;

use std::collections::BTreeMap;

use edge_config::edge::PathMatch;
use serde_json::{Map, Value, json};

/// The requests that lead to these Envoy routes.
#[derive(Clone)]
pub(super) struct Leaf {
    pub(super) path: PathMatch,
    /// Empty for every method of the edge.
    pub(super) methods: Vec<String>,
    /// Whether it also takes the methods that only some routes name.
    pub(super) is_absent: bool,
    /// The first route whose own match fits is taken.
    pub(super) routes: Vec<Value>,
}

/// The tree, in this order: requests with another method than `methods`, which reach only the routes that name it and are
/// `refused` elsewhere, the routes that the header of `known` names,
/// `closed`, `open`, and `rest`.
pub(super) fn tree(
    methods: &[&str],
    refused: Value,
    known: RoutesByHeader<'_>,
    closed: Vec<Leaf>,
    open: Vec<Leaf>,
    rest: Value,
) -> Value {
    let is_further = |leaf: &&Leaf| leaf.methods.iter().any(|method| !methods.contains(&method.as_str()));
    let has_further = open.iter().any(|leaf| is_further(&leaf));
    let further: Vec<Leaf> =
        open.iter().filter(|leaf| has_further && (leaf.is_absent || is_further(leaf))).cloned().collect();
    let refused = object([("action", action(vec![refused]))]);
    let refused = if further.is_empty() {
        refused
    } else {
        let further = object([("matcher", by_path(further, refused))]);
        let closed = object([("matcher", by_path(closed.clone(), further))]);
        by_name(known.clone(), closed)
    };
    let rest = object([("action", action(vec![rest]))]);
    let open = object([("matcher", by_path(open, rest))]);
    let closed = object([("matcher", by_path(closed, open))]);
    let known = by_name(known, closed);
    let refuse = json!({
        "predicate": { "not_matcher": any_of(methods.iter().map(|method| method_is(method)).collect()) },
        "on_match": refused,
    });
    object([("matcher_list", json!({ "matchers": [refuse] })), ("on_no_match", known)])
}

/// `encrypted` for a client that came by https, as `x-forwarded-proto` says, and `others` for any other.
pub(super) fn by_scheme(encrypted: Value, others: Vec<Value>) -> Value {
    let map = object([("map", object([("https", object([("matcher", encrypted)]))]))]);
    let tree = object([("input", header("scheme", "x-forwarded-proto")), ("exact_match_map", map)]);
    object([("matcher_tree", tree), ("on_no_match", object([("action", action(others))]))])
}

/// The routes that a header names, or `otherwise`.
fn by_name(known: RoutesByHeader<'_>, otherwise: Value) -> Value {
    if known.routes.is_empty() {
        return otherwise;
    }
    let routes = known.routes.into_iter();
    let routes = routes.map(|(value, routes)| (value, object([("action", action(routes))])));
    let map = object([("map", Value::Object(routes.collect()))]);
    let named = object([("input", header("known", known.header)), ("exact_match_map", map)]);
    object([("matcher", object([("matcher_tree", named), ("on_no_match", otherwise)]))])
}

/// Routes that are already known when Envoy matches, by the value of a header.
#[derive(Clone)]
pub(super) struct RoutesByHeader<'a> {
    pub(super) header: &'a str,
    pub(super) routes: Vec<(String, Vec<Value>)>,
}

/// An object of these fields. `json!` would copy them, and a tree of ten thousand routes is large.
pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// `leaves` are sorted, the most specific first.
fn by_path(leaves: Vec<Leaf>, otherwise: Value) -> Value {
    // By the literal beginning: a longer one has a literal where a shorter one has a parameter or ends, so it comes first.
    let mut starts: BTreeMap<String, (Vec<Leaf>, Vec<Leaf>)> = BTreeMap::new();
    for leaf in leaves {
        let beginning = templates::beginning(&leaf.path);
        let start = beginning.unwrap_or(leaf.path.path()).to_owned();
        let is_template = beginning.is_some();
        let (literals, templates) = starts.entry(start).or_default();
        if is_template { templates.push(leaf) } else { literals.push(leaf) }
    }
    let mut map: Map<String, Value> = Map::new();
    for (start, (literals, templates)) in starts {
        // Templates have more segments than the prefix `/`, the only one that can share a beginning with them.
        let (prefixes, exact): (Vec<Leaf>, Vec<Leaf>) =
            literals.into_iter().partition(|leaf| matches!(leaf.path, PathMatch::Prefix(_)));
        let field = |leaf: Leaf| {
            let path = path_is(&leaf.path);
            leaf.field(path)
        };
        let mut fields: Vec<Value> = exact.into_iter().map(field).collect();
        fields.extend(templates::fields(&start, &templates));
        fields.extend(prefixes.into_iter().map(field));
        map.insert(start, object([("matcher", json!({ "matcher_list": { "matchers": fields } }))]));
    }
    if map.is_empty() {
        // A tree needs a leaf; this one matches no HTTP path.
        map.insert("\u{1}".to_owned(), otherwise.clone());
    }
    let map = object([("map", Value::Object(map))]);
    let tree = object([("input", header("path", ":path")), ("prefix_match_map", map)]);
    object([("matcher_tree", tree), ("on_no_match", otherwise)])
}

impl Leaf {
    /// Its routes for requests for which `path` holds and whose method it takes.
    fn field(self, path: Value) -> Value {
        let predicate = if self.methods.is_empty() {
            path
        } else {
            let methods = any_of(self.methods.iter().map(|method| method_is(method)).collect());
            json!({ "and_matcher": { "predicate": [path, methods] } })
        };
        object([("predicate", predicate), ("on_match", object([("action", action(self.routes))]))])
    }
}

fn header(name: &str, header: &str) -> Value {
    json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
            "header_name": header,
        },
    })
}

fn one(input: &Value, matching: &Value) -> Value {
    json!({ "single_predicate": { "input": input, "value_match": matching } })
}

fn method_is(method: &str) -> Value {
    one(&header("method", ":method"), &json!({ "exact": method }))
}

/// The match of a route itself on a path, which repeats the condition of the tree.
pub(super) fn path_match(path: &PathMatch) -> Value {
    match path {
        template if template.is_template() => {
            json!({ "safe_regex": { "regex": templates::expression(template) } })
        }
        PathMatch::Exact(path) => json!({ "path": path }),
        PathMatch::Prefix(path) if path == "/" => json!({ "prefix": "/" }),
        PathMatch::Prefix(path) => json!({ "path_separated_prefix": path }),
    }
}

/// The header contains the query, too.
fn path_is(path: &PathMatch) -> Value {
    let input = header("path", ":path");
    let exact = |path: &str| one(&input, &json!({ "exact": path }));
    let begins = |path: &str, then: &str| one(&input, &json!({ "prefix": format!("{path}{then}") }));
    match path {
        PathMatch::Exact(path) => any_of(vec![exact(path), begins(path, "?")]),
        PathMatch::Prefix(path) if path == "/" => begins(path, ""),
        PathMatch::Prefix(path) => any_of(vec![exact(path), begins(path, "/"), begins(path, "?")]),
    }
}

/// Envoy refuses an `or` with one member.
fn any_of(mut predicates: Vec<Value>) -> Value {
    match predicates.pop() {
        Some(only) if predicates.is_empty() => only,
        Some(last) => {
            predicates.push(last);
            json!({ "or_matcher": { "predicate": predicates } })
        }
        None => Value::Null,
    }
}

fn action(routes: Vec<Value>) -> Value {
    let (kind, mut config) = match <[Value; 1]>::try_from(routes) {
        Ok([route]) => ("Route", route),
        Err(routes) => ("RouteList", json!({ "routes": routes })),
    };
    if let Some(object) = config.as_object_mut() {
        object.insert("@type".to_owned(), json!(format!("type.googleapis.com/envoy.config.route.v3.{kind}")));
    }
    object([("name", json!("route")), ("typed_config", config)])
}
