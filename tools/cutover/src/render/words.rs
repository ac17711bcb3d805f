//! The wording of Envoy's own refusals: a backend is down, a body is too long, bytes are not valid HTTP.
//!
//! The words are metadata. The rule that reads them is the same for every edge:
//!
//! ```text
//! metadata of the route          where its answers are not those of its host
//! metadata of the virtual host   for its other routes, and where no route matches the request
//! metadata of the listener       for requests that are refused before Envoy knows the host
//! ```
//!
//! So another wording changes routes. The listener itself changes with the edge's default answers alone.

use edge_config::Edge;
use edge_config::edge::{Answers, FURTHER_METHODS, HSTS_HEADER, Hsts, Listener, METHODS, MadeByEnvoy, Route};
use serde_json::{Map, Value, json};

use super::header::header;
use super::metadata::{ALLOW, CONTENT_TYPE, HSTS, MARK, NAMESPACE, WORDS_MARK, filter};
use super::object::insert;
use super::request_id;
use super::stage::{Branch, both, branches, is, starts_with};

/// The authorizer's answer already carries its words.
const DECIDED: &str = "deny|error";

/// Statuses with words of their own, in the metadata field of that name. All other 4xx have those of 400, all 5xx those of
/// 503.
fn fields() -> impl Iterator<Item = (u16, &'static str)> {
    let made = MadeByEnvoy::ALL.into_iter().map(|kind| (kind.status().get(), kind.field()));
    [(403, "forbidden"), (404, "not_found")].into_iter().chain(made)
}

const UNAVAILABLE: &str = "unavailable";

/// `answers` as metadata.
pub(super) fn metadata(answers: &Answers) -> Map<String, Value> {
    let mut metadata = Map::new();
    for (status, field) in fields() {
        metadata.insert(field.to_owned(), json!(answers.body_of(status)));
    }
    metadata.insert(UNAVAILABLE.to_owned(), json!(answers.unavailable.body));
    if let Some(content_type) = &answers.content_type {
        metadata.insert(CONTENT_TYPE.to_owned(), json!(content_type));
    }
    metadata
}

/// The finish that a refusal with `answers` needs after Envoy has made it: see [`finish`].
pub(super) fn mark(answers: &Answers) -> Option<&'static str> {
    match (answers.content_type.is_some(), answers.headers.is_empty()) {
        (false, _) => Some(BARE),
        (true, false) => Some(KEPT),
        (true, true) => None,
    }
}

/// The answer leaves without a content type.
const BARE: &str = "1";
/// The answer keeps its content type, and gets constant headers.
const KEPT: &str = "2";

/// The settings of the finish for a virtual host or a route with `answers`: absent where there is nothing to finish.
pub(super) fn finish_for(answers: &Answers) -> Option<Value> {
    mark(answers)?;
    let added = answers.headers.iter().map(|(name, value)| json!({ "append": header(name, value) }));
    Some(json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
        "mutations": { "response_mutations": added.collect::<Vec<_>>() },
    }))
}

/// The filter that removes the content type of Envoy's refusals.
///
/// Envoy cannot send a body without a content type, but some clients expect refusals without one. A refusal of Envoy
/// carries a mark. This filter runs for marked answers alone: it removes the mark and, unless the answer is gRPC, the
/// content type. Routes whose refusals need no finish do not have it at all.
pub(super) fn finish() -> Value {
    let input = |name: &str| {
        json!({
            "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpResponseHeaderMatchInput",
            "header_name": name,
        })
    };
    let mutation = |removed: &[&str]| {
        let removed: Vec<Value> = removed.iter().map(|name| json!({ "remove": name })).collect();
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": { "response_mutations": removed },
        })
    };
    let (unmark, bare) = (mutation(&[WORDS_MARK]), mutation(&[WORDS_MARK, "content-type"]));
    let marked = |value: &str| is("mark", &input(WORDS_MARK), value);
    let grpc = starts_with("content", &input("content-type"), "application/grpc");
    let branch = |when: Value, config: &Value| Branch { when, filters: vec![("finish", config.clone())] };
    branches(
        filter::WORDS,
        &[
            branch(both(&marked(BARE), &grpc), &unmark),
            branch(marked(BARE), &bare),
            branch(marked(KEPT), &unmark),
        ],
    )
}

/// A CEL expression: the client came by https. Behind trusted proxies the guard has overwritten this header with what is known
/// of the client.
const CAME_BY_HTTPS: &str = "request.headers['x-forwarded-proto'] == 'https'";

