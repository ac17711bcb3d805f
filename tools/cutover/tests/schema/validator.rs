//! A validator for the part of JSON Schema (2020-12) that `cutover schema` uses. Validators from elsewhere switch on
//! `serde_json/arbitrary_precision`, which would change how every program of the workspace reads numbers.

use serde_json::{Map, Value};

/// What is wrong with `value` under `schema`.
///
/// # Panics
/// When the schema uses a keyword that this validator does not know: it would be ignored otherwise.
pub(crate) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let schema = schema.as_object().expect("a schema is an object");
    for (keyword, rule) in schema {
        let is_kept = match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "examples" => true,
            "type" => is_of_type(rule.as_str().unwrap(), value),
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|number| number <= rule.as_i64().unwrap()),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() >= length(rule)),
            "pattern" => value.as_str().is_none_or(|text| is_name(rule, text)),
            "anyOf" => rule.as_array().unwrap().iter().any(|form| faults(form, value).is_empty()),
            "required" => value.as_object().is_none_or(|object| has_all(rule, object)),
            "items" => {
                for (index, element) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, element, &format!("{at}[{index}]"), found);
                }
                true
            }
            "properties" => {
                for (name, inside) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rule.get(name) {
                        check(rule, inside, &format!("{at}.{name}"), found);
                    }
                }
                true
            }
            "propertyNames" => value
                .as_object()
                .is_none_or(|object| object.keys().all(|name| is_name(&rule["pattern"], name))),
            "additionalProperties" => {
                let known =
                    |name: &String| schema.get("properties").is_some_and(|known| known.get(name).is_some());
                let others = value.as_object().into_iter().flatten().filter(|(name, _)| !known(name));
                for (name, inside) in others {
                    if *rule == Value::Bool(false) {
                        found.push(format!("{at}.{name}: unknown"));
                    } else {
                        check(rule, inside, &format!("{at}.{name}"), found);
                    }
                }
                true
            }
            other => panic!("the validator does not know `{other}`"),
        };
        if !is_kept {
            found.push(format!("{at}: {value} does not keep {keyword}: {rule}"));
        }
    }
}

fn is_of_type(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("the validator does not know the type `{other}`"),
    }
}

fn length(rule: &Value) -> usize {
    usize::try_from(rule.as_u64().unwrap()).unwrap()
}

fn has_all(rule: &Value, object: &Map<String, Value>) -> bool {
    rule.as_array().unwrap().iter().all(|name| object.contains_key(name.as_str().unwrap()))
}

/// The only pattern of the schema.
fn is_name(pattern: &Value, text: &str) -> bool {
    assert_eq!(pattern, "^[a-z0-9][a-z0-9-]{0,63}$");
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-')
}
