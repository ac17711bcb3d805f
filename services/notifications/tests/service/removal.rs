//! The tenants service removes all messages of a tenant, and no other.

use kit::testing::{PrivatePostgres, TENANT};
use serde_json::{Value, json};

use crate::app::{TestApp, mail, push};

const OTHER: &str = "00000000-0000-7000-8000-000000000002";

async fn queue(app: &TestApp, key: &str, tenant: &str, kind: &str, message: &Value) -> u16 {
    let body = json!({ "idempotencyKey": key, "message": { "tenantId": tenant, kind: message } });
    app.call("POST /_/notifications/messages", &body.to_string()).await.0
}

/// The rows of the outbox that name `tenant`, and all marks of sendings.
async fn kept(app: &TestApp, tenant: &str) -> (i64, i64) {
    let rows =
        format!("SELECT count(*) FROM outbox_events WHERE lower(CAST(payload AS text)) LIKE '%{tenant}%'");
    (app.number(&rows).await, app.number("SELECT count(*) FROM sendings").await)
}

async fn a_tenants_messages_are_removed(app: &TestApp) {
    let tenants = app.edge.service("tenants", "notifications");
    let call = async |line: &str| app.call_as(&tenants, &line.replace("TENANT", TENANT), "").await;
    // Of each tenant one message that is sent, one whose device is gone, one that is dead, and one that waits.
    for tenant in [TENANT, OTHER] {
        assert_eq!(queue(app, &format!("sent-{tenant}"), tenant, "mail", &mail("a@example.com")).await, 202);
    }
    app.delivered(2).await;
    for (count, tenant) in [(1, TENANT), (2, OTHER)] {
        // The device is gone, which this service announces to others.
        let gone = json!({ "error": { "status": "NOT_FOUND", "details": [{
            "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "UNREGISTERED" }] } });
        app.providers.answer_next(404, &[], &gone);
        let device = push(&format!("device-of-{tenant}"));
        assert_eq!(queue(app, &format!("gone-{tenant}"), tenant, "push", &device).await, 202);
        app.delivered(2 + i64::try_from(count).unwrap()).await;
        app.providers.answer_next(
            400,
            &[("x-amzn-errortype", "MessageRejected")],
            &json!({ "message": "no" }),
        );
        assert_eq!(queue(app, &format!("dead-{tenant}"), tenant, "mail", &mail("a@example.com")).await, 202);
        app.dead(count).await;
    }
    for (waiting, tenant) in [(1, TENANT.to_uppercase()), (2, OTHER.to_owned())] {
        app.providers.answer_next(429, &[("retry-after", "90")], &json!({}));
        assert_eq!(queue(app, &format!("waits-{tenant}"), &tenant, "push", &push("device")).await, 202);
        app.waits_again(waiting).await;
    }
    // Four messages, and the event about the device. The message without a device has no mark.
    assert_eq!((kept(app, TENANT).await, kept(app, OTHER).await), ((5, 6), (5, 6)));

    let refused = (409, "Prepare the removal first".to_owned());
    assert_eq!(call("DELETE /_/notifications/tenants/TENANT").await, refused, "one request removes nothing");
    for line in
        ["PUT /_/notifications/tenants/TENANT/removal", "DELETE /_/notifications/tenants/TENANT/removal"]
    {
        for _ in 0..2 {
            assert_eq!(call(line).await, (204, String::new()), "{line}");
        }
    }
    assert_eq!(
        call("DELETE /_/notifications/tenants/TENANT").await,
        refused,
        "the preparation was taken back"
    );
    assert_eq!(kept(app, TENANT).await, (5, 6));
    call("PUT /_/notifications/tenants/TENANT/removal").await;
    for _ in 0..2 {
        let removed = call("DELETE /_/notifications/tenants/TENANT").await;
        assert_eq!(removed, (204, String::new()), "also repeated");
    }
    assert_eq!((kept(app, TENANT).await, kept(app, OTHER).await), ((0, 3), (5, 3)));
    app.dead(1).await;

    // Nothing is stored for it any more.
    let late = async |tenant: &str| queue(app, "late", tenant, "push", &push("device")).await;
    assert_eq!((late(&TENANT.to_uppercase()).await, late(OTHER).await), (400, 202));
    assert_eq!(kept(app, TENANT).await.0, 0);
}

#[tokio::test]
async fn a_tenants_messages_are_removed_on_both() {
    a_tenants_messages_are_removed(&TestApp::on(None).await).await;
    let postgres = PrivatePostgres::start();
    a_tenants_messages_are_removed(&TestApp::on(Some(postgres.url())).await).await;
}

#[tokio::test]
async fn no_other_caller_removes_messages() {
    let app = TestApp::on(None).await;
    for line in [
        "PUT /_/notifications/tenants/TENANT/removal",
        "DELETE /_/notifications/tenants/TENANT/removal",
        "DELETE /_/notifications/tenants/TENANT",
    ] {
        let line = line.replace("TENANT", TENANT);
        assert_eq!(app.call(&line, "").await, (403, "Permission Denied".to_owned()), "{line}");
        assert_eq!(app.call_as("", &line, "").await.0, 401, "{line}");
        let acting = app.edge.service_of(TENANT, "tenants", "notifications");
        assert_eq!(app.call_as(&acting, &line, "").await.0, 404, "{line}");
    }
    let tenants = app.edge.service("tenants", "notifications");
    for id in ["acme", "%00", "%ff"] {
        let line = format!("DELETE /_/notifications/tenants/{id}");
        assert_eq!(app.call_as(&tenants, &line, "").await.0, 404, "{id}");
    }
}
