//! What a newer document takes from clients of an older one.
//!
//! What clients send may only widen: an operation, a parameter and a value that were accepted still are, and nothing more is
//! required. What they receive may only become more exact: a status, a field and a header that were promised still come, and no
//! value of another type.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The deepest nesting of schemas that is compared. Deeper ones are in no document that a person reads.
const MAX_DEPTH: usize = 24;

const METHODS: [&str; 6] = ["get", "head", "put", "post", "patch", "delete"];

/// Who writes what a schema describes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// By clients.
    Sent,
    /// By the service.
    Received,
}

/// Compares two documents.
struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    found: Vec<String>,
}

/// Returns every loss, as `GET /books: …`.
#[must_use]
pub fn narrowings(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison { old, new, found: Vec::new() };
    let paths =
        |document: &Value| document.get("paths").and_then(Value::as_object).cloned().unwrap_or_default();
    let newer = paths(new);
    for (path, item) in paths(old) {
        if let Some(after) = newer.get(&path)
            && after.get("servers") != item.get("servers")
        {
            comparison.found.push(format!("{path}: the address of the server has changed"));
        }
        for method in METHODS {
            let Some(before) = item.get(method) else { continue };
            let place = format!("{} {path}", method.to_uppercase());
            match newer.get(&path).and_then(|item| item.get(method)) {
                None => comparison.found.push(format!("{place}: the operation is gone")),
                Some(after) => comparison.operation(&place, before, after),
            }
        }
    }
    comparison.found
}

impl Comparison<'_> {
    fn operation(&mut self, place: &str, old: &Value, new: &Value) {
        let (before, after) = (credentials(old), credentials(new));
        if before.iter().any(|held| !after.iter().any(|required| suffices(held, required))) {
            self.lost(place, "other credentials are required");
        }
        self.parameters(place, list(old, "parameters"), list(new, "parameters"));
        match (old.get("requestBody"), new.get("requestBody")) {
            (Some(before), Some(after)) => {
                if !is_true(before, "required") && is_true(after, "required") {
                    self.lost(place, "the body is required");
                }
                self.contents(&format!("{place}: the body"), before, after, Written::Sent);
            }
            (Some(_), None) => self.lost(place, "the body is gone"),
            (None, Some(after)) if is_true(after, "required") => self.lost(place, "a body is required"),
            (None, _) => {}
        }
        let answers = object(new, "responses");
        for (status, before) in object(old, "responses") {
            let place = format!("{place}: {status}");
            let Some(after) = answers.get(&status) else {
                self.found.push(format!("{place} is not an answer any more"));
                continue;
            };
            let headers = object(after, "headers");
            for name in object(&before, "headers").keys().filter(|name| !headers.contains_key(*name)) {
                self.lost(&place, &format!("the header `{name}` is gone"));
            }
            self.contents(&place, &before, after, Written::Received);
        }
    }

    fn parameters(&mut self, place: &str, old: &[Value], new: &[Value]) {
        let name = |parameter: &Value| {
            let text =
                |field: &str| parameter.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            (text("in"), text("name"))
        };
        for before in old {
            let (kind, called) = name(before);
            let Some(after) = new.iter().find(|after| name(after) == name(before)) else {
                self.lost(place, &format!("the parameter `{called}` ({kind}) is gone"));
                continue;
            };
            if !is_true(before, "required") && is_true(after, "required") {
                self.lost(place, &format!("the parameter `{called}` is required"));
            }
            if let (Some(before), Some(after)) = (before.get("schema"), after.get("schema")) {
                self.schema(&format!("{place}: the parameter `{called}`"), before, after, Written::Sent, 0);
            }
        }
        let added = new.iter().filter(|after| !old.iter().any(|before| name(before) == name(after)));
        for after in added.filter(|after| is_true(after, "required")) {
            self.lost(place, &format!("the new parameter `{}` is required", name(after).1));
        }
    }

    fn contents(&mut self, place: &str, old: &Value, new: &Value, written: Written) {
        let newer = object(new, "content");
        for (kind, before) in object(old, "content") {
            let Some(after) = newer.get(&kind) else {
                self.lost(place, &format!("the content type `{kind}` is gone"));
                continue;
            };
            if let (Some(before), Some(after)) = (before.get("schema"), after.get("schema")) {
                self.schema(place, before, after, written, 0);
            }
        }
    }

    fn schema(&mut self, place: &str, old: &Value, new: &Value, written: Written, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        if old == new && self.old.get("components") == self.new.get("components") {
            return;
        }
        self.values(place, old, new, written);
        self.limits(place, old, new, written);
        let newer = object(new, "properties");
        for (name, before) in object(old, "properties") {
            match newer.get(&name) {
                None => self.lost(place, &format!("the field `{name}` is gone")),
                Some(after) => self.schema(&format!("{place}: `{name}`"), &before, after, written, depth + 1),
            }
        }
        let (before, after) = (texts(old, "required"), texts(new, "required"));
        let (changed, what) = match written {
            Written::Sent => (after.difference(&before), "is required"),
            Written::Received => (before.difference(&after), "may be absent"),
        };
        for name in changed {
            self.lost(place, &format!("the field `{name}` {what}"));
        }
        if let (Some(before), Some(after)) = (old.get("items"), new.get("items")) {
            self.schema(&format!("{place}: an item"), before, after, written, depth + 1);
        }
        for alternatives in ["anyOf", "oneOf", "allOf", "prefixItems"] {
            let (before, after) = (list(old, alternatives), list(new, alternatives));
            if before.len() != after.len() {
                self.lost(
                    place,
                    &format!("`{alternatives}` has {} parts instead of {}", after.len(), before.len()),
                );
            }
            for (before, after) in before.iter().zip(after) {
                self.schema(place, before, after, written, depth + 1);
            }
        }
    }

    /// Types, enumerated values, formats and patterns.
    fn values(&mut self, place: &str, old: &Value, new: &Value, written: Written) {
        let (before, after) = (texts(old, "type"), texts(new, "type"));
        let fits = match written {
            Written::Sent => after.is_empty() || (!before.is_empty() && before.is_subset(&after)),
            Written::Received => before.is_empty() || (!after.is_empty() && after.is_subset(&before)),
        };
        if !fits {
            self.lost(place, &format!("the type is {} instead of {}", words(&after), words(&before)));
        }
        let (before, after) = (texts(old, "enum"), texts(new, "enum"));
        let (narrow, wide) = if written == Written::Sent { (&before, &after) } else { (&after, &before) };
        if !wide.is_empty() && (narrow.is_empty() || !narrow.is_subset(wide)) {
            self.lost(place, &format!("the values are {} instead of {}", words(&after), words(&before)));
        }
        for field in ["format", "pattern"] {
            let (before, after) = (old.get(field), new.get(field));
            let is_freer = written == Written::Sent && after.is_none();
            let is_more_exact = written == Written::Received && before.is_none();
            if before != after && !is_freer && !is_more_exact {
                self.lost(place, &format!("`{field}` has changed"));
            }
        }
    }

    fn limits(&mut self, place: &str, old: &Value, new: &Value, written: Written) {
        for (field, is_upper) in [
            ("maximum", true),
            ("maxLength", true),
            ("maxItems", true),
            ("minimum", false),
            ("minLength", false),
            ("minItems", false),
        ] {
            let limit = |schema: &Value| schema.get(field).and_then(Value::as_f64);
            // The wider of two must contain the narrower one.
            let (narrow, wide) =
                if written == Written::Sent { (limit(old), limit(new)) } else { (limit(new), limit(old)) };
            let contains = match (narrow, wide) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(narrow), Some(wide)) => {
                    if is_upper {
                        narrow <= wide
                    } else {
                        narrow >= wide
                    }
                }
            };
            if !contains {
                let shown =
                    |limit: Option<f64>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
                let (before, after) = (shown(limit(old)), shown(limit(new)));
                self.lost(place, &format!("`{field}` is {after} instead of {before}"));
            }
        }
    }

    fn lost(&mut self, place: &str, what: &str) {
        self.found.push(format!("{place}: {what}"));
    }
}

