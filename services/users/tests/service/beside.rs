//! The legacy backend works on the same database, and adds people who have neither handle nor tenant.

use identity::Role;
use kit::testing::{PrivatePostgres, TENANT, person};
use users::settings::Settings;

use crate::app::{Answer, SESSION, TestApp};

const ANN: &str = "00000000-0000-7000-8000-00000000c001";
const DEMO_TOO: &str = "00000000-0000-7000-8000-00000000c002";
const ODD: &str = "00000000-0000-7000-8000-00000000c003";
const OTHER_TENANT: &str = "00000000-0000-7000-8000-000000000002";

async fn with_rule(database_url: Option<String>) -> TestApp {
    let rule = format!("example.com={TENANT},*={OTHER_TENANT}");
    TestApp::with(database_url, |settings| Settings { tenant_rule: Some(rule.parse().unwrap()), ..settings })
        .await
}

fn field<'a>(value: &'a serde_json::Value, name: &str) -> &'a str {
    value[name].as_str().expect(name)
}

async fn looked_up(app: &TestApp, key: &str) -> serde_json::Value {
    let answer = app.call(&format!("GET /_/users/{key}"), &app.edge.service("auth", "users"), "").await;
    assert_eq!(answer.status, 200, "{key}: {answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

async fn a_person_of_the_legacy_is_whole(app: &TestApp) {
    app.legacy_adds(ANN, "Ann", "ann@example.com").await;
    // Another person chose this name as their handle before.
    app.legacy_adds(DEMO_TOO, "demo", "demo2@example.com").await;
    app.legacy_adds(ODD, "Zoe\u{308} ", "zoe@elsewhere.test").await;
    let ann = looked_up(app, "ann@example.com").await;
    assert_eq!((field(&ann, "handle"), ann["tenant_id"].clone()), ("Ann", serde_json::Value::Null));
    assert_eq!(field(&ann, "updated_at"), "2026-11-20T18:18:24.962Z", "nothing of the legacy's changes");
    let demo = looked_up(app, DEMO_TOO).await;
    assert_eq!((field(&demo, "name"), field(&demo, "handle")), ("demo", "demo-c002"));
    let odd = looked_up(app, "zoe@elsewhere.test").await;
    assert_eq!((field(&odd, "name"), field(&odd, "handle")), ("Zoe\u{308} ", "Zo\u{eb}"));
    // The same again, and not another handle.
    assert_eq!(looked_up(app, DEMO_TOO).await, demo);
    // Without a tenant the edge opens no session, and so gives no answer.
    let own = app.call("GET /users/@me", &app.as_person(ANN, Role::NORMAL), "").await;
    assert_eq!(own, Answer::text(404, "Not found user"));
}

async fn a_rule_names_the_tenant_at_the_first_read(app: &TestApp) {
    let (new, elsewhere) = ("00000000-0000-7000-8000-00000000c011", "00000000-0000-7000-8000-00000000c012");
    app.legacy_adds(new, "New", "new@example.com").await;
    app.legacy_adds(elsewhere, "Elsewhere", "e@elsewhere.test").await;
    // Straight to their own account, which no service has looked up yet.
    let own = app.call("GET /users/@me", &app.as_person(new, Role::NORMAL), "").await;
    assert_eq!(own.status, 200, "{own:?}");
    // Not in this tenant by the rule, so not there.
    let own = app.call("GET /users/@me", &app.as_person(elsewhere, Role::NORMAL), "").await;
    assert_eq!(own, Answer::text(404, "Not found user"));
    let mut person = person(elsewhere, SESSION, Role::NORMAL);
    person.tenant = Some(OTHER_TENANT.parse().unwrap());
    assert_eq!(app.call("GET /users/@me", &app.sign(&person), "").await.status, 200);
    let reports = app.edge.service_of(TENANT, "reports", "users");
    let found = app.call("GET /_/users/new@example.com", &reports, "").await;
    assert!(found.body.contains(TENANT), "{found:?}");
    let missed = app.call("GET /_/users/e@elsewhere.test", &reports, "").await;
    assert_eq!(missed, Answer::text(404, "Not found user"));
}

async fn a_handle_is_nobody_elses(app: &TestApp) {
    let (first, second) = ("00000000-0000-7000-8000-00000000c021", "00000000-0000-7000-8000-00000000c022");
    app.legacy_adds(first, "Wanted", "wanted@example.com").await;
    // Not read yet, and theirs all the same.
    let taken = app.call("PATCH /users/@me", &app.as_demo(), r#"{"handle":"Wanted"}"#).await;
    assert_eq!(taken, Answer::text(409, "Already exist user"));
    assert_eq!(field(&looked_up(app, first).await, "handle"), "Wanted");
    // A person of the legacy changes their own, before anybody looked them up.
    app.legacy_adds(second, "Second", "second@example.com").await;
    let person = app.as_person(second, Role::NORMAL);
    assert_eq!(app.call("PATCH /users/@me", &person, r#"{"name":"Third"}"#).await.status, 204);
    let me = app.call("GET /users/@me", &person, "").await;
    assert!(me.body.contains(r#""name":"Third","handle":"Second""#), "{me:?}");
}

async fn requests_at_the_same_time_agree(app: &TestApp) {
    let id = "00000000-0000-7000-8000-00000000c031";
    app.legacy_adds(id, "Many", "many@example.com").await;
    let all = futures_util::future::join_all((0..8).map(|_| looked_up(app, id))).await;
    assert!(all.iter().all(|one| one == &all[0]), "{all:?}");
    assert_eq!(field(&all[0], "handle"), "Many");
}

async fn all(database_url: Option<String>) {
    a_person_of_the_legacy_is_whole(&TestApp::on(database_url.clone()).await).await;
    let app = with_rule(database_url).await;
    a_rule_names_the_tenant_at_the_first_read(&app).await;
    a_handle_is_nobody_elses(&app).await;
    requests_at_the_same_time_agree(&app).await;
}

#[tokio::test]
async fn people_added_by_the_legacy_are_whole_on_sqlite() {
    all(None).await;
}

#[tokio::test]
async fn people_added_by_the_legacy_are_whole_on_postgresql() {
    let postgres = PrivatePostgres::start();
    all(Some(postgres.url())).await;
}
