//! One document of all routes for services, for the people who write them. It is compared with the services' documents, and never
//! published: the page has the public document alone. Nothing in it is frozen, because the services move together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use utoipa::openapi::info::InfoBuilder;
use utoipa::openapi::{OpenApi, Server};

use crate::merge::{API_HOST, documents};

/// The internal document of a service, below its directory.
const OF_A_SERVICE: &str = "openapi/internal.yaml";

/// Where a document refers to one of its schemas.
const SCHEMAS: &str = "#/components/schemas/";

/// Merges the internal documents of the services below `root`, in the order of their names. Services name their schemas each for
/// itself; where two say different things under one name, the name of each service goes before it.
///
/// # Errors
/// When a document is not valid, or two services have one path.
pub fn merged(root: &Path) -> Result<OpenApi, String> {
    let mut values = Vec::new();
    let mut license = None;
    for (path, document) in documents(root, OF_A_SERVICE)? {
        license = license.or_else(|| document.info.license.clone());
        if document.paths.paths.is_empty() {
            continue;
        }
        let service = path.ancestors().nth(2).and_then(Path::file_name).unwrap_or_default();
        let value =
            serde_json::to_value(&document).map_err(|error| format!("{}: {error}", path.display()))?;
        values.push((service.to_string_lossy().into_owned(), value));
    }
    let ambiguous = ambiguous(&values);
    let mut whole = OpenApi::default();
    whole.info = InfoBuilder::new()
        .title("Internal API")
        .description(Some(
            "Every route for services. Each edge file decides which service may call which one; no client reaches any.",
        ))
        .version("1")
        .license(license)
        .build();
    for (service, mut value) in values {
        let own = |name: &str| ambiguous.contains(name).then(|| format!("{}{name}", capital(&service)));
        rename_schemas(&mut value, &own);
        refer(&mut value, &own);
        let document: OpenApi =
            serde_json::from_value(value).map_err(|error| format!("{service}: {error}"))?;
        if let Some(path) = document.paths.paths.keys().find(|path| whole.paths.paths.contains_key(*path)) {
            return Err(format!(
                "`{path}` of {service} is in the document of another service, too; remove one"
            ));
        }
        whole.merge(document);
    }
    let mut here = Server::new(API_HOST);
    here.description = Some("A listener of the edge for services.".to_owned());
    whole.servers = Some(vec![here]);
    Ok(whole)
}

/// The names of schemas under which two documents say different things.
fn ambiguous(documents: &[(String, Value)]) -> BTreeSet<String> {
    let mut first: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (_, document) in documents {
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
        for (name, schema) in schemas.into_iter().flatten() {
            if *first.entry(name).or_insert(schema) != schema {
                found.insert(name.clone());
            }
        }
    }
    found
}

/// Gives the schemas of `document` the names that `own` returns.
fn rename_schemas(document: &mut Value, own: &impl Fn(&str) -> Option<String>) {
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    if let Some(schemas) = schemas {
        let all = std::mem::take(schemas).into_iter();
        *schemas = all.map(|(name, schema)| (own(&name).unwrap_or(name), schema)).collect();
    }
}

/// Lets every reference of `value` to a schema follow it to the name that `own` returns.
fn refer(value: &mut Value, own: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str().and_then(|text| text.strip_prefix(SCHEMAS)).and_then(own) {
                    Some(new) if name == "$ref" => *member = Value::String(format!("{SCHEMAS}{new}")),
                    _ => refer(member, own),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|one| refer(one, own)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Returns `name` with a capital at its beginning, as names of schemas have it.
fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
