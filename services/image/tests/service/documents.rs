//! The OpenAPI documents are those of the routes, and the routes are those of the documents.

use std::path::Path;

use identity::Role;
use kit::testing::{assert_documented, assert_written, operations};

use crate::app::TestApp;

#[test]
fn the_openapi_documents_are_what_the_routes_say() {
    let service = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_written("image-service", service, &image_service::routes::documents());
}

#[tokio::test]
async fn a_method_is_answered_exactly_when_it_is_documented() {
    let app = TestApp::on_disk().await;
    app.put("image/library/7/1.png", b"0123456789");
    let documents = image_service::routes::documents();
    let documented = operations(&documents.public);
    assert_eq!(documented.len(), 3);
    for (_, path) in &documented {
        let target = path.replace("{book}", "7").replace("{file}", "1.png");
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            let answer = app.call_as(Role::BOT, &format!("{method} {target}"), &[]).await;
            let is_documented = documented.contains(&(method, path.clone()));
            assert_ne!(answer.status == 405, is_documented, "{method} {path}: {answer:?}");
        }
    }
    for range in ["bytes=0-3", "bytes=0-1,4-5", "bytes=90-", "nonsense"] {
        let answer = app.call("GET /image/library/7/1.png", &[("range", range)]).await;
        let kind = answer.header("content-type").map(|kind| kind.split(';').next().unwrap_or_default());
        assert_documented(&documents, ("GET", "/image/library/7/1.png"), answer.status, kind);
    }
    let list = app.get("/image/library/7/@").await;
    assert_documented(&documents, ("GET", "/image/library/7/@"), list.status, list.header("content-type"));
}
