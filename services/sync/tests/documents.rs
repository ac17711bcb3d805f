//! The OpenAPI documents are those of the routes, and the program refuses a start that could not work.

use std::path::Path;

use kit::testing::{Binary, TestHome};

const SYNC: Binary = Binary(env!("CARGO_BIN_EXE_sync"));

#[test]
fn the_openapi_documents_are_what_the_routes_say() {
    let documents = sync_service::routes::documents();
    assert!(documents.public.paths.paths.is_empty(), "no client reaches this service");
    // Not `/_/`, as other routes for services: these are for programs outside, on a listener of their own.
    assert!(documents.internal.paths.paths.keys().all(|path| path.starts_with("/_sync/")));
    for (audience, document) in [("public", &documents.public), ("internal", &documents.internal)] {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi").join(audience).with_extension("yaml");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kit::openapi::yaml(document).is_ok_and(|made| made == written),
            "run `cargo run -p sync-service -- openapi {audience} > services/sync/openapi/{audience}.yaml`"
        );
    }
}

#[test]
fn it_refuses_to_start_without_its_directory_or_its_key() {
    let home = TestHome::new();
    let path = home.path().to_str().unwrap();
    SYNC.assert_refuses(&[
        (&[("CUTOVER_HOME", path)], 64, &["SYNC_ROOT"]),
        (
            &[("CUTOVER_HOME", path), ("SYNC_ROOT", "/nowhere"), ("SYNC_ADDRESS", "localhost")],
            64,
            &["SYNC_ADDRESS"],
        ),
        (&[("CUTOVER_HOME", path), ("SYNC_ROOT", path)], 64, &["keys/sync.pem"]),
    ]);
    SYNC.assert_help_lists(sync_service::settings::VARIABLES);
}
