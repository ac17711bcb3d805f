//! Routes that Envoy answers itself, in the words of an edge file.

use edge_config::edge::{Answers, METHODS, PathMatch};
use serde_json::{Map, Value, json};

use super::decided;
use super::header::method_is;
use super::matcher::path_match;
use super::metadata::{ALLOW, MARK, NAMESPACE, filter};
use super::object::insert;
use super::stage::unused;
use super::words;

/// The paths of every request.
pub(super) fn everything() -> PathMatch {
    PathMatch::Prefix("/".to_owned())
}

/// The fields of a virtual host that uses the wording of `answers` where its routes have none of their own.
pub(super) fn speaking(answers: &Answers) -> Map<String, Value> {
    let mut host = Map::new();
    host.insert("metadata".to_owned(), json!({ "filter_metadata": { NAMESPACE: words::metadata(answers) } }));
    if let Some(finish) = words::finish_for(answers) {
        host.insert("typed_per_filter_config".to_owned(), json!({ filter::WORDS: finish }));
    }
    host
}

/// A field of an object.
pub(super) fn named((name, value): (&str, Value)) -> (String, Value) {
    (name.to_owned(), value)
}

/// Refuses a method that the edge does not accept, and lists the `allowed` ones.
pub(super) fn method_not_allowed(allowed: &str, answers: &Answers, revision: &str) -> Value {
    let mut route = refusal("method-not-allowed", &everything(), 405, (answers, answers), revision);
    if let Some(matching) = route.get_mut("match") {
        insert(matching, "headers", method_is(&METHODS, true));
    }
    if let Some(fields) = route.pointer_mut("/metadata/filter_metadata/cutover") {
        insert(fields, ALLOW, json!(allowed));
    }
    route
}

/// A route that Envoy answers itself, with the wording of `answers`. `host` are the answers of the virtual host.
pub(super) fn refusal(
    name: &str,
    path: &PathMatch,
    status: u16,
    (answers, host): (&Answers, &Answers),
    revision: &str,
) -> Value {
    let mut fields = json!({ "policy": "none", "revision": revision });
    let mut filters = json!({
        filter::AUTHORIZER: no_decision(),
        filter::KEEPER: unused(),
        filter::DECIDED: decided::by_nobody(),
    });
    word(answers, host, &mut fields, &mut filters);
    json!({
        "name": name,
        "match": path_match(path),
        "direct_response": { "status": status },
        "metadata": { "filter_metadata": { NAMESPACE: fields } },
        "typed_per_filter_config": filters,
    })
}

/// Adds the wording of `answers` to the metadata and the filters of a route, except for what its virtual host says.
pub(super) fn word(answers: &Answers, host: &Answers, fields: &mut Value, filters: &mut Value) {
    if answers != host
        && let Some(fields) = fields.as_object_mut()
    {
        fields.extend(words::metadata(answers));
    }
    if let Some(mark) = words::mark(answers) {
        insert(fields, MARK, json!(mark));
    }
    match (words::finish_for(answers), answers == host) {
        (_, true) => {}
        (Some(finish), false) => insert(filters, filter::WORDS, finish),
        // The refusals of its host may need a finish.
        (None, false) => insert(filters, filter::WORDS, unused()),
    }
}

/// The type of the settings of a route for the filter that has it decided.
pub(super) const PER_ROUTE: &str =
    "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute";

/// The settings of a route for which no decision is made.
pub(super) fn no_decision() -> Value {
    json!({ "@type": PER_ROUTE, "disabled": true })
}
