//! What other services ask and announce.

use identity::Role;
use kit::testing::{PrivatePostgres, TENANT};
use serde_json::{Value, json};

use crate::app::{Answer, DEMO, DEV, TestApp};

const OTHER_TENANT: &str = "00000000-0000-7000-8000-000000000002";

async fn like(app: &TestApp, person: &str, subject: Value) {
    let identity = app.as_person(person, Role::NORMAL);
    let answer = app.call("POST /users/@me/tastes", &identity, &subject.to_string()).await;
    assert_eq!(answer.status, 201, "{subject} {answer:?}");
}

fn tag(name: &str, is_dislike: bool) -> Value {
    json!({"kind": "book_tag", "tag_kind": "group", "tag_name": name, "is_dislike": is_dislike})
}

async fn notified(app: &TestApp, person: &str) -> Value {
    let identity = app.as_person(person, Role::NORMAL);
    let answer = app.call("GET /users/@me/notifications", &identity, "").await;
    serde_json::from_str(&answer.body).unwrap()
}

async fn who_likes_a_tag_is_told_once(app: &TestApp) {
    let library = app.edge.service("library", "users");
    like(app, DEMO, tag("some group", false)).await;
    like(app, DEV, tag("some group", true)).await;
    let book = json!({
        "kind": "book", "book_id": 41,
        "book_tags": [["misc", "new"], ["group", "some group"], ["misc", "new"], ["misc", "a\u{0}"]],
    });
    for _ in 0..2 {
        app.clock.advance_seconds(1);
        let library = app.edge.service("library", "users");
        let answer = app.call("POST /_/users/notifications", &library, &book.to_string()).await;
        assert_eq!(answer, Answer::text(201, ""));
    }
    let identity = app.as_person(DEMO, Role::NORMAL);
    let told = app.call("GET /users/@me/notifications", &identity, "").await.body;
    let expected = r#"[{"kind":"book","book_id":41,"book_tags":[["misc","new"],["group","some group"]],"created_at":"2026-11-20T00:00:01.000Z"}]"#;
    assert_eq!(told, expected);
    assert_eq!(notified(app, DEV).await, json!([]), "a dislike does not count as a like");
    // A person, a service of one tenant and no caller do not announce.
    for (caller, status) in
        [(app.as_demo(), 404), (app.edge.service_of(TENANT, "library", "users"), 404), (String::new(), 401)]
    {
        let answer = app.call("POST /_/users/notifications", &caller, &book.to_string()).await;
        assert_eq!(answer.status, status);
    }
    for body in [
        json!({}),
        json!({"kind": "book", "book_id": 0, "book_tags": []}),
        json!({"kind": "book", "book_id": 1, "book_tags": [["misc"]]}),
        json!({"kind": "book", "book_id": 1, "book_tags": vec![["misc", "x"]; 201]}),
    ] {
        let answer = app.call("POST /_/users/notifications", &library, &body.to_string()).await;
        assert_eq!(answer.status, 400, "{body}");
    }
}

