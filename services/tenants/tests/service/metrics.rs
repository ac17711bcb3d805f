//! What Prometheus reads at the service's own address.

use axum::body::{Body, to_bytes};
use harness::{Redis, eventually_async};
use http::Request;
use tower::ServiceExt as _;

use crate::app::{ACME, OTHER, TestApp, on_both};

async fn metrics(app: &TestApp) -> String {
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = app.running.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

/// Waits until all of `lines` are shown.
async fn until(app: &TestApp, lines: &[&str]) {
    eventually_async("the counts are shown", async || {
        // Pauses after failures pass at once.
        app.clock.advance_seconds(1);
        let shown = metrics(app).await;
        lines.iter().all(|wanted| shown.lines().any(|line| line == *wanted))
    })
    .await;
}

async fn steps_and_deliveries_are_counted(app: TestApp) {
    app.create(ACME, "Acme").await;
    app.create(OTHER, "Other").await;
    app.services.refuse("PUT /_/files/", 409);
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    until(
        &app,
        &[
            r#"tenants_offboarding_steps_total{result="done",step="prepare"} 1"#,
            r#"tenants_offboarding_steps_total{result="undone",step="prepare"} 1"#,
            r#"tenants_offboarding_steps_total{result="done",step="take-back"} 2"#,
            r#"tenants_offboarding_steps_total{result="done",step="restore"} 1"#,
            r#"tenants_offboardings{phase="undone"} 1"#,
        ],
    )
    .await;
    app.services.accept();
    app.services.refuse("DELETE /_/users/", 503);
    app.manage(&format!("DELETE /_/tenants/{OTHER}"), "").await;
    eventually_async("a removal failed", async || {
        app.clock.advance_seconds(1);
        metrics(&app).await.contains(r#"{result="failed",step="remove"}"#)
    })
    .await;
    app.services.accept();
    until(
        &app,
        &[
            r#"tenants_offboarding_steps_total{result="done",step="remove"} 2"#,
            r#"tenants_offboarding_steps_total{result="done",step="delete"} 1"#,
            r#"tenants_offboardings{phase="done"} 1"#,
            // Without a broker the service is its own bus: two created, two suspended, one restored, one deleted, each for other
            // services and for the audit.
            r#"tenants_attempts_total{kind="event",result="delivered"} 12"#,
            r#"tenants_outbox_rows{kind="event",state="waiting"} 0"#,
            r#"tenants_outbox_oldest_seconds{kind="event"} 0"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn steps_and_deliveries_are_counted_on_both() {
    on_both(steps_and_deliveries_are_counted).await;
}

#[tokio::test]
async fn what_cannot_leave_is_shown_with_its_age() {
    let mut redis = Redis::start();
    let address = validity::open(&redis.url()).unwrap();
    redis.process().signal(harness::Signal::Kill);
    let with = |settings| tenants::settings::Settings { redis: Some(address), ..settings };
    let app = TestApp::with(None, with).await;
    app.create(ACME, "Acme").await;
    app.clock.advance_seconds(90);
    let shown = metrics(&app).await;
    assert!(shown.contains(r#"tenants_outbox_rows{kind="invalidation",state="waiting"} 1"#), "{shown}");
    assert!(shown.contains(r#"tenants_outbox_oldest_seconds{kind="invalidation"} 90"#), "{shown}");
    redis.restart();
    until(
        &app,
        &[
            r#"tenants_outbox_rows{kind="invalidation",state="waiting"} 0"#,
            r#"tenants_attempts_total{kind="invalidation",result="delivered"} 1"#,
        ],
    )
    .await;
}