/// The schema that a reference names.
fn resolved<'a>(document: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..MAX_DEPTH {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
        match target.and_then(|pointer| document.pointer(pointer)) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

fn is_true(value: &Value, field: &str) -> bool {
    value.get(field).and_then(Value::as_bool).unwrap_or_default()
}

/// The credentials that an operation accepts, each alternative an object of schemes. One that names none accepts every call.
fn credentials(operation: &Value) -> Vec<Value> {
    match list(operation, "security") {
        [] => vec![Value::Object(Map::new())],
        alternatives => alternatives.to_vec(),
    }
}

/// Whether a client that sends `held` has what `required` names: each of its schemes, with each of its scopes.
fn suffices(held: &Value, required: &Value) -> bool {
    let of = |scheme: &str| held.get(scheme).and_then(Value::as_array);
    required.as_object().is_some_and(|schemes| {
        schemes.iter().all(|(scheme, scopes)| {
            of(scheme)
                .is_some_and(|held| scopes.as_array().into_iter().flatten().all(|scope| held.contains(scope)))
        })
    })
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn object(value: &Value, field: &str) -> Map<String, Value> {
    value.get(field).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// One text or several.
fn texts(value: &Value, field: &str) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value.get(field) {
        Some(Value::Array(all)) => all.iter().map(text).collect(),
        Some(one) => BTreeSet::from([text(one)]),
        None => BTreeSet::new(),
    }
}

fn words(texts: &BTreeSet<String>) -> String {
    if texts.is_empty() { "any".to_owned() } else { texts.iter().cloned().collect::<Vec<_>>().join(", ") }
}
