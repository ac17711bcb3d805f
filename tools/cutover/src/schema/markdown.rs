//! The description as a page: every field with its type, default, reason and example.

use std::fmt::Write as _;

use edge_config::describe::{Described, Field, Sample, Shape};

const HEAD: &str = "# The edge file, field by field

This page is made by `cutover schema --markdown` from the reader of edge files itself; a test fails when it is not current.
`cutover lint` reports every fault of a file with its line and its fix. `cutover init` writes a first one.

`a.b` is the field `b` of `a`; `*` is a name that you choose (lower-case letters, digits and `-`); `[]` is an element of a
list. A field in bold must be there. In values marked with *env*, `${NAME:-default}` is replaced from the environment;
`${CUTOVER_HOME}` is `.run` where it is not set.

For completion in an editor with the YAML language server, write the schema beside the file once, and name it in its first
line:

    cutover schema > edge.schema.json

    # yaml-language-server: $schema=./edge.schema.json
";

/// The page.
#[must_use]
pub fn markdown(described: &Described) -> String {
    let mut page = HEAD.to_owned();
    for section in &described.fields {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## `{}`\n\n", section.name);
        page.push_str("| field | value | default | |\n|---|---|---|---|\n");
        row(&mut page, section);
        for field in section.value.all() {
            row(&mut page, field);
        }
    }
    page
}

fn row(page: &mut String, field: &Field) {
    let Some(doc) = &field.doc else {
        let _ = writeln!(page, "| `{}` | {} | | |", field.path, kind(&field.value));
        return;
    };
    // The same fields elsewhere have a row of their own.
    if doc.is_inherited {
        return;
    }
    let name = if field.is_required { format!("**`{}`**", field.path) } else { format!("`{}`", field.path) };
    let default = match (&doc.default, &doc.otherwise) {
        (Some(default), _) => format!("`{}`", yaml(default)),
        (None, Some(otherwise)) => otherwise.clone(),
        (None, None) => String::new(),
    };
    let why = doc.why.iter().map(|why| format!(" *{why}*"));
    let example = doc.example.iter().map(|example| format!(" `{}: {}`", field.name, yaml(example)));
    let text: String = std::iter::once(doc.says.clone()).chain(why).chain(example).collect();
    let cells = [name, kind(&field.value), default, text].map(|cell| cell.replace('|', "\\|"));
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

/// The forms of a value in words.
fn kind(described: &Described) -> String {
    let words = described.shapes.iter().map(|shape| match shape {
        Shape::Mapping => "mapping".to_owned(),
        Shape::Entries | Shape::Keyed => "mapping by name".to_owned(),
        Shape::List => {
            let element = described.element.as_ref().map(|element| kind(element)).unwrap_or_default();
            if element == "mapping" { "list of mappings".to_owned() } else { format!("list: {element}") }
        }
        Shape::Text => "text".to_owned(),
        Shape::Name => "name".to_owned(),
        Shape::Boolean => "`true`, `false`".to_owned(),
        Shape::Number { least, most } => format!("{least}–{most}"),
        Shape::Percent => "0–100, at most three decimals".to_owned(),
        Shape::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Shape::Expanded(of) => format!("{} *env*", expanded(of)),
    });
    words.collect::<Vec<_>>().join(", or ")
}

/// A type of the reader in words.
fn expanded(name: &str) -> &'static str {
    match name.rsplit("::").next().unwrap_or(name) {
        "SocketAddr" => "IP address and port",
        "Endpoint" => "host and port",
        "Address" => "host and port, or a URL",
        "AuthorizerAddress" => "host and port, or `unix:/path`",
        _ => "text",
    }
}

/// A value as a line of YAML writes it.
fn yaml(sample: &Sample) -> String {
    match sample {
        Sample::Boolean(value) => value.to_string(),
        Sample::Number(value) => value.to_string(),
        Sample::Text(text) if is_plain(text) => text.clone(),
        Sample::Text(text) => format!("{text:?}"),
        Sample::List(elements) => format!("[{}]", elements.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        Sample::Mapping(entries) if entries.is_empty() => "{}".to_owned(),
        Sample::Mapping(entries) => {
            let entries = entries.iter().map(|(name, value)| format!("{name}: {}", yaml(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Whether YAML reads `text` as text without quotes, inside of braces as well.
fn is_plain(text: &str) -> bool {
    let words = ["true", "false", "null", "yes", "no", "on", "off"];
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    begins
        && !words.contains(&text)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+@*".contains(&b))
}
