//! The parts of a route, which differ in the destination alone.

use edge_config::Edge;
use edge_config::edge::{Answers, Condition, Destination, Listener, OfKind, Route};
use identity::headers;
use serde_json::{Value, json};

use super::super::metadata::CHOSEN_BY;
use super::super::object::insert;
use super::super::shadow;
use super::one;

/// The parts of a route: its canaries, then the kinds of credentials that it distinguishes, then its shares. They differ in
/// the destination alone: each has the same policy, the same limits and the same answers.
pub(super) fn of(edge: &Edge, route: &Route, host: &Answers, listener: &Listener) -> Vec<Value> {
    let canaries = route.canaries.iter().map(|canary| {
        let elsewhere = Destination::whole(canary.backend.clone());
        let rendered = one(edge, route, &elsewhere, host, listener);
        match &canary.when {
            Condition::Tenant(tenant) => only_with(rendered, edge.tenant_header(), &tenant.to_string()),
            Condition::Header { name, value } => only_with(rendered, name, value),
            Condition::ClientHeader { name, value } => chosen(only_with(rendered, name, value)),
            Condition::ClientQuery { name, value } => chosen(only_asked(rendered, name, value)),
            Condition::ClientCookie { name, value } => {
                let cookie = cookie(name, value);
                chosen(only(
                    rendered,
                    json!({ "name": "cookie", "string_match": { "safe_regex": { "regex": cookie } } }),
                ))
            }
        }
    });
    let kinds = route.destination.kinds.iter().flat_map(|OfKind { kind, backend }| {
        let to = Destination::whole(backend.clone());
        let rendered = shadow::split(edge, route, &to, one(edge, route, &to, host, listener));
        rendered.into_iter().map(|rendered| only_with(rendered, headers::KIND, kind.as_str()))
    });
    let others = route.destination.of_others();
    let rest = shadow::split(edge, route, &others, one(edge, route, &others, host, listener));
    canaries.chain(kinds).chain(rest).collect()
}

/// `rendered` for requests alone whose header `name`, which the authorizer writes, is `value`.
fn only_with(rendered: Value, name: &str, value: &str) -> Value {
    only(rendered, json!({ "name": name, "string_match": { "exact": value } }))
}

/// `rendered` for requests alone whose query has the parameter. Envoy decodes nothing, and reads the first of several.
fn only_asked(mut rendered: Value, name: &str, value: &str) -> Value {
    if let Some(matching) = rendered.get_mut("match") {
        insert(matching, "query_parameters", json!([{ "name": name, "string_match": { "exact": value } }]));
    }
    rendered
}

/// Notes for the log that the client chose the backend of `rendered`.
fn chosen(mut rendered: Value) -> Value {
    if let Some(fields) = rendered.pointer_mut("/metadata/filter_metadata/cutover") {
        insert(fields, CHOSEN_BY, json!("client"));
    }
    rendered
}

/// An expression for cookies that include one of this name and value. Several lines are joined with commas.
fn cookie(name: &str, value: &str) -> String {
    let escaped: String = format!("{name}={value}").bytes().map(|byte| format!(r"\x{byte:02x}")).collect();
    format!(r"(?:\C*[;,][ \t]*)?{escaped}[ \t]*(?:[;,]\C*)?")
}

/// `rendered` for requests alone whose headers meet `condition`.
fn only(mut rendered: Value, condition: Value) -> Value {
    if let Some(matching) = rendered.get_mut("match") {
        match matching.get_mut("headers").and_then(Value::as_array_mut) {
            Some(conditions) => conditions.push(condition),
            None => insert(matching, "headers", json!([condition])),
        }
    }
    rendered
}
