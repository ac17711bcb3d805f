//! The services' documents, and the merged one.

use std::path::{Path, PathBuf};

use utoipa::openapi::info::InfoBuilder;
use utoipa::openapi::{OpenApi, PathItem, Server};

/// The public document of a service, below its directory. No other file of it is opened for the public document.
const PUBLIC: &str = "openapi/public.yaml";

/// The address of the API host, in every document: the one from which a client has the document.
pub(crate) const API_HOST: &str = "/";

/// Reads a document.
///
/// # Errors
/// A message with the file and the fault.
pub fn read(path: &Path) -> Result<OpenApi, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}; check the path", path.display()))?;
    serde_saphyr::from_str(&text)
        .map_err(|error| format!("{} is not a valid OpenAPI document: {error}", path.display()))
}

/// Writes a document as YAML.
///
/// # Errors
/// Never, for a document that was read.
pub fn yaml(document: &OpenApi) -> Result<String, String> {
    serde_saphyr::to_string(document)
        .map_err(|error| format!("the document cannot be written as YAML: {error}"))
}

/// Merges the public documents of the services below `root`, in the order of their names. Its server is the API host; a route
/// of a service whose document names another server keeps that one.
///
/// # Errors
/// When a document is not valid, two of them say different things under one name, one has an internal path, or an operation
/// does not say who may call it.
pub fn merged(root: &Path) -> Result<OpenApi, String> {
    let documents = documents(root, PUBLIC)?;
    let mut whole = OpenApi::default();
    whole.info = InfoBuilder::new()
        .title("Public API")
        .description(Some("Every route for clients, of all services behind the edge."))
        .version("1")
        .license(documents.first().and_then(|(_, document)| document.info.license.clone()))
        .build();
    let mut here = Server::new(API_HOST);
    here.description = Some("The API host of the edge.".to_owned());
    let servers = Some(vec![here]);
    // A service without routes for clients would appear as an empty heading.
    let for_clients = documents.into_iter().filter(|(_, document)| !document.paths.paths.is_empty());
    for (path, mut document) in for_clients {
        // The routes of a service on another host carry its address.
        let elsewhere = document.servers.take().filter(|own| own.iter().any(|server| server.url != API_HOST));
        let wrong = |what: String| format!("{}: {what}", path.display());
        for (route, item) in &document.paths.paths {
            if let Some(method) = without_security(item) {
                return Err(wrong(format!(
                    "`{method} {route}` does not say who may call it; give it `security(())` for everyone, or the \
                     name of its credential"
                )));
            }
            if route.starts_with("/_") {
                return Err(wrong(format!("`{route}` is an internal path; move it to internal.yaml")));
            }
            if whole.paths.paths.contains_key(route) {
                return Err(wrong(format!(
                    "`{route}` is in the document of another service, too; remove one"
                )));
            }
        }
        let known = whole.components.as_ref().map(|all| &all.schemas);
        for (name, schema) in document.components.iter().flat_map(|own| &own.schemas) {
            if known.and_then(|known| known.get(name)).is_some_and(|other| other != schema) {
                return Err(wrong(format!(
                    "the schema `{name}` is another one in another service; rename one"
                )));
            }
        }
        for item in document.paths.paths.values_mut().filter(|item| item.servers.is_none()) {
            item.servers.clone_from(&elsewhere);
        }
        whole.merge(document);
    }
    whole.servers = servers;
    Ok(whole)
}

/// The method of the first operation of `item` that names no credential and does not say that it needs none.
fn without_security(item: &PathItem) -> Option<&'static str> {
    let operations = [
        ("GET", &item.get),
        ("HEAD", &item.head),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
        ("OPTIONS", &item.options),
        ("TRACE", &item.trace),
    ];
    operations
        .into_iter()
        .find(|(_, operation)| operation.as_ref().is_some_and(|operation| operation.security.is_none()))
        .map(|(method, _)| method)
}

/// The document `file` of every service that has one, in the order of their names.
pub(crate) fn documents(root: &Path, file: &str) -> Result<Vec<(PathBuf, OpenApi)>, String> {
    let services = root.join("services");
    let listed = std::fs::read_dir(&services).map_err(|error| {
        format!("cannot list {}: {error}; give the repository with --root", services.display())
    })?;
    let mut paths: Vec<PathBuf> = listed
        .filter_map(|entry| entry.ok().map(|entry| entry.path().join(file)))
        .filter(|path| path.exists())
        .collect();
    paths.sort();
    if paths.is_empty() {
        return Err(format!("no service below {} has {file}; write one", services.display()));
    }
    paths.into_iter().map(|path| read(&path).map(|document| (path, document))).collect()
}
