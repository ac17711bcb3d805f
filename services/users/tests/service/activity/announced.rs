//! Changes of tastes are announced, in the transaction of the change.

use broker_connection::Address;
use identity::Role;
use kit::testing::{PrivatePostgres, TENANT};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use users::settings::Settings;

use crate::app::{DEMO, DEV, TestApp};

/// With a broker that cannot be reached, so that rows wait.
async fn app(database_url: Option<String>) -> TestApp {
    let nowhere = Address::parse("amqp://guest:guest@127.0.0.1:9/%2f").unwrap();
    TestApp::with(database_url, |settings| Settings { broker: Some(nowhere), ..settings }).await
}

/// The people of each event, in the order of the events.
async fn announced(app: &TestApp) -> Vec<Value> {
    let database = app.database().await;
    let text = "SELECT CAST(payload AS TEXT) FROM outbox_events WHERE kind = 'event' ORDER BY id";
    let rows = database.query_all_raw(Statement::from_string(database.get_database_backend(), text)).await;
    database.close().await.unwrap();
    let event = |row: &sea_orm::QueryResult| {
        let event: Value = serde_json::from_str(&row.try_get_by_index::<String>(0).unwrap()).unwrap();
        assert_eq!((&event["type"], &event["tenantId"]), (&json!("users.taste.changed"), &json!(TENANT)));
        event["data"]["people"].clone()
    };
    rows.unwrap().iter().map(event).collect()
}

async fn every_change_of_tastes_is_one_event(app: TestApp) {
    let call = async |person: &str, line: &str, body: &str| {
        app.clock.advance_seconds(1);
        app.call(line, &app.as_person(person, Role::NORMAL), body).await.status
    };
    let dislike = r#"{"kind":"book","book_id":7,"is_dislike":true}"#;
    assert_eq!(call(DEMO, "POST /users/@me/tastes", dislike).await, 201);
    assert_eq!(announced(&app).await, [json!([DEMO])]);
    // What changes nothing announces nothing.
    assert!(call(DEMO, "POST /users/@me/tastes", dislike).await >= 400);
    assert_eq!(announced(&app).await.len(), 1);
    let like = r#"{"kind":"book","book_id":7,"is_dislike":false}"#;
    assert_eq!(call(DEMO, "POST /users/@me/tastes", like).await, 201, "the opposite");
    assert_eq!(call(DEV, "POST /users/@me/tastes", dislike).await, 201);
    assert_eq!(announced(&app).await[1..], [json!([DEMO]), json!([DEV])]);
    // A renewal moves the tastes of many people at once: one event.
    let library = app.edge.service("library", "users");
    app.clock.advance_seconds(1);
    assert!(app.call("PATCH /_/users/books/7/8", &library, "").await.status < 300);
    let mut both = [DEMO, DEV];
    both.sort_unstable();
    assert_eq!(announced(&app).await[3..], [json!(both)]);
    assert!(app.call("PATCH /_/users/books/7/8", &library, "").await.status < 300);
    assert_eq!(announced(&app).await.len(), 4, "there was nothing to move");
    let (forget, book) = ("DELETE /users/@me/tastes", r#"{"kind":"book","book_id":8}"#);
    assert!(call(DEMO, forget, book).await < 300);
    assert_eq!(announced(&app).await[4..], [json!([DEMO])]);
    call(DEMO, forget, book).await;
    assert_eq!(announced(&app).await.len(), 5);
}

#[tokio::test]
async fn every_change_of_tastes_is_one_event_on_sqlite() {
    every_change_of_tastes_is_one_event(app(None).await).await;
}

#[tokio::test]
async fn every_change_of_tastes_is_one_event_on_postgresql() {
    let postgres = PrivatePostgres::start();
    every_change_of_tastes_is_one_event(app(Some(postgres.url())).await).await;
}
