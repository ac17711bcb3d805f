//! The OpenAPI documents are those of the routes, and the routes are those of the documents.

use std::path::Path;

use identity::Role;
use kit::generation::Surface;
use kit::testing::{assert_written, operations};

use crate::app::TestApp;

#[test]
fn the_openapi_documents_are_what_the_routes_say() {
    let service = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_written("library", service, &library::routes::documents());
}

#[tokio::test]
async fn a_method_is_answered_exactly_when_it_is_documented() {
    let app = TestApp::on(None, Surface::Later).await;
    let documented = operations(&library::routes::documents().public);
    let mut paths: Vec<&String> = documented.iter().map(|(_, path)| path).collect();
    paths.dedup();
    for path in paths {
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            let target = ["{id}", "{old}", "{new}", "{tag}", "{kind}", "{name}"]
                .iter()
                .fold(path.clone(), |path, name| path.replace(name, "1"));
            let answer = app.call(Role::BOT, &format!("{method} {target}"), "").await;
            let is_documented = documented.contains(&(method, path.clone()));
            assert_ne!(answer.status == 405, is_documented, "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(documented.len(), 16);
}

#[tokio::test]
async fn for_a_person_a_route_of_services_is_a_path_that_does_not_exist() {
    for surface in [Surface::Older, Surface::Later] {
        let app = TestApp::on(None, surface).await;
        let absent = app.get("/nothing").await;
        let internal = operations(&library::routes::documents().internal);
        assert!(internal.len() >= 5, "{internal:?}");
        for (method, path) in internal {
            let target = path.replace("{old}", "1").replace("{new}", "2");
            // The answer is compared with the document, too.
            assert_eq!(
                app.call(Role::BOT, &format!("{method} {target}"), "").await,
                absent,
                "{method} {path}"
            );
        }
    }
}
