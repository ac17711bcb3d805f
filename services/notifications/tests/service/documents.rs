//! The OpenAPI documents are those of the routes.

use std::path::Path;

use kit::testing::{assert_written, operations};

#[test]
fn the_openapi_documents_are_what_the_routes_say_and_none_is_public() {
    let documents = notifications::routes::documents();
    assert_written("notifications", Path::new(env!("CARGO_MANIFEST_DIR")), &documents);
    assert_eq!((operations(&documents.public).len(), operations(&documents.internal).len()), (0, 8));
}
