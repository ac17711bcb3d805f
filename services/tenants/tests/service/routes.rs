//! Managers create, suspend, reinstate and list tenants.

use kit::testing::TENANT;
use serde_json::json;

use crate::app::{ACME, Answer, OTHER, TestApp, on_both};

async fn a_tenant_from_creation_to_deletion(app: TestApp) {
    let created = app.create(ACME, " Zoe\u{308} Ltd ").await;
    let expected = json!({
        "id": ACME, "name": "Zo\u{eb} Ltd", "standing": "active", "version": 1,
        "created_at": "2026-11-20T00:00:00.000Z", "updated_at": "2026-11-20T00:00:00.000Z",
    });
    assert_eq!((created.status, created.json()), (201, expected.clone()));
    // A repeated request finds its tenant, and another tenant's id is refused.
    let again = app.create(ACME, "Zo\u{eb} Ltd").await;
    assert_eq!((again.status, again.json()), (200, expected));
    assert_eq!(app.create(ACME, "Other").await, Answer::text(409, "Already exists tenant"));

    app.clock.advance_seconds(1);
    let change = |verb: &'static str, body: &'static str| {
        let line = format!("POST /_/tenants/{ACME}/{verb}");
        let app = &app;
        async move { app.manage(&line, body).await }
    };
    let suspended = change("suspend", r#"{"reason":"Unpaid"}"#).await.json();
    assert_eq!((&suspended["standing"], &suspended["version"]), (&json!("suspended"), &json!(2)));
    assert_eq!(suspended["updated_at"], "2026-11-20T00:00:01.000Z");
    assert_eq!(change("suspend", "").await.json(), suspended, "a repeated change changes nothing");
    let active = change("reinstate", "").await.json();
    assert_eq!((&active["standing"], &active["version"]), (&json!("active"), &json!(3)));
    assert_eq!(change("reinstate", "{}").await.json(), active);

    let why = r#"{"reason":"The contract ended"}"#;
    let deleted = app.manage(&format!("DELETE /_/tenants/{ACME}"), why).await;
    assert_eq!((deleted.status, deleted.json()["standing"].clone()), (202, json!("offboarding")));
    harness::eventually_async("the tenant is deleted", async || app.standing(ACME).await == "deleted").await;
    for verb in ["suspend", "reinstate"] {
        assert_eq!(change(verb, "").await, Answer::text(409, "the tenant is deleted"));
    }
    assert_eq!(app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await.status, 202);
    let expected = [
        "tenants.tenant.created admin",
        "tenants.tenant.suspended admin",
        "tenants.tenant.reinstated admin",
        "tenants.tenant.offboarding_started admin",
        "tenants.tenant.deleted tenants",
    ];
    assert_eq!(app.history(ACME).await, expected);
    let history = app.manage(&format!("GET /_/tenants/{ACME}/history"), "").await.json();
    let reasons: Vec<_> =
        history.as_array().unwrap().iter().map(|entry| entry["change"]["reason"].as_str()).collect();
    assert_eq!(reasons, [None, Some("Unpaid"), None, Some("The contract ended"), Some("The contract ended")]);
}

#[tokio::test]
async fn a_tenant_lives_from_creation_to_deletion_on_both() {
    on_both(a_tenant_from_creation_to_deletion).await;
}

async fn a_change_is_in_the_history_with_its_author(app: TestApp) {
    app.create(ACME, "Acme").await;
    let mut headers = http::HeaderMap::new();
    headers.insert("x-request-id", "0192d3c0-0000-7000-8000-0000000000aa".parse().unwrap());
    let line = format!("POST /_/tenants/{ACME}/suspend");
    app.send(&line, &app.admin(), r#"{"reason":"Unpaid invoice"}"#, &headers).await;
    let history = app.manage(&format!("GET /_/tenants/{ACME}/history?after=1&limit=1"), "").await.json();
    let expected = json!([{
        "version": 2, "kind": "tenants.tenant.suspended", "at": "2026-11-20T00:00:00.000Z",
        "change": {
            "name": "Acme", "from": "active", "to": "suspended", "version": 2, "by": "admin",
            "reason": "Unpaid invoice", "requestId": "0192d3c0-0000-7000-8000-0000000000aa",
        },
    }]);
    assert_eq!(history, expected);
    let database = app.database().await;
    use sea_orm::ConnectionTrait as _;
    // The audit has the same change, in an event of its own.
    let rows = async |kind: &str| {
        let text =
            format!("SELECT CAST(payload AS TEXT) FROM outbox_events WHERE kind = '{kind}' ORDER BY id");
        let statement = sea_orm::Statement::from_string(database.get_database_backend(), text);
        let rows = database.query_all_raw(statement).await.unwrap();
        let read = |row: &sea_orm::QueryResult| row.try_get_by_index::<String>(0).unwrap();
        rows.iter().map(|row| serde_json::from_str(&read(row)).unwrap()).collect::<Vec<serde_json::Value>>()
    };
    let (announced, audited) = (rows("event").await, rows("audit").await);
    assert_eq!((announced.len(), audited.len()), (2, 2));
    let find = |events: &[serde_json::Value]| {
        events.iter().find(|event| event["type"] == "tenants.tenant.suspended").unwrap().clone()
    };
    let (announced, audited) = (find(&announced), find(&audited));
    assert_eq!((&audited["data"], &audited["tenantId"]), (&expected[0]["change"], &json!(ACME)));
    assert_eq!(audited["metadata"]["causationId"], announced["id"]);
    // Both belong to the request.
    for event in [&announced, &audited] {
        assert_eq!(event["metadata"]["correlationId"], "0192d3c0-0000-7000-8000-0000000000aa", "{event}");
    }
    assert_ne!(audited["id"], announced["id"]);
    // No program can change the history.
    for statement in ["DELETE FROM stored_events", "UPDATE stored_events SET kind = 'a.b.c'"] {
        assert!(database.execute_unprepared(statement).await.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn a_change_is_in_the_append_only_history_on_both() {
    on_both(a_change_is_in_the_history_with_its_author).await;
}

async fn pages_have_every_tenant_once(app: TestApp) {
    let ids: Vec<String> = (10..17).map(|n| format!("00000000-0000-7000-8000-0000000000{n}")).collect();
    for id in ids.iter().rev() {
        assert_eq!(app.create(id, "Same").await.status, 201, "names need not differ");
    }
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = app.manage(&format!("GET /_/tenants?limit=3{after}"), "").await.json();
        let page_ids = page["tenants"].as_array().unwrap();
        assert!(page_ids.len() <= 3);
        found.extend(page_ids.iter().map(|tenant| tenant["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(found, ids);
    assert_eq!(app.manage("GET /_/tenants", "").await.json()["tenants"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn pages_have_every_tenant_once_on_both() {
    on_both(pages_have_every_tenant_once).await;
}

async fn changes_at_once_all_count(app: TestApp) {
    app.create(ACME, "Acme").await;
    let mut tasks = tokio::task::JoinSet::new();
    let app = std::sync::Arc::new(app);
    for n in 0..8 {
        let app = std::sync::Arc::clone(&app);
        let verb = if n % 2 == 0 { "suspend" } else { "reinstate" };
        tasks.spawn(async move { app.manage(&format!("POST /_/tenants/{ACME}/{verb}"), "").await });
    }
    while let Some(answer) = tasks.join_next().await {
        let answer = answer.unwrap();
        assert!([200, 409].contains(&answer.status), "{answer:?}");
    }
    let tenant = app.manage(&format!("GET /_/tenants/{ACME}"), "").await.json();
    // `history` checks that no version is missing or double.
    assert_eq!(tenant["version"], json!(app.history(ACME).await.len()));
}

#[tokio::test]
async fn changes_at_once_all_count_on_both() {
    on_both(changes_at_once_all_count).await;
}

#[tokio::test]
async fn a_service_of_one_tenant_sees_that_one_alone_on_every_route() {
    let app = TestApp::new().await;
    for id in [TENANT, OTHER] {
        app.create(id, "Some").await;
        assert_eq!(app.manage(&format!("DELETE /_/tenants/{id}"), "").await.status, 202);
    }
    let own = app.edge.service_of(TENANT, "reports", "tenants");
    for rest in ["", "/history", "/offboarding"] {
        let of = |id: &str| format!("GET /_/tenants/{id}{rest}");
        assert_eq!(app.call(&of(TENANT), &own, "").await.status, 200, "{rest}");
        assert_eq!(app.call(&of(OTHER), &own, "").await, Answer::text(404, "Not found tenant"), "{rest}");
    }
    let listed = app.call("GET /_/tenants", &own, "").await.json();
    assert_eq!(listed["tenants"].as_array().unwrap().len(), 1);
    assert_eq!(listed["tenants"][0]["id"], TENANT);
    // It changes none, not even its own.
    for line in [
        "POST /_/tenants".to_owned(),
        format!("POST /_/tenants/{TENANT}/suspend"),
        format!("POST /_/tenants/{TENANT}/reinstate"),
        format!("DELETE /_/tenants/{TENANT}"),
    ] {
        assert_eq!(app.call(&line, &own, "").await, Answer::text(404, "Not found"), "{line}");
    }
}
