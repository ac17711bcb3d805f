//! The access log, with one JSON object for each request, and the counters of gRPC statuses.

use edge_config::Edge;
use edge_config::edge::SignIn;
use serde_json::{Value, json};

use super::cluster::cluster_name;
use super::template::{self, fill};
use super::{Form, Paths, TemplateError, request_id};

/// The keys that the authorizer writes for a decision and the guard writes for a lease, under the same names.
const DECIDED: [&str; 5] = ["decision", "reason", "subject", "session", "tenant"];

/// The guard's note of an id that it has replaced.
const RECEIVED_ID: &str = "received_id";

/// The logs of a listener. They look for a lease on every listener, even where no route has one today: logs belong to the
/// listener, and the first lease must not replace it.
///
/// `proxied` says whether the guard finds the client behind trusted proxies.
pub(super) fn render(
    edge: &Edge,
    listener: &str,
    proxied: bool,
    paths: &Paths,
) -> Result<Value, TemplateError> {
    const NAME: &str = "access-log.yaml";
    let mut config = template::access_log()?;
    fill(&mut config, NAME, "/path", json!(paths.access_log))?;
    fill(&mut config, NAME, "/log_format/json_format/listener", json!(listener))?;
    if let Some(expression) = sign_in(edge) {
        let format = config.pointer_mut("/log_format/json_format").and_then(Value::as_object_mut);
        if let Some(format) = format {
            format.insert("sign_in".to_owned(), json!(format!("%CEL({expression})%")));
        }
    }
    let early = paths.form() == Form::Native;
    // A note of the guard.
    let noted = |key: &str| {
        let mut places = Vec::new();
        if early {
            // Set by the early search for a lease. No client can send such a header (header-rules explains why).
            places.push(json!({ "command": "REQ", "param": format!(":cutover-{}", key.replace('_', "-")) }));
        }
        places.push(json!({ "command": "FILTER_STATE", "param": format!("wasm.cutover.{key}:PLAIN") }));
        places
    };
    let first = |places: Vec<Value>| format!("%COALESCE({})%", json!({ "operators": places }));
    for key in DECIDED.into_iter().chain(["lease_of", RECEIVED_ID]) {
        let mut places = noted(key);
        if DECIDED.contains(&key) {
            let param = format!("envoy.filters.http.ext_authz:{key}");
            places.push(json!({ "command": "DYNAMIC_METADATA", "param": param }));
        }
        let name = if key == RECEIVED_ID { "received_request_id" } else { key };
        fill(&mut config, NAME, &format!("/log_format/json_format/{name}"), json!(first(places)))?;
    }
    if proxied {
        // A request that Envoy refuses before the guard has no client yet: then it is the peer, whatever a header says.
        const PEER: &str = "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT";
        let mut places = noted("client");
        places.push(json!(PEER));
        fill(&mut config, NAME, "/log_format/json_format/client", json!(first(places)))?;
        let format = config.pointer_mut("/log_format/json_format").and_then(Value::as_object_mut);
        if let Some(format) = format {
            format.insert("peer".to_owned(), json!(format!("%{PEER}%")));
        }
    }
    // A request that Envoy refuses before the guard has no request id, so Envoy makes one for its line. Two loggers write
    // to one file, each with a condition: a format that looks in two places costs every request more than the condition.
    const ID: &str = "/log_format/json_format/request_id";
    fill(&mut config, NAME, ID, json!(request_id::of_request(edge)))?;
    let mut without_id = config.clone();
    fill(&mut without_id, NAME, ID, json!(request_id::of_refusal_without(edge)))?;
    let header = &edge.request_id.header;
    Ok(json!([logger(header, false, &config), logger(header, true, &without_id), grpc_counters()]))
}

/// One logger: for requests with an id in `header`, or for those `without` one.
fn logger(header: &str, without: bool, config: &Value) -> Value {
    json!({
        "name": "envoy.access_loggers.file",
        "filter": { "header_filter": { "header": {
            "name": header,
            "present_match": true,
            "invert_match": without,
        } } },
        "typed_config": config,
    })
}

/// Counts gRPC answers by backend and status: Envoy's own counters count each as a success, because it is a 200.
fn grpc_counters() -> Value {
    let tag = |name: &str, value: &str| json!({ "name": name, "value_format": value });
    json!({
        "name": "envoy.access_loggers.stats",
        // All other answers pay only for this check of one header.
        "filter": { "header_filter": { "header": {
            "name": "content-type", "string_match": { "prefix": "application/grpc" },
        } } },
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
            "stat_prefix": "cutover",
            "counters": [{
                "stat": { "name": "grpc_answers", "tags": [
                    tag("backend", "%UPSTREAM_CLUSTER_RAW%"),
                    tag("grpc_status", "%GRPC_STATUS_NUMBER%"),
                    // Shows the answers that Envoy gave itself, and those for which the client did not wait.
                    tag("flags", "%RESPONSE_FLAGS%"),
                ] },
                "value_fixed": 1,
            }],
        },
    })
}

/// A CEL expression that is true for a redirect to a sign-in page of the answering backend; nothing when no backend has a
/// sign-in page.
fn sign_in(edge: &Edge) -> Option<String> {
    let backends = edge.backends.iter().filter(|(_, backend)| !backend.sign_in.is_empty());
    let each: Vec<String> = backends
        .map(|(name, backend)| {
            let pages: Vec<String> = backend.sign_in.iter().map(pattern).collect();
            format!(
                "(xds.cluster_name == '{}' && response.headers['location'].matches(r'^(?:{})$'))",
                cluster_name(name),
                pages.join("|")
            )
        })
        .collect();
    (!each.is_empty()).then(|| each.join(" || "))
}

/// An RE2 expression for the targets that `page` matches.
fn pattern(page: &SignIn) -> String {
    const REST: &str = "(?:[/?#;].*)?";
    let escaped = |text: &str| {
        let special = |c: char| !(c.is_ascii_alphanumeric() || "/-_~:@!&,;=".contains(c));
        text.chars().map(|c| if special(c) { format!("[{c}]") } else { c.to_string() }).collect::<String>()
    };
    // A slash at the end has no meaning of its own.
    let text = page.0.trim_end_matches('/');
    match text.strip_prefix('/') {
        // On any host; a relative target matches, too.
        Some(path) => format!("(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*/|/|[.]/)?{}{REST}", escaped(path)),
        None => format!("{}{REST}", escaped(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_character_stands_for_itself() {
        let page = SignIn("https://id.example.com/a+b(c)$[d]*/".to_owned());
        assert_eq!(pattern(&page), "https://id[.]example[.]com/a[+]b[(]c[)][$][[]d[]][*](?:[/?#;].*)?");
    }
}
