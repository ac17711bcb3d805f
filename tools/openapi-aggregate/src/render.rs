//! The page of a document: one HTML file without scripts, which loads nothing else.

use serde_json::{Map, Value};

const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];

const STYLE: &str = "\
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem; }
code, pre { font: 0.9em ui-monospace, monospace; }
pre { background: #8881; border-radius: 6px; overflow-x: auto; padding: 0.75rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-top: 1px solid #8884; padding: 0.35rem 0.6rem 0.35rem 0; text-align: left; vertical-align: top; }
details { border: 1px solid #8884; border-radius: 6px; margin: 0.6rem 0; padding: 0.5rem 0.9rem; }
summary { cursor: pointer; }
summary b { display: inline-block; min-width: 4.5rem; }
.get, .head { color: #0a7; } .post { color: #28d; } .put, .patch { color: #c70; } .delete { color: #d33; }
.muted { opacity: 0.7; }
nav a { margin-right: 1rem; }";

/// Renders `document`.
#[must_use]
pub fn page(document: &Value) -> String {
    let title = text(document.pointer("/info/title"));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n\
         <style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{0}</h1>\n<p>{1}</p>\n",
        escaped(&title),
        prose(document.pointer("/info/description")),
    );
    let tags = document.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    let links = tags.iter().map(|tag| text(tag.get("name"))).map(|name| escaped(&name));
    let links: String = links.map(|name| format!("<a href=\"#{name}\">{name}</a>")).collect();
    out += &format!("<nav>{links}<a href=\"#schemas\">schemas</a></nav>\n");
    for tag in &tags {
        let name = text(tag.get("name"));
        out +=
            &format!("<h2 id=\"{0}\">{0}</h2>\n<p>{1}</p>\n", escaped(&name), prose(tag.get("description")));
        for (path, item) in object(document.get("paths")) {
            for method in METHODS {
                let Some(operation) = item.get(method) else { continue };
                let is_of_tag = operation.get("tags").and_then(Value::as_array);
                if is_of_tag.is_some_and(|all| all.iter().any(|tag| tag.as_str() == Some(name.as_str()))) {
                    out += &shown(method, &path, operation, item.pointer("/servers/0"));
                }
            }
        }
    }
    out += "<h2 id=\"schemas\">Schemas</h2>\n";
    for (name, schema) in object(document.pointer("/components/schemas")) {
        out += &format!(
            "<h3 id=\"schema-{0}\">{0}</h3>\n<p>{1}</p>\n<pre>{2}</pre>\n",
            escaped(&name),
            prose(schema.get("description")),
            escaped(&pretty(&schema)),
        );
    }
    out += "</body>\n</html>\n";
    out
}

fn shown(method: &str, path: &str, operation: &Value, server: Option<&Value>) -> String {
    let mut out = format!(
        "<details id=\"{id}\">\n<summary><b class=\"{method}\">{upper}</b> <code>{path}</code> <span class=\"muted\">{about}</span></summary>\n",
        id = escaped(&text(operation.get("operationId"))),
        upper = method.to_uppercase(),
        path = escaped(path),
        about = prose(operation.get("summary")),
    );
    if operation.get("description").is_some() {
        out += &format!("<p>{}</p>\n", prose(operation.get("description")));
    }
    if let Some(server) = server {
        out += &format!("<p class=\"muted\">At: {}</p>\n", prose(server.get("description")));
    }
    let schemes: Vec<String> = operation
        .get("security")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .filter(|scheme| !scheme.is_empty())
        .map(|scheme| scheme.keys().cloned().collect::<Vec<_>>().join(" and "))
        .collect();
    let needs = if schemes.is_empty() { "nothing".to_owned() } else { schemes.join(", or ") };
    out += &format!("<p class=\"muted\">Needs: {}</p>\n", escaped(&needs));
    let parameters = operation.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
    if !parameters.is_empty() {
        out += "<table>\n<tr><th>Parameter</th><th>In</th><th>Schema</th><th></th></tr>\n";
        for parameter in parameters {
            let required = parameter.get("required").and_then(Value::as_bool).unwrap_or_default();
            out += &format!(
                "<tr><td><code>{}</code>{}</td><td>{}</td><td><code>{}</code></td><td>{}</td></tr>\n",
                escaped(&text(parameter.get("name"))),
                if required { " *" } else { "" },
                escaped(&text(parameter.get("in"))),
                kind(parameter.get("schema")),
                prose(parameter.get("description")),
            );
        }
        out += "</table>\n";
    }
    for (content, body) in object(operation.pointer("/requestBody/content")) {
        let schema = kind(body.get("schema"));
        out += &format!("<p>Body: <code>{}</code> <code>{schema}</code></p>\n", escaped(&content));
    }
    out += "<table>\n<tr><th>Status</th><th>Body</th><th></th></tr>\n";
    for (status, answer) in object(operation.get("responses")) {
        let bodies = object(answer.get("content"));
        let bodies: Vec<String> =
            bodies.values().map(|body| format!("<code>{}</code>", kind(body.get("schema")))).collect();
        let about = prose(answer.get("description"));
        out += &format!(
            "<tr><td>{}</td><td>{}</td><td>{about}</td></tr>\n",
            escaped(&status),
            bodies.join(", ")
        );
    }
    out + "</table>\n</details>\n"
}

/// A schema on one line, as HTML: a link to a named one.
fn kind(schema: Option<&Value>) -> String {
    let Some(schema) = schema else { return String::new() };
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escaped(name));
    }
    if schema.get("items").is_some() && schema.get("prefixItems").is_none() {
        return format!("[{}]", kind(schema.get("items")));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values.iter().map(|value| text(Some(value))).collect();
        return escaped(&values.join(" | "));
    }
    let types = match schema.get("type") {
        Some(Value::Array(all)) => all.iter().map(|one| text(Some(one))).collect::<Vec<_>>().join(" | "),
        other => text(other),
    };
    let limits = ["format", "minimum", "maximum", "minLength", "maxLength"];
    let limits: Vec<String> = limits
        .iter()
        .filter_map(|field| schema.get(*field).map(|value| format!("{field} {}", text(Some(value)))))
        .collect();
    let limits = if limits.is_empty() { String::new() } else { format!(" ({})", limits.join(", ")) };
    escaped(&format!("{types}{limits}"))
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

fn text(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Text with `code` in backticks, as HTML.
fn prose(value: Option<&Value>) -> String {
    let text = text(value);
    let parts = text.split('`').enumerate();
    parts
        .map(
            |(place, part)| {
                if place % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) }
            },
        )
        .collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
