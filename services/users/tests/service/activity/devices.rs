//! Push tokens: each belongs to the person who sent it last, and no tenant takes a device of another one.

use identity::Role;
use kit::testing::{PrivatePostgres, person};
use sea_orm::{ConnectionTrait as _, Statement, TransactionTrait as _};
use serde_json::{Value, json};

use crate::app::{DEMO, DEV, SESSION, TestApp};

const DEVICE: &str = "00000000-0000-4000-8000-00000000000a";

/// A person of another tenant.
const STRANGER: &str = "00000000-0000-7000-8000-0000000000a3";
const OTHER_TENANT: &str = "00000000-0000-7000-8000-000000000002";

async fn keep(app: &TestApp, of: &str, body: Value) {
    let mut caller = person(of, SESSION, Role::NORMAL);
    if of == STRANGER {
        caller.tenant = Some(OTHER_TENANT.parse().unwrap());
    }
    let answer = app.call("POST /users/@me/fcm-token", &app.sign(&caller), &body.to_string()).await;
    assert_eq!(answer.status, 201, "{body} {answer:?}");
}

/// The tokens of a person in the order of the alphabet.
async fn tokens(app: &TestApp, of: &str) -> Vec<String> {
    let notifications = app.edge.service("notifications", "users");
    let answer = app.call(&format!("GET /_/users/fcm-token?user-ids[]={of}"), &notifications, "").await;
    let mut tokens: Vec<String> = serde_json::from_str(&answer.body).unwrap();
    tokens.sort();
    tokens
}

async fn number_of_rows(app: &TestApp) -> i64 {
    let database = app.database().await;
    let text = "SELECT count(*) FROM fcm_token";
    let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), text)).await;
    database.close().await.unwrap();
    row.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn a_token_has_one_owner(app: &TestApp) {
    keep(app, DEMO, json!({"token": "shared"})).await;
    keep(app, DEV, json!({"token": "shared"})).await;
    assert_eq!((tokens(app, DEMO).await.len(), tokens(app, DEV).await), (0, vec!["shared".to_owned()]));
    keep(app, DEMO, json!({"udid": DEVICE, "fcm_token": "shared"})).await;
    assert_eq!((tokens(app, DEMO).await, tokens(app, DEV).await.len()), (vec!["shared".to_owned()], 0));
    // The same installation, which does not name its device any more.
    keep(app, DEMO, json!({"token": "shared"})).await;
    assert_eq!((tokens(app, DEMO).await, number_of_rows(app).await), (vec!["shared".to_owned()], 1));
}

async fn a_device_stays_in_its_tenant(app: &TestApp) {
    keep(app, DEMO, json!({"udid": DEVICE, "fcm_token": "of-demo"})).await;
    for token in ["theirs", "theirs", "newer"] {
        keep(app, STRANGER, json!({"udid": DEVICE, "fcm_token": token})).await;
        assert!(tokens(app, DEMO).await.contains(&"of-demo".to_owned()), "a stranger took the device");
        assert!(tokens(app, STRANGER).await.contains(&token.to_owned()));
    }
    assert_eq!(tokens(app, STRANGER).await, ["newer", "theirs"], "one row for each token");
    // The token shows that it is this telephone.
    keep(app, STRANGER, json!({"udid": DEVICE, "fcm_token": "of-demo"})).await;
    assert_eq!(tokens(app, DEMO).await, ["shared"]);
    assert_eq!(tokens(app, STRANGER).await, ["newer", "of-demo", "theirs"]);
    // A person who is gone has no devices.
    app.sql("DELETE FROM users WHERE email = 'suspended@example.com'").await;
    keep(app, DEV, json!({"udid": DEVICE, "fcm_token": "of-dev"})).await;
    assert_eq!(tokens(app, DEV).await, ["of-dev"]);
}

async fn both_names_of_a_token_are_read(app: &TestApp) {
    keep(app, DEV, json!({"fcm_token": "older name", "token": "named"})).await;
    keep(app, DEV, json!({"token": "named", "fcm_token": "older name"})).await;
    assert_eq!(tokens(app, DEV).await, ["named", "of-dev"]);
    for body in [json!({}), json!({"token": null}), json!({"udid": DEVICE})] {
        let answer =
            app.call("POST /users/@me/fcm-token", &app.as_person(DEV, Role::NORMAL), &body.to_string()).await;
        assert_eq!((answer.status, answer.body.as_str()), (400, "Json deserialize: missing field `token`"));
    }
}

async fn a_token_sent_by_two_at_once_has_one_owner(app: &TestApp) {
    for round in 0..10 {
        let before = number_of_rows(app).await;
        let body = || json!({"token": format!("at once {round}")});
        tokio::join!(keep(app, DEMO, body()), keep(app, DEV, body()));
        assert_eq!(number_of_rows(app).await, before + 1, "round {round}");
    }
}

/// The longest token that a client can send fits the index, and the index is what finds a token.
async fn a_token_is_found_by_an_index(app: &TestApp, plan: &[&str]) {
    let longest: String = (0..128).map(|_| uuid::Uuid::now_v7().simple().to_string()).collect();
    keep(app, DEV, json!({ "token": longest })).await;
    assert!(tokens(app, DEV).await.contains(&longest));
    let database = app.database().await;
    let transaction = database.begin().await.unwrap();
    let (last, before) = plan.split_last().unwrap();
    for statement in before {
        transaction.execute_unprepared(statement).await.unwrap();
    }
    let explain = format!("{last} DELETE FROM fcm_token WHERE fcm_token = 'shared'");
    let statement = Statement::from_string(database.get_database_backend(), explain);
    let lines = transaction.query_all_raw(statement).await.unwrap();
    let column = if before.is_empty() { "detail" } else { "QUERY PLAN" };
    let plan: Vec<String> = lines.iter().map(|line| line.try_get("", column).unwrap()).collect();
    assert!(plan.iter().any(|line| line.contains("users_fcm_token_token")), "{plan:?}");
    transaction.rollback().await.unwrap();
}

async fn all(app: TestApp, plan: &[&str]) {
    a_token_has_one_owner(&app).await;
    a_device_stays_in_its_tenant(&app).await;
    both_names_of_a_token_are_read(&app).await;
    a_token_sent_by_two_at_once_has_one_owner(&app).await;
    a_token_is_found_by_an_index(&app, plan).await;
}

#[tokio::test]
async fn each_token_and_each_device_has_one_owner_on_sqlite() {
    all(TestApp::new().await, &["EXPLAIN QUERY PLAN"]).await;
}

#[tokio::test]
async fn each_token_and_each_device_has_one_owner_on_postgresql() {
    let postgres = PrivatePostgres::start();
    // A table of a few rows is read as a whole otherwise.
    let plan = ["SET LOCAL enable_seqscan = off", "EXPLAIN"];
    all(TestApp::on(Some(postgres.url())).await, &plan).await;
}
