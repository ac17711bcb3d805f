//! The id of a request: its header, its place in the log, and the answers that carry it.

use edge_config::Edge;
use edge_config::edge::OnAnswers;
use serde_json::{Value, json};

use super::TemplateError;
use super::header::header;
use super::template::fill;

/// The longest id that is logged or answered. The guard keeps an id of at most 36 bytes; a request that Envoy refuses before
/// the guard may have a longer one.
const LONGEST: usize = 128;

/// The id, as a request carries it, for the log.
pub(super) fn of_request(edge: &Edge) -> String {
    format!("%REQ({}):{LONGEST}%", edge.request_id.header)
}

/// The id of a request that carries none, because Envoy refused it before the guard: the one on its answer, or else one
/// that Envoy makes for the log.
pub(super) fn of_refusal_without(edge: &Edge) -> String {
    match edge.request_id.on_answers {
        OnAnswers::Always | OnAnswers::Refusals => first([("RESP", Some(&edge.request_id.header)), MADE]),
        OnAnswers::Never => "%UNIQUE_ID%".to_owned(),
    }
}

/// The header for refusals. Envoy makes an id for a request that it refuses before the guard.
pub(super) fn on_refusals(edge: &Edge) -> Option<Value> {
    let name = &edge.request_id.header;
    match edge.request_id.on_answers {
        OnAnswers::Always | OnAnswers::Refusals => Some(header(name, &first([("REQ", Some(name)), MADE]))),
        OnAnswers::Never => None,
    }
}

/// The headers that Envoy adds to every answer of a backend which lacks them.
pub(super) fn on_every_answer(edge: &Edge) -> Value {
    let name = &edge.request_id.header;
    match edge.request_id.on_answers {
        OnAnswers::Always => json!([{
            "header": { "key": name, "value": format!("%REQ({name})%") },
            "append_action": "ADD_IF_ABSENT",
        }]),
        OnAnswers::Refusals | OnAnswers::Never => json!([]),
    }
}

/// Lets the authorizer read the id, and never write it.
pub(super) fn for_authorizer(
    edge: &Edge,
    config: &mut Value,
    file: &'static str,
) -> Result<(), TemplateError> {
    let name = &edge.request_id.header;
    fill(config, file, "/allowed_headers/patterns/0/exact", json!(name))?;
    const KEPT: &str = "/decoder_header_mutation_rules/disallow_expression/regex";
    let kept = config.pointer(KEPT).and_then(Value::as_str).unwrap_or_default();
    let kept = format!("{kept}|{name}");
    fill(config, file, KEPT, json!(kept))
}

const MADE: (&str, Option<&String>) = ("UNIQUE_ID", None);

/// The first of `places` with a value.
fn first(places: [(&str, Option<&String>); 2]) -> String {
    let places = places.map(|(command, param)| match param {
        Some(param) => json!({ "command": command, "param": param, "max_length": LONGEST }),
        None => json!(command),
    });
    format!("%COALESCE({})%", json!({ "operators": places }))
}
