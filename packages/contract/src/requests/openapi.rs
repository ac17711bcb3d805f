//! Requests from an OpenAPI document (3.0, 3.1): each operation with its examples, else with values made from its schemas.
//!
//! The same document gives the same requests in the same order. Operations that change something are generated as well;
//! the caller decides whether they are sent.

mod parameter;

use std::collections::BTreeMap;

use http_wire::answer::Line;
use percent_encoding::utf8_percent_encode;
use serde_json::{Map, Value};

use super::multipart::{self, Content};
use super::value::{example, resolved};
use super::{ENCODED, Read};
use crate::exchange::{Request, name_of};
use parameter::Parameter;

/// The methods of a path item, in the order in which its operations are read.
const METHODS: [&str; 7] = ["get", "head", "options", "post", "put", "patch", "delete"];

/// The most examples of one operation that are sent.
const MAX_EXAMPLES: usize = 16;

/// Reads YAML or JSON.
fn document(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{')
        && let Ok(document) = serde_json::from_str(text)
    {
        return Ok(document);
    }
    // OpenAPI is YAML 1.2: `NO` is a country, and `y` a coordinate.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options::<Value>(text, options).map_err(|error| {
        let line = error.location().map_or(1, |at| at.line());
        format!("line {line}: {}", error.to_string().lines().next().unwrap_or_default())
    })
}

pub(super) fn is_openapi(text: &str) -> bool {
    // Parsing a large access log as YAML would take minutes; the word stands near the beginning.
    let start: String = text.chars().take(4096).collect();
    let is_named = start.contains("openapi") || start.contains("swagger");
    is_named && document(text).is_ok_and(|document| version(&document).is_some())
}

/// The version of the format: `swagger` is the member's name before 3.0.
fn version(document: &Value) -> Option<String> {
    // `swagger: 2.0` without quotation marks is a number.
    document.get("openapi").or_else(|| document.get("swagger")).map(plain)
}

pub(super) fn read(file: &str, text: &str) -> Result<Read, String> {
    let document = document(text).map_err(|what| format!("{file}: {what}"))?;
    let version = version(&document).unwrap_or_default();
    if !version.starts_with("3.") {
        return Err(format!("{file}: the document is OpenAPI {version}; convert it to 3.0 or 3.1"));
    }
    let mut read = Read { is_generated: true, ..Read::default() };
    let base = base(&document);
    let paths = document.get("paths").and_then(Value::as_object).cloned().unwrap_or_default();
    for (path, item) in &paths {
        let item = resolved(&document, item);
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let shown = format!("{file}: {} {path}", method.to_ascii_uppercase());
            let common = item.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
            match requests(&document, &base, path, method, operation, &common, &shown) {
                Ok(mut requests) => read.requests.append(&mut requests),
                Err(why) => read.skipped.push(format!("{shown}: {why}")),
            }
        }
    }
    Ok(read)
}

/// Every operation of the document `text`: its method, and its path with the path of the first server before it.
///
/// # Errors
/// A sentence: it is not an OpenAPI document.
pub fn operations(text: &str) -> Result<Vec<(String, String)>, String> {
    let document = document(text)?;
    if document.get("openapi").is_none() {
        return Err("it is not an OpenAPI document: it has no `openapi`".to_owned());
    }
    let base = base(&document);
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    let each = paths.flat_map(|(path, item)| {
        let item = resolved(&document, item);
        let path = format!("{base}{path}");
        METHODS
            .iter()
            .filter(|method| item.get(**method).is_some())
            .map(move |method| (method.to_ascii_uppercase(), path.clone()))
    });
    Ok(each.collect())
}

/// The path of the first server, before all others.
fn base(document: &Value) -> String {
    let url = document.pointer("/servers/0/url").and_then(Value::as_str).unwrap_or_default();
    let rest =
        url.split_once("://").map_or(url, |(_, rest)| rest.split_at(rest.find('/').unwrap_or(rest.len())).1);
    let mut base = rest.trim_end_matches('/').to_owned();
    let variables = document.pointer("/servers/0/variables").and_then(Value::as_object);
    for (name, variable) in variables.into_iter().flatten() {
        let value = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        base = base.replace(&format!("{{{name}}}"), value);
    }
    if base.contains('{') { String::new() } else { base }
}

