//! A removal that is decided goes on when a service has lost its preparation.

use serde_json::json;

use crate::app::{ACME, TestApp, on_both};

async fn until(app: &TestApp, phase: &str) {
    harness::eventually_async(phase, async || {
        // Pauses after failures pass at once.
        app.clock.advance_seconds(60);
        let shown = app.manage(&format!("GET /_/tenants/{ACME}/offboarding"), "").await;
        shown.json()["phase"] == phase
    })
    .await;
}

async fn a_service_that_lost_its_preparation_prepares_again_and_removes(app: TestApp) {
    app.create(ACME, "Acme").await;
    // Both have prepared when the first removal comes; then one of them loses that.
    app.services.hold_after(Some(2));
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    app.services.held().await;
    app.services.lose_preparation("files");
    app.services.hold_after(None);
    app.services.release();
    until(&app, "done").await;
    let expected = [
        "PUT /_/users/tenants/ACME/removal",
        "PUT /_/files/tenants/ACME/removal",
        "DELETE /_/users/tenants/ACME",
        "DELETE /_/files/tenants/ACME",
        "PUT /_/files/tenants/ACME/removal",
        "DELETE /_/files/tenants/ACME",
    ];
    assert_eq!(app.services.seen(), expected.map(|line| line.replace("ACME", ACME)));
    assert_eq!(app.standing(ACME).await, "deleted");
}

#[tokio::test]
async fn a_service_that_lost_its_preparation_prepares_again_and_removes_on_both() {
    on_both(a_service_that_lost_its_preparation_prepares_again_and_removes).await;
}

#[tokio::test]
async fn a_service_that_refuses_to_prepare_again_is_named_and_tried_for_good() {
    let app = TestApp::new().await;
    app.create(ACME, "Acme").await;
    app.services.hold_after(Some(2));
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    app.services.held().await;
    app.services.lose_preparation("files");
    app.services.refuse("PUT /_/files/", 409);
    app.services.hold_after(None);
    app.services.release();
    let offboarding = async || app.manage(&format!("GET /_/tenants/{ACME}/offboarding"), "").await.json();
    harness::eventually_async("it is tried again", async || {
        app.clock.advance_seconds(60);
        app.services.seen().iter().filter(|line| line.starts_with("PUT /_/files/")).count() > 2
    })
    .await;
    let shown = offboarding().await;
    assert_eq!(
        (&shown["phase"], &shown["last_error"]),
        (&json!("removing"), &json!("files refused: It keeps them"))
    );
    app.services.accept();
    until(&app, "done").await;
}
