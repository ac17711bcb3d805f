//! Compares a service's OpenAPI documents with its routes and with the files.

use std::path::Path;

use utoipa::openapi::OpenApi;

use crate::openapi::{Documents, yaml};

/// Checks that `openapi/public.yaml` and `openapi/internal.yaml` below `service`, the directory of the package `name`, are the
/// documents of its code, and that each has the routes of its own audience only.
///
/// # Panics
/// When a file differs, with the command that writes it.
pub fn assert_written(name: &str, service: &Path, documents: &Documents) {
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
                "services/{name}/openapi/{audience}.yaml is not what the routes say, from {line} on; write it with\n    \
                 cargo run -p {name} -- openapi {audience} > services/{name}/openapi/{audience}.yaml"
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

/// Returns every operation of `document`, as `GET /path`, in its order.
#[must_use]
pub fn operations(document: &OpenApi) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for (path, item) in &document.paths.paths {
        let methods = [
            ("GET", item.get.is_some()),
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