fn requests(
    document: &Value,
    base: &str,
    path: &str,
    method: &str,
    operation: &Value,
    common: &[Value],
    shown: &str,
) -> Result<Vec<Request>, String> {
    let own = operation.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut parameters: BTreeMap<(String, String), Parameter> = BTreeMap::new();
    for one in common.iter().chain(&own) {
        if let Some(parameter) = Parameter::read(document, one) {
            parameters.insert((parameter.place.clone(), parameter.name.clone()), parameter);
        }
    }
    let bodies = bodies(document, operation)?;
    let most = parameters.values().map(|one| one.values.len()).chain([bodies.len(), 1]).max().unwrap_or(1);
    let mut all = Vec::new();
    for number in 0..most.min(MAX_EXAMPLES) {
        let chosen = |values: &[Value]| values.get(number).or(values.first()).cloned().unwrap_or_default();
        let mut target = format!("{base}{path}");
        let (mut query, mut headers, mut cookies) = (Vec::new(), Vec::new(), Vec::new());
        for parameter in parameters.values() {
            let value = chosen(&parameter.values);
            let name = &parameter.name;
            match parameter.place.as_str() {
                "path" => {
                    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
                    target = target.replace(&format!("{{{name}}}"), &parameter.text(&value, encode));
                }
                "query" => query.extend(parameter.query(&value)),
                "header" => headers.push(Line {
                    name: name.as_bytes().to_vec(),
                    value: parameter.text(&value, str::to_owned).into_bytes(),
                }),
                "cookie" => cookies.push(format!("{name}={}", parameter.text(&value, str::to_owned))),
                _ => {}
            }
        }
        let left = target.split_once('{').and_then(|(_, rest)| rest.split('}').next());
        if let Some(left) = left {
            return Err(format!("its path has `{left}`, which no parameter describes"));
        }
        if !query.is_empty() {
            target = format!("{target}?{}", query.join("&"));
        }
        if !cookies.is_empty() {
            headers.push(Line { name: b"Cookie".to_vec(), value: cookies.join("; ").into_bytes() });
        }
        let body = bodies.get(number).or(bodies.first());
        if let Some((media, _)) = body {
            headers.push(Line { name: b"Content-Type".to_vec(), value: media.as_bytes().to_vec() });
        }
        let name = operation
            .get("operationId")
            .and_then(Value::as_str)
            .map_or_else(|| name_of(method, target.as_bytes()), |id| name_of(id, b""));
        all.push(Request {
            name,
            source: shown.to_owned(),
            method: method.to_ascii_uppercase(),
            target: target.into_bytes(),
            host: None,
            headers,
            body: body.map(|(_, bytes)| bytes.clone()).unwrap_or_default(),
        });
    }
    Ok(all)
}

/// The examples of a parameter or of a media type.
fn examples(document: &Value, one: &Value) -> Vec<Value> {
    let mut found: Vec<Value> = one.get("example").cloned().into_iter().collect();
    let named = one.get("examples").and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    found.extend(named.values().filter_map(|named| resolved(document, named).get("value").cloned()));
    if found.is_empty() {
        let schema = resolved(document, one.get("schema").unwrap_or(&Value::Null));
        found.extend(schema.get("example").cloned());
        found.extend(schema.get("examples").and_then(Value::as_array).cloned().unwrap_or_default());
    }
    found
}

/// The bodies of an operation, each with its media type.
fn bodies(document: &Value, operation: &Value) -> Result<Vec<(String, Vec<u8>)>, String> {
    let Some(body) = operation.get("requestBody") else { return Ok(Vec::new()) };
    let content =
        resolved(document, body).get("content").and_then(Value::as_object).cloned().unwrap_or_default();
    let is_json = |media: &str| media == "application/json" || media.ends_with("+json");
    let chosen = content.iter().find(|(media, _)| is_json(media)).or_else(|| {
        content.iter().find(|(media, _)| {
            ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
                .contains(&media.as_str())
        })
    });
    let Some((media, of)) = chosen else {
        let names: Vec<&str> = content.keys().map(String::as_str).collect();
        return Err(format!("its body is {}, of which no example can be made", names.join(", ")));
    };
    let mut values = examples(document, of);
    if values.is_empty() {
        values.push(example(document, of.get("schema").unwrap_or(&Value::Null), 0));
    }
    let written = |value: &Value| match value {
        _ if is_json(media) => value.to_string(),
        Value::Object(fields) => {
            let pair = |(name, value): (&String, &Value)| {
                let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
                format!("{}={}", encode(name), encode(&plain(value)))
            };
            fields.iter().map(pair).collect::<Vec<_>>().join("&")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => plain(value),
    };
    if media == "multipart/form-data" {
        return Ok(values.iter().map(parts).collect());
    }
    Ok(values.iter().map(|value| (media.clone(), written(value).into_bytes())).collect())
}

/// A form of parts with the members of `value`: each element of a list is a part.
fn parts(value: &Value) -> (String, Vec<u8>) {
    let mut parts = Vec::new();
    for (name, member) in value.as_object().into_iter().flatten() {
        let one = std::slice::from_ref(member);
        for element in member.as_array().map_or(one, Vec::as_slice) {
            parts.push((name.clone(), Content::Text(plain(element))));
        }
    }
    multipart::body(&parts)
}

/// A value as it is written into a URL or a header.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
