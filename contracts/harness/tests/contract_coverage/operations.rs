//! One request for each operation of the public OpenAPI document, made of its examples.

use serde_json::{Map, Value};

/// The deepest nesting of schemas.
const MAX_DEPTH: usize = 16;

/// A request, and the statuses that the document has for it.
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: Option<String>,
    pub(crate) statuses: Vec<u16>,
}

/// Every operation of `document`, in its order.
pub(crate) fn of(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in object(document, "paths") {
        for (method, operation) in item.as_object().into_iter().flatten().filter(|(_, one)| one.is_object()) {
            let mut target = path.clone();
            let mut query = Vec::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap_or_default();
                let given = &parameter["example"];
                let value =
                    if given.is_null() { example(document, &parameter["schema"], 0) } else { given.clone() };
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                if parameter["in"] == "path" {
                    // The only byte of an example that a request line cannot carry.
                    let value = value.replace(' ', "%20");
                    target = target.replace(&format!("{{{name}}}"), &value);
                } else if parameter["required"] == true {
                    query.push(format!("{name}={value}"));
                }
            }
            if !query.is_empty() {
                target = format!("{target}?{}", query.join("&"));
            }
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let body = (!schema.is_null()).then(|| example(document, schema, 0).to_string());
            let statuses = object(operation, "responses");
            let statuses = statuses.iter().filter_map(|(status, _)| status.parse().ok()).collect();
            found.push(Operation { method: method.to_uppercase(), target, body, statuses });
        }
    }
    found
}

fn object(value: &Value, field: &str) -> Map<String, Value> {
    value[field].as_object().cloned().unwrap_or_default()
}

/// A value that the schema allows: its example, or the smallest.
fn example(document: &Value, schema: &Value, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    let target = schema["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
    if let Some(named) = target.and_then(|pointer| document.pointer(pointer)) {
        return example(document, named, depth + 1);
    }
    if !schema["example"].is_null() {
        return schema["example"].clone();
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    if let Some(first) = schema["oneOf"].as_array().and_then(|schemas| schemas.first()) {
        return example(document, first, depth + 1);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or_default();
    match kind {
        "object" => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let fields = required.iter().filter_map(Value::as_str);
            fields
                .map(|name| (name.to_owned(), example(document, &schema["properties"][name], depth + 1)))
                .collect::<Map<String, Value>>()
                .into()
        }
        "array" => vec![example(document, &schema["items"], depth + 1)].into(),
        "integer" | "number" => schema["minimum"].as_u64().unwrap_or(1).into(),
        "boolean" => true.into(),
        _ => "x".into(),
    }
}
