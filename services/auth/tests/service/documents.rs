//! The OpenAPI documents are those of the routes, and the routes are those of the documents.

use std::path::Path;

use kit::testing::{assert_written, operations};

use crate::app::{Answer, TestApp};

#[test]
fn the_openapi_documents_are_what_the_routes_say() {
    let service = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_written("auth", service, &auth::routes::documents());
}

#[tokio::test]
async fn a_method_is_answered_exactly_when_it_is_documented() {
    let app = TestApp::new().await;
    let documented = operations(&auth::routes::documents().public);
    let passkeys = ["/auth/passkeys", "/auth/passkey/registration", "/auth/passkey/authentication"];
    for path in [&["/auth/code", "/auth/token"][..], &passkeys].concat() {
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            let answer = app.call(&format!("{method} {path}"), &[], "").await;
            let is_absent = answer == Answer::text(404, "Not found");
            let is_documented = documented.contains(&(method, path.to_owned()));
            assert_ne!(is_absent, is_documented, "{method} {path}: {answer:?}");
        }
    }
    assert!(documented.contains(&("DELETE", "/auth/passkeys/{credential_id}".to_owned())));
    assert_eq!(documented.len(), 11, "every other documented path is tried above: {documented:?}");
}
