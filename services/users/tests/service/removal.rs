//! The tenants service removes all people of a tenant, and no other person.

use broker_connection::Address;
use identity::Role;
use kit::testing::{PrivatePostgres, TENANT};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::json;
use users::settings::Settings;

use crate::app::{Answer, DEMO, SESSION, TestApp};

/// A person of [`OTHER`], in the seed.
const SUSPENDED: &str = "00000000-0000-7000-8000-0000000000a3";

const OTHER: &str = "00000000-0000-7000-8000-000000000002";

async fn a_tenants_people_are_removed(app: TestApp) {
    let tenants = app.edge.service("tenants", "users");
    let call = async |line: &str| app.call(&line.replace("TENANT", TENANT), &tenants, "").await;
    let there = async |key: &str| {
        app.call(&format!("GET /_/users/{key}"), &app.edge.service("auth", "users"), "").await.status == 200
    };
    // One request removes no person.
    let refused = Answer::text(409, "Prepare the removal first");
    assert_eq!(call("DELETE /_/users/tenants/TENANT").await, refused);
    for _ in 0..2 {
        assert_eq!(call("PUT /_/users/tenants/TENANT/removal").await, Answer::text(204, ""));
    }
    for _ in 0..2 {
        assert_eq!(call("DELETE /_/users/tenants/TENANT/removal").await, Answer::text(204, ""));
    }
    assert_eq!(call("DELETE /_/users/tenants/TENANT").await, refused);
    assert!(there("demo@example.com").await);
    call("PUT /_/users/tenants/TENANT/removal").await;
    for _ in 0..2 {
        assert_eq!(call("DELETE /_/users/tenants/TENANT").await, Answer::text(204, ""), "also repeated");
    }
    assert!(!there("demo@example.com").await);
    assert!(there("suspended@example.com").await, "of another tenant");
    assert_eq!(app.call("GET /users/@me", &app.as_demo(), "").await, Answer::text(404, "Not found user"));
}

#[tokio::test]
async fn a_tenants_people_are_removed_on_both() {
    a_tenants_people_are_removed(TestApp::new().await).await;
    let postgres = PrivatePostgres::start();
    a_tenants_people_are_removed(TestApp::on(Some(postgres.url())).await).await;
}

/// The rule gives people of the legacy backend their tenant when they are read for the first time.
async fn people_whom_the_rule_puts_there_are_removed(database_url: Option<String>) {
    let rule = format!("example.com={TENANT}, other.test={OTHER}").parse().unwrap();
    let app = TestApp::with(database_url, |settings| Settings { tenant_rule: Some(rule), ..settings }).await;
    let (gone, stays) = ("00000000-0000-7000-8000-0000000000d1", "00000000-0000-7000-8000-0000000000d2");
    app.legacy_adds(gone, "Gone", "gone@example.com").await;
    app.legacy_adds(stays, "Stays", "stays@other.test").await;
    let tenants = app.edge.service("tenants", "users");
    for line in ["PUT /_/users/tenants/TENANT/removal", "DELETE /_/users/tenants/TENANT"] {
        assert_eq!(app.call(&line.replace("TENANT", TENANT), &tenants, "").await.status, 204);
    }
    let auth = app.edge.service("auth", "users");
    for (id, status) in [(gone, 404), (stays, 200)] {
        assert_eq!(app.call(&format!("GET /_/users/{id}"), &auth, "").await.status, status, "{id}");
    }
}

#[tokio::test]
async fn people_whom_the_rule_puts_there_are_removed_on_both() {
    people_whom_the_rule_puts_there_are_removed(None).await;
    let postgres = PrivatePostgres::start();
    people_whom_the_rule_puts_there_are_removed(Some(postgres.url())).await;
}

/// The tables with rows of people, and what people are told.
const TABLES: [&str; 8] = [
    "likes_book",
    "likes_book_tag",
    "histories_book",
    "notifications_book",
    "notifications_book_tag",
    "fcm_token",
    "outbox_events WHERE kind = 'notification'",
    "outbox_events WHERE kind = 'event'",
];

/// The types of the events for the audit.
async fn audited(app: &TestApp) -> Vec<String> {
    let database = app.database().await;
    let text = "SELECT CAST(payload AS TEXT) FROM outbox_events WHERE kind = 'audit' ORDER BY id";
    let rows = database.query_all_raw(Statement::from_string(database.get_database_backend(), text)).await;
    database.close().await.unwrap();
    let event = |row: &sea_orm::QueryResult| {
        let event: serde_json::Value =
            serde_json::from_str(&row.try_get_by_index::<String>(0).unwrap()).unwrap();
        assert_eq!((&event["tenantId"], &event["data"]["by"]), (&json!(TENANT), &json!("tenants")));
        assert!(event["data"]["requestId"].is_string(), "{event}");
        format!("{} {}", event["type"].as_str().unwrap(), event["data"]["people"])
    };
    rows.unwrap().iter().map(event).collect()
}

