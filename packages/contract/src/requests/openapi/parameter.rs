//! A parameter of an operation, and how its style writes a value (OpenAPI 3.1, "Style Values").

use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use super::{examples, plain};
use crate::requests::ENCODED;
use crate::requests::value::{example, resolved};

/// A parameter with its values: one for each example.
pub(super) struct Parameter {
    pub(super) name: String,
    /// `path`, `query`, `header` or `cookie`.
    pub(super) place: String,
    style: String,
    is_exploded: bool,
    /// Its value is JSON in the text (`content`).
    is_json: bool,
    pub(super) values: Vec<Value>,
}

impl Parameter {
    /// Reads a parameter. One that may be left out and has no example is none: a made-up filter finds nothing.
    pub(super) fn read(document: &Value, one: &Value) -> Option<Self> {
        let one = resolved(document, one);
        let text = |name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
        let (name, place) = (text("name")?, text("in")?);
        let content = one.get("content").and_then(Value::as_object).and_then(|all| all.values().next());
        let of = content.unwrap_or(one);
        let is_required = place == "path" || one.get("required").and_then(Value::as_bool) == Some(true);
        let mut values = examples(document, of);
        if values.is_empty() && is_required {
            values.push(example(document, of.get("schema").unwrap_or(&Value::Null), 0));
        }
        if values.is_empty() {
            return None;
        }
        let usual = if matches!(place.as_str(), "query" | "cookie") { "form" } else { "simple" };
        let style = text("style").unwrap_or_else(|| usual.to_owned());
        let is_exploded = one.get("explode").and_then(Value::as_bool).unwrap_or(style == "form");
        Some(Self { name, place, style, is_exploded, is_json: content.is_some(), values })
    }

    /// The pairs of a query.
    pub(super) fn query(&self, value: &Value) -> Vec<String> {
        let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let name = encode(&self.name);
        let separator = match self.style.as_str() {
            "spaceDelimited" => "%20",
            "pipeDelimited" => "%7C",
            _ => ",",
        };
        match value {
            _ if self.is_json => vec![format!("{name}={}", encode(&value.to_string()))],
            Value::Array(values) if self.is_exploded => {
                values.iter().map(|one| format!("{name}={}", encode(&plain(one)))).collect()
            }
            Value::Array(values) => {
                let values: Vec<String> = values.iter().map(|one| encode(&plain(one))).collect();
                vec![format!("{name}={}", values.join(separator))]
            }
            Value::Object(fields) if self.style == "deepObject" => {
                let pair = |(key, one): (&String, &Value)| {
                    format!("{name}[{}]={}", encode(key), encode(&plain(one)))
                };
                fields.iter().map(pair).collect()
            }
            Value::Object(fields) if self.is_exploded => {
                fields.iter().map(|(key, one)| format!("{}={}", encode(key), encode(&plain(one)))).collect()
            }
            Value::Object(fields) => {
                let flat = |(key, one): (&String, &Value)| [encode(key), encode(&plain(one))].join(separator);
                vec![format!("{name}={}", fields.iter().map(flat).collect::<Vec<_>>().join(separator))]
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                vec![format!("{name}={}", encode(&plain(value)))]
            }
        }
    }

    /// The text of a header or cookie, and with `encode` that of a segment of the path.
    pub(super) fn text(&self, value: &Value, encode: impl Fn(&str) -> String) -> String {
        let between = if self.is_exploded { "=" } else { "," };
        match value {
            _ if self.is_json => encode(&value.to_string()),
            Value::Array(values) => {
                values.iter().map(|one| encode(&plain(one))).collect::<Vec<_>>().join(",")
            }
            Value::Object(fields) => {
                let pair = |(key, one): (&String, &Value)| [encode(key), encode(&plain(one))].join(between);
                fields.iter().map(pair).collect::<Vec<_>>().join(",")
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => encode(&plain(value)),
        }
    }
}
