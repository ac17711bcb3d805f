//! Callers who may not, and requests that are not valid.

use identity::Role;
use kit::testing::person;
use serde_json::json;

use crate::app::{ACME, Answer, TestApp, on_both};

fn changes() -> [String; 4] {
    [
        "POST /_/tenants".to_owned(),
        format!("POST /_/tenants/{ACME}/suspend"),
        format!("POST /_/tenants/{ACME}/reinstate"),
        format!("DELETE /_/tenants/{ACME}"),
    ]
}

#[tokio::test]
async fn only_a_manager_changes_tenants_and_only_services_see_them() {
    let app = TestApp::new().await;
    app.create(ACME, "Acme").await;
    let subject = "00000000-0000-7000-8000-0000000000a0";
    let a_person = app.edge.person(&person(subject, subject, Role(255)), "tenants");
    let reports = app.edge.service("reports", "tenants");
    let elsewhere = app.edge.service("admin", "users");
    let reads = ["", &format!("/{ACME}"), &format!("/{ACME}/history"), &format!("/{ACME}/offboarding")]
        .map(|rest| format!("GET /_/tenants{rest}"));
    for line in changes().iter().chain(&reads) {
        assert_eq!(app.call(line, "", "").await, Answer::text(401, "Unauthorized"), "{line}");
        assert_eq!(app.call(line, &elsewhere, "").await, Answer::text(401, "Unauthorized"), "{line}");
        assert_eq!(app.call(line, &a_person, "").await, Answer::text(404, "Not found"), "{line}");
    }
    let body = r#"{"name":"New"}"#;
    for line in changes() {
        // Whatever they send: only a manager learns what a body has to be.
        let long = "x".repeat(kit::surface::MAX_BODY_BYTES + 1);
        for body in [body, "", "{", "[]", r#"{"reason":1}"#, &long] {
            let answer = app.call(&line, &reports, body).await;
            assert_eq!(answer, Answer::text(403, "Permission denied"), "{line}: {body:.20}");
        }
    }
    assert_eq!(app.call(&reads[1], &reports, "").await.status, 200);
    assert_eq!(app.standing(ACME).await, "active");
}

async fn hostile_input_is_refused(app: TestApp) {
    app.create(ACME, "Acme").await;
    let long = "x".repeat(101);
    let reason = "x".repeat(501);
    let bodies = [
        json!({}).to_string(),
        json!({ "name": "" }).to_string(),
        json!({ "name": " " }).to_string(),
        json!({ "name": "a\u{0}" }).to_string(),
        json!({ "name": "De\u{202e}mo" }).to_string(),
        json!({ "name": long }).to_string(),
        json!({ "name": 1 }).to_string(),
        json!({ "name": "a", "reason": reason }).to_string(),
        json!({ "name": "a", "id": "acme" }).to_string(),
        json!({ "name": "a", "id": "00000000-0000-0000-0000-000000000000" }).to_string(),
        json!({ "name": "a", "standing": "deleted" }).to_string(),
        "{".to_owned(),
        "[".repeat(10_000),
        "\"\\ud800\"".to_owned(),
    ];
    for body in &bodies {
        let answer = app.manage("POST /_/tenants", body).await;
        assert_eq!((answer.status, answer.content_type.clone()), (400, None), "{body}: {answer:?}");
    }
    let typed: http::HeaderMap =
        [(http::header::CONTENT_TYPE, "text/plain".parse().unwrap())].into_iter().collect();
    let answer = app.send("POST /_/tenants", &app.admin(), r#"{"name":"a"}"#, &typed).await;
    assert_eq!(answer, Answer::text(400, "Send the body as application/json"));
    let longest = format!(r#"{{"name":"{}"}}"#, "x".repeat(kit::surface::MAX_BODY_BYTES));
    assert_eq!(app.manage("POST /_/tenants", &longest).await.status, 413);
    for query in
        ["limit=0", "limit=101", "limit=-1", "limit=x", "after=acme", "after=", "x=1", "limit=1&limit=2"]
    {
        let answer = app.manage(&format!("GET /_/tenants?{query}"), "").await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        let history = app.manage(&format!("GET /_/tenants/{ACME}/history?{query}"), "").await;
        assert_eq!(history.status, 400, "{query}: {history:?}");
    }
    assert_eq!(app.manage(&format!("GET /_/tenants/{ACME}/history?after=-1"), "").await.status, 400);
    let beyond = app.manage(&format!("GET /_/tenants/{ACME}/history?after={}", i64::MAX), "").await;
    assert_eq!((beyond.status, beyond.body.as_str()), (200, "[]"));
    for id in ["acme", "%00", "%ff", "00000000-0000-0000-0000-000000000000", &"x".repeat(4_000)] {
        for (method, rest) in [("GET", ""), ("DELETE", ""), ("POST", "/suspend"), ("GET", "/history")] {
            let answer = app.manage(&format!("{method} /_/tenants/{id}{rest}"), "").await;
            assert_eq!(answer, Answer::text(404, "Not found tenant"), "{method} {id}{rest}");
        }
    }
    assert_eq!(app.history(ACME).await, ["tenants.tenant.created admin"]);
}

#[tokio::test]
async fn hostile_input_is_refused_on_both() {
    on_both(hostile_input_is_refused).await;
}