/// The rows of each of [`TABLES`].
async fn rows(app: &TestApp) -> Vec<i64> {
    let database = app.database().await;
    let mut rows = Vec::new();
    for table in TABLES {
        let count = format!("SELECT CAST(count(*) AS BIGINT) FROM {table}");
        let count = Statement::from_string(database.get_database_backend(), count);
        rows.push(database.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap());
    }
    database.close().await.unwrap();
    rows
}

/// One person of each of two tenants has a row of each kind, and one tenant leaves.
async fn nothing_of_a_tenants_people_stays(database_url: Option<String>) {
    // Nothing listens there, so messages wait in the outbox.
    let nowhere = Address::parse("amqp://guest:guest@127.0.0.1:9/%2f").unwrap();
    let with = |settings| Settings { broker: Some(nowhere), ..settings };
    let app = TestApp::with(database_url, with).await;
    for (tenant, person, token) in [(TENANT, DEMO, "phone"), (OTHER, SUSPENDED, "of-another")] {
        let person = identity::Person {
            tenant: Some(tenant.parse().unwrap()),
            ..kit::testing::person(person, SESSION, Role::NORMAL)
        };
        let identity = app.sign(&person);
        for (line, body) in [
            ("tastes", json!({"kind": "book", "book_id": 7, "is_dislike": false})),
            (
                "tastes",
                json!({"kind": "book_tag", "tag_kind": "group", "tag_name": "some group", "is_dislike": false}),
            ),
            ("histories", json!({"kind": "book", "book_id": 7, "page": 3})),
            ("fcm-token", json!({ "token": token })),
        ] {
            let answer = app.call(&format!("POST /users/@me/{line}"), &identity, &body.to_string()).await;
            assert!([201, 204].contains(&answer.status), "{line}: {answer:?}");
        }
    }
    let library = app.edge.service("library", "users");
    let book = json!({ "kind": "book", "book_id": 41, "book_tags": [["group", "some group"]] }).to_string();
    assert_eq!(app.call("POST /_/users/notifications", &library, &book).await.status, 201);
    // Two tastes of each person changed.
    assert_eq!(rows(&app).await, [2, 2, 2, 2, 2, 2, 2, 4], "rows of each person");

    let tenants = app.edge.service("tenants", "users");
    let removal = "PUT /_/users/tenants/TENANT/removal";
    let take_back = "DELETE /_/users/tenants/TENANT/removal";
    let remove = "DELETE /_/users/tenants/TENANT";
    // A repetition changes nothing, and is not in the audit.
    for line in [removal, removal, take_back, take_back, removal, remove, remove] {
        app.clock.advance_seconds(1);
        assert_eq!(app.call(&line.replace("TENANT", TENANT), &tenants, "").await.status, 204);
    }
    assert_eq!(rows(&app).await, [1, 1, 1, 1, 1, 1, 1, 2], "the rows of the person of the other tenant");
    let done = audited(&app).await;
    let people: usize = done.last().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(people >= 1);
    let prepared = "users.removal.prepared null".to_owned();
    let taken_back = "users.removal.taken_back null".to_owned();
    assert_eq!(done, [prepared.clone(), taken_back, prepared, format!("users.removal.carried_out {people}")]);
}

#[tokio::test]
async fn nothing_of_a_tenants_people_stays_on_both() {
    nothing_of_a_tenants_people_stays(None).await;
    let postgres = PrivatePostgres::start();
    nothing_of_a_tenants_people_stays(Some(postgres.url())).await;
}

#[tokio::test]
async fn no_other_caller_removes_people() {
    let app = TestApp::new().await;
    let lines =
        ["PUT /_/users/tenants/T/removal", "DELETE /_/users/tenants/T/removal", "DELETE /_/users/tenants/T"];
    for line in lines.map(|line| line.replace("/T", &format!("/{TENANT}"))) {
        assert_eq!(app.call(&line, "", "").await, Answer::text(401, "Unauthoirzed"), "{line}");
        let bot = app.as_person(crate::app::BOT, Role::BOT);
        assert_eq!(app.call(&line, &bot, "").await, Answer::text(404, "Not found"), "{line}");
        let auth = app.edge.service("auth", "users");
        assert_eq!(app.call(&line, &auth, "").await, Answer::text(403, "Permission Denied"), "{line}");
        // A service that acts for one tenant removes none, not even its own.
        for tenant in [TENANT, OTHER] {
            let acting = app.edge.service_of(tenant, "tenants", "users");
            assert_eq!(app.call(&line, &acting, "").await, Answer::text(404, "Not found"), "{line}");
        }
    }
    let tenants = app.edge.service("tenants", "users");
    for id in ["acme", "%00", "%ff"] {
        let answer = app.call(&format!("DELETE /_/users/tenants/{id}"), &tenants, "").await;
        assert_eq!(answer, Answer::text(404, "Not found user"), "{id}");
    }
}
