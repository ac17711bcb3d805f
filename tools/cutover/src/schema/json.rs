//! The description as JSON Schema, draft 2020-12.
//!
//! The schema says which fields there are and what form each value has. What depends on other values (a route's backend
//! exists, a path has one spelling) only `cutover lint` knows.

use edge_config::describe::{Described, Doc, Field, Sample, Shape};
use serde_json::{Map, Value, json};

/// The names that a file chooses.
const NAME: &str = "^[a-z0-9][a-z0-9-]{0,63}$";

/// The schema of an edge file.
#[must_use]
pub fn json(described: &Described) -> Value {
    let mut schema = value(described);
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".to_owned(), json!("Cutover edge file"));
    }
    schema
}

fn value(described: &Described) -> Value {
    let has = |shape: &Shape| described.shapes.contains(shape);
    let mut forms: Vec<Value> = described.shapes.iter().filter_map(|shape| form(shape, described)).collect();
    if has(&Shape::Mapping) || has(&Shape::Entries) || has(&Shape::Keyed) {
        forms.insert(0, mapping(described, &has));
    }
    match forms.len() {
        1 => forms.remove(0),
        // The reader said nothing: everything is allowed.
        0 => json!({}),
        _ => json!({ "anyOf": forms }),
    }
}

fn form(shape: &Shape, described: &Described) -> Option<Value> {
    Some(match shape {
        Shape::Mapping | Shape::Entries | Shape::Keyed => return None,
        Shape::List => {
            let items = described.element.as_ref().map_or_else(|| json!({}), |element| value(element));
            json!({ "type": "array", "items": items })
        }
        Shape::Text => json!({ "type": "string" }),
        Shape::Expanded(_) => json!({ "type": "string", "minLength": 1 }),
        Shape::Name => json!({ "type": "string", "pattern": NAME }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Number { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Percent => json!({ "type": "number", "minimum": 0, "maximum": 100 }),
        Shape::Choice(words) => json!({ "enum": words }),
    })
}

/// A mapping with known fields, or with names that the file chooses, or with both.
fn mapping(described: &Described, has: &dyn Fn(&Shape) -> bool) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    if !described.fields.is_empty() {
        let properties = described.fields.iter().map(|field| (field.name.clone(), property(field)));
        object.insert("properties".to_owned(), Value::Object(properties.collect()));
    }
    // As an entry of names that the file chooses, no field is required.
    let required: Vec<&str> = described
        .fields
        .iter()
        .filter(|field| has(&Shape::Mapping) && field.is_required)
        .map(|field| field.name.as_str())
        .collect();
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    match &described.entry {
        Some(entry) => {
            if has(&Shape::Entries) {
                object.insert("propertyNames".to_owned(), json!({ "pattern": NAME }));
            }
            object.insert("additionalProperties".to_owned(), value(entry));
        }
        None => {
            object.insert("additionalProperties".to_owned(), json!(false));
        }
    }
    Value::Object(object)
}

fn property(field: &Field) -> Value {
    let mut schema = value(&field.value);
    if let (Some(object), Some(doc)) = (schema.as_object_mut(), &field.doc) {
        object.insert("description".to_owned(), json!(described(doc)));
        if let Some(default) = &doc.default {
            object.insert("default".to_owned(), sample(default));
        }
        if let Some(example) = &doc.example {
            object.insert("examples".to_owned(), json!([sample(example)]));
        }
    }
    schema
}

/// What an editor shows beside the field.
fn described(doc: &Doc) -> String {
    let otherwise = doc.otherwise.iter().map(|otherwise| format!(" Without it: {otherwise}."));
    let why = doc.why.iter().map(|why| format!(" {why}"));
    std::iter::once(doc.says.clone()).chain(otherwise).chain(why).collect()
}

fn sample(sample_of: &Sample) -> Value {
    match sample_of {
        Sample::Boolean(value) => json!(value),
        Sample::Number(value) => json!(value),
        Sample::Text(value) => json!(value),
        Sample::List(elements) => elements.iter().map(sample).collect(),
        Sample::Mapping(entries) => {
            Value::Object(entries.iter().map(|(name, value)| (name.clone(), sample(value))).collect())
        }
    }
}
