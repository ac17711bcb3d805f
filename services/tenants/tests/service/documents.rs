//! The OpenAPI documents are those of the routes, and the routes are those of the documents.

use std::path::Path;

use kit::testing::{assert_written, operations};

use crate::app::{ACME, Answer, TestApp};

#[test]
fn the_openapi_documents_are_what_the_routes_say() {
    let service = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_written("tenants", service, &tenants::routes::documents());
}

#[tokio::test]
async fn a_method_is_answered_exactly_when_it_is_documented() {
    let app = TestApp::new().await;
    assert_eq!(app.create(ACME, "Acme").await.status, 201);
    let documents = tenants::routes::documents();
    assert!(operations(&documents.public).is_empty(), "no client reaches this service");
    let documented = operations(&documents.internal);
    let mut paths: Vec<&String> = documented.iter().map(|(_, path)| path).collect();
    paths.dedup();
    for path in paths {
        // DELETE is last: what it begins would change the others' answers.
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            let answer = app.manage(&format!("{method} {}", path.replace("{id}", ACME)), "").await;
            let is_absent = answer == Answer::text(404, "Not found");
            let is_documented = documented.iter().any(|(known, at)| *known == method && at == path);
            assert_ne!(is_absent, is_documented, "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(documented.len(), 8);
}
