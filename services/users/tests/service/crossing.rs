//! Every operation is tried from another tenant: with the plain header of one tenant beside the identity of another,
//! and with a valid identity of another tenant.

use identity::Role;
use kit::testing::{Crossing, Example, TENANT, person};
use serde_json::{Value, json};

use crate::app::{Answer, DEMO, SESSION, TestApp};

const DEVICE: &str = "device-of-demo";

/// What the operations need to get behind their first checks.
const EXAMPLES: &[Example<'_>] = &[
    Example { operation: "GET /_/users", query: "?email=demo%40example.com", body: "" },
    Example { operation: "GET /_/users/{id}/likes", query: "?kind=book&ids[]=5", body: "" },
    Example { operation: "GET /_/users/{id}/histories", query: "?ids[]=5", body: "" },
    Example {
        operation: "GET /_/users/fcm-token",
        query: "?user-ids[]=00000000-0000-7000-8000-0000000000a0",
        body: "",
    },
    Example { operation: "PATCH /users/@me", query: "", body: r#"{"name":"Mallory"}"# },
    Example {
        operation: "POST /users",
        query: "",
        body: r#"{"name":"Mallory","handle":"mallory","email":"mallory@example.com"}"#,
    },
    Example {
        operation: "POST /users/@me/tastes",
        query: "",
        body: r#"{"kind":"book","book_id":5,"is_dislike":true}"#,
    },
    Example { operation: "DELETE /users/@me/tastes", query: "", body: r#"{"kind":"book","book_id":5}"# },
    Example {
        operation: "POST /users/@me/histories",
        query: "",
        body: r#"{"kind":"book","book_id":5,"page":9}"#,
    },
    Example { operation: "DELETE /users/@me/histories", query: "", body: r#"{"kind":"book","book_id":5}"# },
];

/// What the person has: account, tastes, histories and notifications as the person reads them, and devices as the
/// notifications service does.
async fn has(app: &TestApp) -> Vec<Answer> {
    let mut all = Vec::new();
    for path in ["/users/@me", "/users/@me/tastes", "/users/@me/histories", "/users/@me/notifications"] {
        all.push(app.call(&format!("GET {path}"), &app.as_demo(), "").await);
    }
    let notifications = app.edge.service("notifications", "users");
    all.push(app.call(&format!("GET /_/users/fcm-token?user-ids[]={DEMO}"), &notifications, "").await);
    assert!(all.iter().all(|answer| answer.status == 200), "{all:?}");
    all
}

async fn post(app: &TestApp, line: &str, body: Value) {
    let answer = app.call(line, &app.as_demo(), &body.to_string()).await;
    assert_eq!(answer.status, 201, "{line} {body} {answer:?}");
}

async fn no_operation_is_crossed(app: TestApp) {
    post(&app, "POST /users/@me/tastes", json!({"kind": "book", "book_id": 5, "is_dislike": false})).await;
    post(&app, "POST /users/@me/histories", json!({"kind": "book", "book_id": 5, "page": 2})).await;
    let device = json!({"udid": "00000000-0000-4000-8000-00000000000a", "fcm_token": DEVICE});
    post(&app, "POST /users/@me/fcm-token", device).await;
    let before = has(&app).await;
    assert!(before.iter().any(|answer| answer.body.contains(DEVICE)), "{before:?}");
    let crossing = Crossing {
        documents: users::routes::documents(),
        router: &app.router,
        edge: &app.edge,
        service: "users",
        caller: "reports",
        person: person(DEMO, SESSION, Role::BOT),
        parameters: &[
            ("tenant", TENANT),
            ("key", DEMO),
            ("id", DEMO),
            ("old", "5"),
            ("new", "6"),
            ("kind", "book"),
            ("value", "5"),
        ],
        examples: EXAMPLES,
        unauthenticated: "Unauthoirzed",
        secrets: &["demo@example.com", DEVICE],
    };
    assert!(crossing.try_every_operation().await >= 20);
    assert_eq!(has(&app).await, before, "nothing of the person changed");
}

#[tokio::test]
async fn no_operation_is_crossed_on_sqlite() {
    no_operation_is_crossed(TestApp::new().await).await;
}

#[tokio::test]
async fn no_operation_is_crossed_on_postgresql() {
    let postgres = kit::testing::PrivatePostgres::start();
    no_operation_is_crossed(TestApp::on(Some(postgres.url())).await).await;
}
