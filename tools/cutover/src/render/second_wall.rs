//! The second wall: Envoy itself removes what only the edge may write, in headers and in trailers.

use edge_config::Edge;
use edge_config::edge::Reserved;
use identity::headers;
use serde_json::{Value, json};

use super::header::header;

/// Removes the identity headers once more, natively, in case the guard ever lets one through.
pub(super) fn filter(edge: &Edge) -> Value {
    let own: Vec<&str> = edge.identity.names().chain([headers::INTERNAL]).collect();
    let covers = |prefix: &&&str| own.iter().any(|name| name.starts_with(**prefix));
    let (prefixes, names) = least(edge);
    let names = names.into_iter().filter(|name| own.contains(name));
    let mut mutations = removals(prefixes.iter().filter(covers).copied(), names);
    // Only the guard's note makes a request one for a page: an empty header is not added.
    let navigation = "%FILTER_STATE(wasm.cutover.navigation:PLAIN)%";
    mutations.push(json!({ "append": header(headers::NAVIGATION, navigation) }));
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        // Trailers reach backends; the guard never receives them.
        "mutations": { "request_mutations": mutations, "request_trailers_mutations": trailers(edge) },
    })
}

/// The filter of a backend's cluster that removes reserved names from the trailers of every request, also of one that a lease
/// has led past the second wall, and every name that a program could fold into a reserved one, as CGI folds names.
pub(super) fn of_trailers(edge: &Edge) -> Value {
    let mut mutations = trailers(edge);
    let odd = json!({ "safe_regex": { "regex": ".*[^0-9a-z-].*" } });
    mutations.push(json!({ "remove_on_match": { "key_matcher": odd } }));
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        "mutations": { "request_trailers_mutations": mutations },
    })
}

/// Removes every reserved name from trailers, which the guard never receives.
///
/// Two edge files that reserve the same names have the same bytes here, so that neither another order nor a name that a
/// prefix covers replaces the filter chain.
fn trailers(edge: &Edge) -> Vec<Value> {
    let (prefixes, names) = least(edge);
    removals(prefixes.into_iter(), names.into_iter())
}

/// The reserved prefixes, and the reserved names that no prefix covers.
fn least(edge: &Edge) -> (Vec<&str>, Vec<&str>) {
    let Reserved { names, prefixes } = &edge.reserved;
    let mut prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    let is_covered = |name: &&str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let mut names: Vec<&str> = names.iter().map(String::as_str).filter(|name| !is_covered(name)).collect();
    names.sort_unstable();
    names.dedup();
    (prefixes, names)
}

fn removals<'a>(prefixes: impl Iterator<Item = &'a str>, names: impl Iterator<Item = &'a str>) -> Vec<Value> {
    let starts = prefixes.map(
        |prefix| json!({ "remove_on_match": { "key_matcher": { "prefix": prefix, "ignore_case": true } } }),
    );
    starts.chain(names.map(|name| json!({ "remove": name }))).collect()
}
