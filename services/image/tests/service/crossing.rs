//! Every operation is tried with the plain header of one tenant beside the identity of another. Pictures belong to all
//! tenants.

use identity::Role;
use kit::testing::{Crossing, person};

use crate::app::{DEMO, SESSION, TestApp};

#[tokio::test]
async fn no_operation_is_crossed() {
    let app = TestApp::on_disk().await;
    app.put("image/library/7/1.png", b"0123456789");
    let crossing = Crossing {
        documents: image_service::routes::documents(),
        router: &app.router,
        edge: app.edge(),
        service: "image",
        caller: "reports",
        // A bot of another tenant may upload pictures, as any bot may; this person may not.
        person: person(DEMO, SESSION, Role::NORMAL),
        parameters: &[("book", "7"), ("file", "1.png")],
        examples: &[],
        unauthenticated: "Unauthenticated",
        secrets: &[],
    };
    assert_eq!(crossing.try_every_operation().await, 4);
    assert_eq!(std::fs::read(app.picture("image/library/7/1.png")).unwrap(), b"0123456789");
}