async fn a_renewed_book_takes_everything_along(app: &TestApp) {
    like(app, DEMO, json!({"kind": "book", "book_id": 3, "is_dislike": true})).await;
    like(app, DEV, json!({"kind": "book", "book_id": 3, "is_dislike": false})).await;
    like(app, DEV, json!({"kind": "book", "book_id": 4, "is_dislike": true})).await;
    let read = r#"{"kind":"book","book_id":3,"page":2}"#;
    assert_eq!(app.call("POST /users/@me/histories", &app.as_demo(), read).await.status, 201);
    let library = app.edge.service("library", "users");
    let book = json!({"kind": "book", "book_id": 3, "book_tags": [["group", "some group"]]}).to_string();
    assert_eq!(app.call("POST /_/users/notifications", &library, &book).await.status, 201);
    for _ in 0..2 {
        let answer = app.call("PATCH /_/users/books/3/4", &library, "").await;
        assert_eq!(answer, Answer::text(204, ""));
    }
    assert_eq!(app.call("PATCH /_/users/books/3/3", &library, "").await.status, 204);
    let demo = app.as_demo();
    let taste = app.call("GET /users/@me/tastes/book/4", &demo, "").await;
    assert!(taste.body.contains(r#""is_dislike":true"#), "{taste:?}");
    assert_eq!(app.call("GET /users/@me/tastes/book/3", &demo, "").await.status, 404);
    let history = app.call("GET /users/@me/histories/book/4", &demo, "").await;
    assert!(history.body.contains(r#""page":2"#), "{history:?}");
    let told = notified(app, DEMO).await;
    assert!(told.as_array().unwrap().iter().any(|one| one["book_id"] == 4), "{told}");
    assert!(told.as_array().unwrap().iter().all(|one| one["book_id"] != 3), "{told}");
    // The one about the new book was there before, and stays.
    let dev = app.as_person(DEV, Role::NORMAL);
    let taste = app.call("GET /users/@me/tastes/book/4", &dev, "").await;
    assert!(taste.body.contains(r#""is_dislike":true"#), "{taste:?}");
    for path in ["0/4", "3/0", "x/4", "3/99999999999"] {
        let answer = app.call(&format!("PATCH /_/users/books/{path}"), &library, "").await;
        assert_eq!(answer.status, 400, "{path}");
    }
}

async fn services_look_up_within_their_tenant(app: &TestApp) {
    let library = app.edge.service("library", "users");
    let ask = async |path: &str| app.call(&format!("GET /_/users/{path}"), &library, "").await;
    let of = |what: &str| format!("{DEMO}/{what}");
    let found: Value = serde_json::from_str(&ask(&of("likes?ids[]=4&ids[]=5")).await.body).unwrap();
    assert_eq!((found[0]["book_id"].clone(), found.as_array().unwrap().len()), (json!(4), 1), "{found}");
    let tags = "likes?tags[0][0]=group&tags[0][1]=some+group&tags[1][0]=misc&tags[1][1]=%00";
    let found: Value = serde_json::from_str(&ask(&of(tags)).await.body).unwrap();
    assert_eq!((found[0]["tag_name"].clone(), found.as_array().unwrap().len()), (json!("some group"), 1));
    assert_eq!(ask(&of("dislikes")).await.body, r#"{"books":[4],"tags":[]}"#);
    assert!(ask(&of("histories?ids[]=4")).await.body.contains(r#""page":2"#));
    assert_eq!(ask(&of("histories")).await.body, "[]");
    let missing = Answer::text(404, "Not found user");
    for what in ["likes", "dislikes", "histories"] {
        assert_eq!(ask(&format!("x/{what}")).await, missing);
        assert_eq!(ask(&format!("00000000-0000-7000-8000-0000000000ff/{what}")).await, missing);
        let line = format!("GET /_/users/{DEMO}/{what}");
        let own = app.edge.service_of(TENANT, "reports", "users");
        assert_eq!(app.call(&line, &own, "").await.status, 200);
        let other = app.edge.service_of(OTHER_TENANT, "reports", "users");
        assert_eq!(app.call(&line, &other, "").await, missing);
        assert_eq!(app.call(&line, &app.as_demo(), "").await, Answer::text(404, "Not found"));
        assert_eq!(app.call(&line, "", "").await.status, 401);
    }
}

async fn devices_belong_to_the_person_who_signed_in_last(app: &TestApp) {
    let keep = async |person: &str, body: Value| {
        let identity = app.as_person(person, Role::NORMAL);
        app.call("POST /users/@me/fcm-token", &identity, &body.to_string()).await
    };
    let tokens = async |person: &str| {
        let notifications = app.edge.service("notifications", "users");
        let line = format!("GET /_/users/fcm-token?user-ids[]={person}");
        let answer = app.call(&line, &notifications, "").await;
        serde_json::from_str::<Vec<String>>(&answer.body).unwrap()
    };
    let device = "00000000-0000-4000-8000-00000000000a";
    assert_eq!(keep(DEMO, json!({"udid": device, "fcm_token": "one"})).await, Answer::text(201, ""));
    assert_eq!(keep(DEMO, json!({"udid": device, "token": "two"})).await.status, 201);
    assert_eq!(tokens(DEMO).await, ["two"]);
    assert_eq!(keep(DEV, json!({"udid": device, "fcm_token": "three"})).await.status, 201);
    assert_eq!((tokens(DEMO).await.len(), tokens(DEV).await), (0, vec!["three".to_owned()]));
    // Without a device the token names it.
    for _ in 0..2 {
        assert_eq!(keep(DEMO, json!({"token": "four"})).await.status, 201);
    }
    assert_eq!(tokens(DEMO).await, ["four"]);
    for number in 0..25 {
        app.clock.advance_seconds(1);
        assert_eq!(keep(DEMO, json!({"token": format!("t{number}")})).await.status, 201);
    }
    let kept = tokens(DEMO).await;
    assert!(
        kept.len() == 20 && kept.contains(&"t24".to_owned()) && !kept.contains(&"t3".to_owned()),
        "{kept:?}"
    );
    let other = app.edge.service_of(OTHER_TENANT, "reports", "users");
    let line = format!("GET /_/users/fcm-token?user-ids[]={DEMO}");
    assert_eq!(app.call(&line, &other, "").await.body, "[]");
    for body in [
        json!({"udid": "x", "fcm_token": "a"}),
        json!({"udid": device}),
        json!({"token": ""}),
        json!({"token": "a\u{0}"}),
        json!({"token": "x".repeat(4097)}),
    ] {
        let answer = keep(DEMO, body).await;
        assert!(answer.status == 400 && !answer.body.contains("xxxx"), "{answer:?}");
    }
    app.clock.advance_seconds(31 * 24 * 3600);
    assert_eq!(tokens(DEMO).await.len(), 0, "the app is gone");
}

async fn all(app: TestApp) {
    who_likes_a_tag_is_told_once(&app).await;
    a_renewed_book_takes_everything_along(&app).await;
    services_look_up_within_their_tenant(&app).await;
    devices_belong_to_the_person_who_signed_in_last(&app).await;
}

#[tokio::test]
async fn services_ask_and_announce_on_sqlite() {
    all(TestApp::new().await).await;
}

#[tokio::test]
async fn services_ask_and_announce_on_postgresql() {
    let postgres = PrivatePostgres::start();
    all(TestApp::on(Some(postgres.url())).await).await;
}