/// Has every answer of the virtual host `host` promise https, unless a backend promises something itself. Envoy's own refusals
/// read the promise from the metadata, because a route's headers are not on all of them. Where proxies stand in front of a
/// listener in the clear, only clients that came by https to one of them receive it.
pub(super) fn promise_https(host: &mut Value, listener: &Listener, hsts: Hsts) {
    let value = hsts.to_string();
    let to_these = match listener.tls {
        Some(_) => value.clone(),
        // A header whose value is empty is not added.
        None => format!("%CEL({CAME_BY_HTTPS} ? '{value}' : '')%"),
    };
    let added = json!([{
        "header": { "key": HSTS_HEADER, "value": to_these },
        "append_action": "ADD_IF_ABSENT",
    }]);
    insert(host, "response_headers_to_add", added);
    if let Some(fields) = host.pointer_mut("/metadata/filter_metadata/cutover") {
        insert(fields, HSTS, json!(value));
    }
}

/// The promise of https on a refusal, where its host makes one and the client came by https. A header whose value is empty is
/// not added.
fn promised(listener: &Listener) -> Value {
    let value = match listener.tls {
        None if listener.trusted_proxies.is_some() => {
            let of_host = format!("xds.virtual_host_metadata.filter_metadata['{NAMESPACE}']");
            format!("%CEL({CAME_BY_HTTPS} && '{HSTS}' in {of_host} ? {of_host}['{HSTS}'] : '')%")
        }
        Some(_) | None => format!("%METADATA(VIRTUAL_HOST:{NAMESPACE}:{HSTS})%"),
    };
    header(HSTS_HEADER, &value)
}

/// The methods that a host accepts, as `Allow` lists them (RFC 9110 §10.2.1).
pub(super) fn allowed(routes: &[&Route]) -> String {
    let taken = |method: &&str| routes.iter().any(|route| route.takes_method(method));
    METHODS.into_iter().chain(FURTHER_METHODS).filter(taken).collect::<Vec<_>>().join(", ")
}

/// The mappers that rewrite Envoy's refusals: the first one that fits is used.
pub(super) fn local_replies(edge: &Edge, listener: &Listener) -> Value {
    let mut decided = json!({ "filter": { "metadata_filter": {
        "matcher": {
            "filter": filter::AUTHORIZER,
            "path": [{ "key": "decision" }],
            "value": { "string_match": { "safe_regex": { "regex": DECIDED } } },
        },
        "match_if_key_not_found": false,
    } } });
    let everywhere: Vec<Value> =
        std::iter::once(promised(listener)).chain(request_id::on_refusals(edge)).collect();
    insert(&mut decided, "headers_to_add", json!(everywhere));
    let mut mappers = vec![decided];
    let mapper = |op, status, field| mapper(op, status, field, &everywhere);
    mappers.extend(fields().map(|(status, field)| mapper("EQ", status, field)));
    mappers.push(mapper("GE", 500, UNAVAILABLE));
    mappers.push(mapper("GE", 400, MadeByEnvoy::BadRequest.field()));
    json!({ "mappers": mappers })
}

fn mapper(op: &str, status: u16, field: &str, everywhere: &[Value]) -> Value {
    let mut headers =
        vec![header("content-type", &nearest(CONTENT_TYPE)), header(WORDS_MARK, &of_route(MARK))];
    headers.extend_from_slice(everywhere);
    if status == MadeByEnvoy::MethodNotAllowed.status().get() {
        headers.push(header("allow", &of_route(ALLOW)));
    }
    // Envoy requires a name under which the number could be changed at run time. Nothing can change it: there is no
    // writable runtime layer.
    let runtime_key = format!("cutover.words.{field}");
    json!({
        "filter": { "status_code_filter": { "comparison": {
            "op": op,
            "value": { "default_value": status, "runtime_key": runtime_key },
        } } },
        // A header whose value is empty is not added.
        "headers_to_add": headers,
        "body_format_override": {
            "text_format_source": { "inline_string": nearest(field) },
            "omit_empty_values": true,
        },
    })
}

/// `field` of the route, or else of its virtual host, or else of the listener.
fn nearest(field: &str) -> String {
    let place = |kind: &str| json!({ "command": "METADATA", "param": format!("{kind}:{NAMESPACE}:{field}") });
    let places = ["ROUTE", "VIRTUAL_HOST", "LISTENER"].map(place);
    format!("%COALESCE({})%", json!({ "operators": places }))
}

fn of_route(field: &str) -> String {
    format!("%METADATA(ROUTE:{NAMESPACE}:{field})%")
}
