//! Push messages about what people are told, as rows of the outbox.

use broker_connection::Address;
use identity::Role;
use kit::testing::PrivatePostgres;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use users::settings::Settings;

use crate::app::{DEMO, DEV, TestApp};

/// With a broker that cannot be reached, so that rows wait.
async fn app(database_url: Option<String>) -> TestApp {
    let nowhere = Address::parse("amqp://guest:guest@127.0.0.1:9/%2f").unwrap();
    TestApp::with(database_url, |settings| Settings { broker: Some(nowhere), ..settings }).await
}

/// The events that wait, as JSON.
async fn waiting(app: &TestApp) -> Vec<Value> {
    let database = app.database().await;
    let text = "SELECT CAST(payload AS TEXT) FROM outbox_events WHERE kind = 'notification' ORDER BY id";
    let rows = database.query_all_raw(Statement::from_string(database.get_database_backend(), text)).await;
    let payload = |row: &sea_orm::QueryResult| row.try_get_by_index::<String>(0).unwrap();
    rows.unwrap().iter().map(|row| serde_json::from_str(&payload(row)).unwrap()).collect()
}

fn assert_follows_the_schema(data: &Value) {
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    let schema = serde_json::from_str(events::NOTIFICATION_SCHEMA).unwrap();
    compiler.add_resource("https://events.invalid/notification.schema.json", schema).unwrap();
    let index = compiler.compile("https://events.invalid/notification.schema.json", &mut schemas).unwrap();
    let fault = schemas.validate(data, index).err().map(|error| error.to_string());
    assert_eq!(fault, None, "{data}");
}

async fn each_device_of_a_person_who_is_told_gets_one_message(app: &TestApp) {
    let post = async |person: &str, line: &str, body: Value| {
        let identity = app.as_person(person, Role::NORMAL);
        assert_eq!(app.call(line, &identity, &body.to_string()).await.status, 201, "{line} {body}");
    };
    let keep = async |person: &str, token: &str| {
        post(person, "POST /users/@me/fcm-token", json!({ "token": token })).await;
    };
    keep(DEMO, "asleep for too long").await;
    keep(DEMO, "forgotten").await;
    app.clock.advance_seconds(31 * 24 * 3600);
    for (person, token) in [(DEMO, "phone"), (DEMO, "tablet"), (DEMO, "no token"), (DEV, "of-dev")] {
        keep(person, token).await;
    }
    // The same installation under another id of its device.
    let again = json!({ "udid": "00000000-0000-4000-8000-00000000000a", "fcm_token": "phone" });
    post(DEMO, "POST /users/@me/fcm-token", again).await;
    for (person, is_dislike) in [(DEMO, false), (DEV, true)] {
        let tag = json!({"kind": "book_tag", "tag_kind": "group", "tag_name": "some group", "is_dislike": is_dislike});
        post(person, "POST /users/@me/tastes", tag).await;
    }
    let book =
        json!({ "kind": "book", "book_id": 41, "book_tags": [["group", "some group"], ["misc", "new"]] });
    // A service that does not know whether its call arrived repeats it.
    for _ in 0..2 {
        let library = app.edge.service("library", "users");
        let answer = app.call("POST /_/users/notifications", &library, &book.to_string()).await;
        assert_eq!(answer.status, 201);
    }
    let events = waiting(app).await;
    for event in &events {
        assert_follows_the_schema(&event["data"]);
        assert_eq!(
            (&event["type"], &event["tenantId"], &event["source"]["service"]),
            (&json!("users.book.announced"), &json!(kit::testing::TENANT), &json!("users"))
        );
    }
    let mut devices: Vec<_> =
        events.iter().map(|event| event["data"]["push"]["device"].as_str().unwrap()).collect();
    devices.sort_unstable();
    assert_eq!(devices, ["phone", "tablet"]);
    let push = &events[0]["data"]["push"];
    assert_eq!((&push["title"], &push["body"]), (&json!("New book"), &json!("group: some group, misc: new")));
    assert_eq!(push["data"], json!({ "kind": "book", "book_id": "41" }));
}

#[tokio::test]
async fn each_device_gets_one_message_on_sqlite() {
    each_device_of_a_person_who_is_told_gets_one_message(&app(None).await).await;
}

/// A notification that could not be stored has no message, and the repeated announcement has one for each device.
#[tokio::test]
async fn a_message_is_stored_with_its_notification_or_not_at_all() {
    let postgres = PrivatePostgres::start();
    // The transaction fails at its very end.
    postgres
        .sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$");
    let app = app(Some(postgres.url())).await;
    let person = app.as_person(DEMO, Role::NORMAL);
    let tag = json!({"kind": "book_tag", "tag_kind": "group", "tag_name": "some group", "is_dislike": false});
    let token = json!({ "token": "phone" });
    for (line, body) in [("POST /users/@me/tastes", tag), ("POST /users/@me/fcm-token", token)] {
        assert_eq!(app.call(line, &person, &body.to_string()).await.status, 201);
    }
    let book = json!({ "kind": "book", "book_id": 41, "book_tags": [["group", "some group"]] }).to_string();
    let announce = async || {
        let library = app.edge.service("library", "users");
        app.call("POST /_/users/notifications", &library, &book).await.status
    };
    let trigger = "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON notifications_book DEFERRABLE INITIALLY DEFERRED \
                   FOR EACH ROW EXECUTE FUNCTION refuse()";
    postgres.sql(trigger);
    assert_eq!((announce().await, waiting(&app).await.len()), (500, 0));
    postgres.sql("DROP TRIGGER refuse ON notifications_book");
    assert_eq!((announce().await, waiting(&app).await.len()), (201, 1));
}

#[tokio::test]
async fn each_device_gets_one_message_on_postgresql() {
    let postgres = PrivatePostgres::start();
    each_device_of_a_person_who_is_told_gets_one_message(&app(Some(postgres.url())).await).await;
}
