//! The operations of an OpenAPI document, as requests made of its examples.

use serde_json::{Map, Value};

/// The deepest nesting of schemas.
const MAX_DEPTH: usize = 16;

/// An operation, with what a request for it needs.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The method, in capitals.
    pub method: String,
    /// The path with the names of its parameters in braces.
    pub path: String,
    /// The parameters of the path and the query.
    pub parameters: Vec<Parameter>,
    /// The smallest body that the document allows; `None` when it has none.
    pub body: Option<Value>,
    /// Every form of the body, with all its fields.
    pub bodies: Vec<Value>,
    /// The statuses that the document has for it.
    pub statuses: Vec<u16>,
    /// The address of its own server, with names of variables in braces; `None` for the document's.
    pub server: Option<String>,
}

/// A parameter of an operation.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// An allowed value.
    pub value: String,
    /// Whether it is in the path; otherwise it is in the query.
    pub is_in_path: bool,
    /// Whether a request has to have it.
    pub is_required: bool,
}

impl Operation {
    /// The target of a request with allowed values for what is required.
    #[must_use]
    pub fn target(&self) -> String {
        self.target_with("", "")
    }

    /// The same with `value`, which is not encoded, for the parameter `name`.
    #[must_use]
    pub fn target_with(&self, name: &str, value: &str) -> String {
        let mut target = self.path.clone();
        let mut query = Vec::new();
        for parameter in &self.parameters {
            let is_named = parameter.name == name;
            // The only byte of an example that a request line cannot carry.
            let value = if is_named { value.to_owned() } else { parameter.value.replace(' ', "%20") };
            if parameter.is_in_path {
                target = target.replace(&format!("{{{}}}", parameter.name), &value);
            } else if parameter.is_required || is_named {
                query.push(format!("{}={value}", parameter.name));
            }
        }
        if query.is_empty() { target } else { format!("{target}?{}", query.join("&")) }
    }
}

/// Every operation of `document`, in its order.
#[must_use]
pub fn of(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in object(document, "paths") {
        let server = item["servers"][0]["url"].as_str();
        for (method, operation) in item.as_object().into_iter().flatten().filter(|(_, one)| one.is_object()) {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let statuses = object(operation, "responses");
            found.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                parameters: parameters.filter_map(|one| parameter(document, one)).collect(),
                body: (!schema.is_null()).then(|| example(document, schema, 0)),
                bodies: if schema.is_null() { Vec::new() } else { examples(document, schema, 0) },
                statuses: statuses.iter().filter_map(|(status, _)| status.parse().ok()).collect(),
                server: server.map(str::to_owned),
            });
        }
    }
    found
}

fn parameter(document: &Value, described: &Value) -> Option<Parameter> {
    let is_in_path = described["in"] == "path";
    let given = &described["example"];
    let value = if given.is_null() { example(document, &described["schema"], 0) } else { given.clone() };
    (is_in_path || described["in"] == "query").then(|| Parameter {
        name: described["name"].as_str().unwrap_or_default().to_owned(),
        value: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        is_in_path,
        is_required: described["required"] == true,
    })
}

fn object(value: &Value, field: &str) -> Map<String, Value> {
    value[field].as_object().cloned().unwrap_or_default()
}

/// The schema that a reference names, or the schema itself.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(schema)
}

/// A value that the schema allows: its example, or the smallest.
fn example(document: &Value, schema: &Value, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    let schema = resolved(document, schema);
    if let Some(value) = written(schema) {
        return value;
    }
    if let Some(first) = schema["oneOf"].as_array().and_then(|schemas| schemas.first()) {
        return example(document, first, depth + 1);
    }
    match kind(schema) {
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

/// One value for each form that the schema allows, with all fields; and one for each optional object with no other optional
/// field, because objects can exclude each other.
fn examples(document: &Value, schema: &Value, depth: usize) -> Vec<Value> {
    let schema = resolved(document, schema);
    let forms = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    if let Some(forms) = forms.filter(|_| depth <= MAX_DEPTH) {
        let forms = forms.iter().filter(|form| kind(form) != "null");
        return forms.flat_map(|form| examples(document, form, depth + 1)).collect();
    }
    let smallest = example(document, schema, depth);
    let (Value::Object(mut whole), true) = (smallest.clone(), written(schema).is_none()) else {
        return vec![smallest];
    };
    if depth > MAX_DEPTH {
        return vec![smallest];
    }
    let mut further = Vec::new();
    for (name, described) in object(schema, "properties") {
        let is_optional = !whole.contains_key(&name);
        let mut forms = examples(document, &described, depth + 1).into_iter();
        let Some(first) = forms.next() else { continue };
        if is_optional && first.is_object() {
            further.push((smallest.clone(), name.clone(), first.clone()));
        }
        whole.insert(name.clone(), first);
        further.extend(forms.map(|form| (Value::Null, name.clone(), form)));
    }
    // A map, whose keys are free.
    if schema["additionalProperties"].is_object() {
        whole.insert("key".to_owned(), example(document, &schema["additionalProperties"], depth + 1));
    }
    let further = further.into_iter().map(|(base, name, form)| {
        let mut fields = base.as_object().unwrap_or(&whole).clone();
        fields.insert(name, form);
        fields.into()
    });
    std::iter::once(Value::from(whole.clone())).chain(further).collect()
}

/// A value that stands in the schema itself.
fn written(schema: &Value) -> Option<Value> {
    let example = Some(&schema["example"]).filter(|example| !example.is_null());
    example.or_else(|| schema["enum"].as_array().and_then(|values| values.first())).cloned()
}

fn kind(schema: &Value) -> &str {
    schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or_default()
}
