//! Compares a service's OpenAPI documents with its routes and with the files.

use std::path::Path;

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

use crate::openapi::{Documents, yaml};

/// Checks that `openapi/public.yaml` and `openapi/internal.yaml` below `service`, the directory of the package `name`, are the
/// documents of its code, and that each has the routes of its own audience only.
///
/// # Panics
/// When a file differs, with the command that writes it.
pub fn assert_written(name: &str, service: &Path, documents: &Documents) {
    let directory = service.file_name().unwrap_or_default().to_string_lossy();
    for (audience, document) in [("public", &documents.public), ("internal", &documents.internal)] {
        let path = service.join("openapi").join(audience).with_extension("yaml");
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        let made = yaml(document).expect("a document of this service");
        // Another crate can switch serde_json to numbers that only serde_json writes as numbers.
        assert!(!made.contains("$serde_json"), "{audience}: an example is a number; leave it out");
        if written != made {
            let place = written.lines().zip(made.lines()).position(|(one, other)| one != other);
            let line = place.map_or_else(|| "its end".to_owned(), |line| format!("line {}", line + 1));
            panic!(
                "services/{directory}/openapi/{audience}.yaml is not what the routes say, from {line} on; write it with\n    \
                 cargo run -p {name} -- openapi {audience} > services/{directory}/openapi/{audience}.yaml"
            );
        }
        for path in document.paths.paths.keys() {
            assert_eq!(
                path.starts_with("/_/"),
                audience == "internal",
                "{path} is in the {audience} document"
            );
        }
    }
}

/// Returns every operation of `document`, as `GET /path`, in its order. Those of `HEAD` are left out: each is
/// a `GET` without the body of the answer.
#[must_use]
pub fn operations(document: &OpenApi) -> Vec<(&'static str, String)> {
    each(document).into_iter().filter(|(method, _)| *method != "HEAD").collect()
}

/// Returns every operation of `document`, those of `HEAD` included.
pub(super) fn each(document: &OpenApi) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for (path, item) in &document.paths.paths {
        let methods = [
            ("GET", item.get.is_some()),
            ("HEAD", item.head.is_some()),
            ("PUT", item.put.is_some()),
            ("POST", item.post.is_some()),
            ("PATCH", item.patch.is_some()),
            ("DELETE", item.delete.is_some()),
        ];
        let documented = methods.into_iter().filter(|(_, is_there)| *is_there);
        found.extend(documented.map(|(method, _)| (method, path.clone())));
    }
    found
}

/// Checks an answer against `documents`: where the document promises a content type for the status, the answer has one of the
/// promised; where it promises none for a success, the answer has none. `path` is the path of the request, without its query.
///
/// # Panics
/// If the answer has another content type.
pub fn assert_documented(
    documents: &Documents,
    (method, path): (&str, &str),
    status: u16,
    content_type: Option<&str>,
) {
    let operation = [&documents.public, &documents.internal].into_iter().find_map(|document| {
        let items = document.paths.paths.iter().filter(|(template, _)| is_of(template, path));
        // A name in a template is more exact than a parameter at its place.
        let (_, item) = items.min_by_key(|(template, _)| template.matches('{').count())?;
        operation(item, method)
    });
    let response = operation.and_then(|operation| operation.responses.responses.get(&status.to_string()));
    let Some(RefOr::T(response)) = response else { return };
    let promised: Vec<&str> = response.content.keys().map(String::as_str).collect();
    let is_kept = match content_type {
        Some(written) => promised.contains(&written) || (promised.is_empty() && status >= 300),
        None => promised.is_empty(),
    };
    assert!(
        is_kept,
        "{method} {path}: {status} has {content_type:?}, and the document promises {promised:?}"
    );
}

/// Whether `path` is one of `template`, such as `/books/{id}`.
fn is_of(template: &str, path: &str) -> bool {
    let (wanted, given): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    wanted.len() == given.len()
        && wanted.iter().zip(&given).all(|(wanted, given)| match wanted.split_once('{') {
            Some((before, _)) => given.len() > before.len() && given.starts_with(before),
            None => wanted == given,
        })
}

/// Returns the operation of `method`.
pub(super) fn operation<'d>(item: &'d PathItem, method: &str) -> Option<&'d Operation> {
    match method {
        "GET" => item.get.as_ref(),
        "HEAD" => item.head.as_ref(),
        "PUT" => item.put.as_ref(),
        "POST" => item.post.as_ref(),
        "PATCH" => item.patch.as_ref(),
        "DELETE" => item.delete.as_ref(),
        _ => None,
    }
}
