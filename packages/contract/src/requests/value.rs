//! A value that fits a schema. The same schema gives the same value.

use serde_json::{Map, Value, json};

/// Schemas may refer to themselves; no request needs a deeper value.
const MAX_DEPTH: usize = 8;

/// The object that `one` refers to (`$ref`), else `one` itself.
pub(super) fn resolved<'a>(document: &'a Value, one: &'a Value) -> &'a Value {
    let mut one = one;
    // A reference may lead to another one; a circle of them ends here.
    for _ in 0..MAX_DEPTH {
        let Some(place) = one.get("$ref").and_then(Value::as_str) else { return one };
        match place.strip_prefix('#').and_then(|pointer| document.pointer(pointer)) {
            Some(target) => one = target,
            None => return &Value::Null,
        }
    }
    one
}

/// An example of `schema`.
pub(super) fn example(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolved(document, schema);
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    let given = schema.get("example").or_else(|| schema.pointer("/examples/0"));
    let given = given.or_else(|| schema.get("const")).or_else(|| schema.get("default"));
    if let Some(given) = given.or_else(|| schema.pointer("/enum/0")) {
        return given.clone();
    }
    for alternative in ["oneOf", "anyOf"] {
        if let Some(first) = schema.get(alternative).and_then(|all| all.get(0)) {
            return example(document, first, depth + 1);
        }
    }
    if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
        let mut whole = Map::new();
        for part in all {
            if let Value::Object(fields) = example(document, part, depth + 1) {
                whole.extend(fields);
            }
        }
        whole.extend(object(document, schema, depth));
        return Value::Object(whole);
    }
    let number = |name: &str| schema.get(name).and_then(Value::as_f64);
    match kind(schema) {
        "object" => Value::Object(object(document, schema, depth)),
        "array" => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, 8);
            let item = example(document, schema.get("items").unwrap_or(&Value::Null), depth + 1);
            Value::Array((0..least).map(|_| item.clone()).collect())
        }
        "boolean" => json!(true),
        "integer" => {
            let least = number("minimum").or_else(|| number("exclusiveMinimum").map(|least| least + 1.0));
            let most = number("maximum").unwrap_or(f64::MAX);
            #[expect(clippy::cast_possible_truncation, reason = "a bound beyond i64 saturates")]
            let value = least.unwrap_or(1.0).ceil().min(most) as i64;
            json!(value)
        }
        "number" => json!(number("minimum").unwrap_or(1.5)),
        "null" => Value::Null,
        _ => Value::String(text(schema)),
    }
}

fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        // 3.1: one of several types, often with `null`.
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

/// The required members, and the others that have an example of their own.
fn object(document: &Value, schema: &Value, depth: usize) -> Map<String, Value> {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut fields = Map::new();
    for (name, property) in properties.into_iter().flatten() {
        let target = resolved(document, property);
        let has_example = target.get("example").is_some();
        let is_written = target.get("readOnly").and_then(Value::as_bool) != Some(true);
        if is_written && (required.contains(&name.as_str()) || has_example) {
            fields.insert(name.clone(), example(document, property, depth + 1));
        }
    }
    fields
}

fn text(schema: &Value) -> String {
    let text = match schema.get("format").and_then(Value::as_str).unwrap_or_default() {
        "uuid" => "00000000-0000-4000-8000-000000000000",
        "date-time" => "2026-01-02T03:04:05Z",
        "date" => "2026-01-02",
        "time" => "03:04:05Z",
        "email" => "person@example.com",
        "uri" | "url" => "https://example.com/",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "byte" => "dGV4dA==",
        _ => "text",
    };
    let length = |name: &str| {
        schema
            .get(name)
            .and_then(Value::as_u64)
            .map(|length| usize::try_from(length.min(1024)).unwrap_or(1024))
    };
    let mut text = text.to_owned();
    while length("minLength").is_some_and(|least| text.chars().count() < least) {
        text.push('x');
    }
    match length("maxLength") {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    }
}
