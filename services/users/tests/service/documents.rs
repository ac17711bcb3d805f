//! The OpenAPI documents are those of the routes, and the routes are those of the documents.

use std::path::Path;

use identity::Role;
use kit::testing::{assert_written, operations};

use crate::app::{Answer, BOT, DEMO, TestApp};

#[test]
fn the_openapi_documents_are_what_the_routes_say() {
    let service = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_written("users", service, &users::routes::documents());
}

#[tokio::test]
async fn a_method_is_answered_exactly_when_it_is_documented() {
    let app = TestApp::new().await;
    let documents = users::routes::documents();
    let documented = [operations(&documents.public), operations(&documents.internal)].concat();
    let mut paths: Vec<&String> = documented.iter().map(|(_, path)| path).collect();
    paths.dedup();
    assert_eq!(paths.len(), 18, "{paths:?}");
    for path in paths {
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            let target = [("{key}", DEMO), ("{id}", DEMO), ("{kind}", "book"), ("{value}", "7")]
                .iter()
                .chain(&[("{old}", "3"), ("{new}", "4"), ("{tenant}", DEMO)])
                .fold(path.clone(), |path, (name, value)| path.replace(name, value));
            let target = if path == "/_/users" { format!("{target}?email=demo@example.com") } else { target };
            let caller = if path.starts_with("/_/") {
                app.edge.service("tenants", "users")
            } else {
                app.as_person(BOT, Role::BOT)
            };
            let answer = app.call(&format!("{method} {target}"), &caller, "").await;
            let is_absent = answer == Answer::text(404, "Not found");
            let is_documented = documented.iter().any(|(known, at)| *known == method && at == path);
            assert_ne!(is_absent, is_documented, "{method} {path}: {answer:?}");
        }
    }
}
