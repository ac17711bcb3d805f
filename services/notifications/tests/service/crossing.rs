//! Every operation is tried from another tenant: with the plain header of one tenant beside the identity of another,
//! and by a service that acts for another tenant.

use identity::Role;
use kit::testing::{Crossing, Example, PrivatePostgres, TENANT, person};
use serde_json::json;

use crate::app::{TestApp, push};

const DEMO: &str = "00000000-0000-7000-8000-0000000000a0";

async fn no_operation_is_crossed(app: &TestApp) {
    // A dead letter, which every operation about one could show or change.
    app.providers.answer_next(400, &[], &json!({ "error": { "status": "INVALID_ARGUMENT", "details": [{
        "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "INVALID_ARGUMENT" }] } }));
    let message = json!({ "tenantId": TENANT, "push": push("device-of-demo") });
    let queued = json!({ "idempotencyKey": "key-of-demo", "message": message }).to_string();
    assert_eq!(app.call("POST /_/notifications/messages", &queued).await.0, 202);
    let before = app.dead(1).await;
    let id = before[0]["id"].as_str().unwrap();
    let crossing = Crossing {
        documents: notifications::routes::documents(),
        router: &app.router,
        edge: &app.edge,
        service: "notifications",
        caller: "tenants",
        person: person(DEMO, "00000000-0000-7000-8000-00000000005e", Role::NORMAL),
        parameters: &[("tenant", TENANT), ("id", id)],
        examples: &[Example { operation: "POST /_/notifications/messages", query: "", body: &queued }],
        unauthenticated: "Unauthorized",
        secrets: &[id, TENANT, "key-of-demo"],
    };
    assert!(crossing.try_every_operation().await >= 8);
    assert_eq!(app.dead(1).await, before);
    let removals = app.number("SELECT count(*) FROM notifications_removals").await;
    assert_eq!(removals, 0, "no removal was prepared");
}

#[tokio::test]
async fn no_operation_is_crossed_on_both() {
    no_operation_is_crossed(&TestApp::on(None).await).await;
    let postgres = PrivatePostgres::start();
    no_operation_is_crossed(&TestApp::on(Some(postgres.url())).await).await;
}
