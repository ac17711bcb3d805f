//! A removal goes through all services, and back when one refuses.

use serde_json::json;

use crate::app::{ACME, TestApp, on_both};

fn calls(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| line.replace("ACME", ACME)).collect()
}

async fn phase(app: &TestApp) -> String {
    let answer = app.manage(&format!("GET /_/tenants/{ACME}/offboarding"), "").await;
    answer.json()["phase"].as_str().unwrap().to_owned()
}

async fn until(app: &TestApp, wanted: &str) {
    harness::eventually_async(wanted, async || {
        // Pauses after failures pass at once.
        app.clock.advance_seconds(1);
        phase(app).await == wanted
    })
    .await;
}

async fn every_service_prepares_before_any_removes(app: TestApp) {
    app.create(ACME, "Acme").await;
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    until(&app, "done").await;
    let expected = calls(&[
        "PUT /_/users/tenants/ACME/removal",
        "PUT /_/files/tenants/ACME/removal",
        "DELETE /_/users/tenants/ACME",
        "DELETE /_/files/tenants/ACME",
    ]);
    assert_eq!((app.services.seen(), app.standing(ACME).await), (expected, "deleted".to_owned()));
}

#[tokio::test]
async fn every_service_prepares_before_any_removes_on_both() {
    on_both(every_service_prepares_before_any_removes).await;
}

async fn a_refusal_undoes_everything(app: TestApp) {
    for former in ["active", "suspended"] {
        app.create(ACME, "Acme").await;
        if former == "suspended" {
            app.manage(&format!("POST /_/tenants/{ACME}/suspend"), "").await;
        }
        let before = app.services.seen().len();
        app.services.refuse("PUT /_/files/", 409);
        app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
        until(&app, "undone").await;
        let expected = calls(&[
            "PUT /_/users/tenants/ACME/removal",
            "PUT /_/files/tenants/ACME/removal",
            "DELETE /_/files/tenants/ACME/removal",
            "DELETE /_/users/tenants/ACME/removal",
        ]);
        assert_eq!(app.services.seen()[before..], expected);
        assert_eq!(app.standing(ACME).await, former);
        let shown = app.manage(&format!("GET /_/tenants/{ACME}/offboarding"), "").await.json();
        assert_eq!(shown["last_error"], json!("files refused: It keeps them"));
    }
    // And later it succeeds.
    app.services.accept();
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    until(&app, "done").await;
    let history = app.history(ACME).await;
    assert_eq!(history.iter().filter(|line| line.contains("offboarding_undone tenants")).count(), 2);
    assert_eq!(history.last().unwrap(), "tenants.tenant.deleted tenants");
}

#[tokio::test]
async fn a_refusal_undoes_everything_on_both() {
    on_both(a_refusal_undoes_everything).await;
}

#[tokio::test]
async fn a_preparation_that_only_fails_is_repeated_and_then_undone() {
    let app = TestApp::new().await;
    app.create(ACME, "Acme").await;
    app.services.refuse("PUT /_/users/", 503);
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    harness::eventually_async("it is repeated", async || {
        app.clock.advance_seconds(1);
        app.services.seen().len() > 1
    })
    .await;
    assert_eq!(app.standing(ACME).await, "offboarding");
    harness::eventually_async("it is undone", async || {
        app.clock.advance_seconds(60);
        phase(&app).await == "undone"
    })
    .await;
    let prepared = app.services.seen().iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!((prepared, app.standing(ACME).await), (10, "active".to_owned()));
}

#[tokio::test]
async fn a_removal_that_fails_is_repeated_and_never_undone() {
    let app = TestApp::new().await;
    app.create(ACME, "Acme").await;
    let removal = format!("DELETE /_/files/tenants/{ACME}");
    app.services.refuse(&removal, 409);
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    harness::eventually_async("it is repeated more often than a preparation", async || {
        app.clock.advance_seconds(60);
        app.services.seen().iter().filter(|line| **line == removal).count() > 12
    })
    .await;
    let shown = app.manage(&format!("GET /_/tenants/{ACME}/offboarding"), "").await.json();
    assert_eq!((&shown["phase"], &shown["step"]), (&json!("removing"), &json!(1)));
    app.services.accept();
    harness::eventually_async("it ends", async || {
        app.clock.advance_seconds(60);
        phase(&app).await == "done"
    })
    .await;
    let removals =
        app.services.seen().iter().filter(|line| line.ends_with(&format!("users/tenants/{ACME}"))).count();
    assert_eq!(removals, 1, "a recorded step is not taken again");
}
