//! Rows of tenants are made again of their histories.

use std::process::{Command, Output};

use events::store::{Appended, Fact, append};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::json;

use crate::app::{ACME, OTHER, TestApp, on_both};

/// Runs `tenants rebuild`.
fn command(app: &TestApp) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenants"));
    command.arg("rebuild").env("CUTOVER_HOME", app.home.path()).env_remove("DATABASE_URL");
    if let Some(url) = &app.settings.base.database_url {
        command.env("DATABASE_URL", url);
    }
    command.output().unwrap()
}

/// Runs `tenants rebuild`, and returns what it prints.
fn rebuild(app: &TestApp) -> String {
    let output = command(app);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

async fn lost_and_wrong_rows_are_made_again(app: TestApp) {
    app.create(ACME, "Acme").await;
    app.clock.advance_seconds(1);
    app.create(OTHER, "Zo\u{eb} Ltd").await;
    app.clock.advance_seconds(1);
    app.manage(&format!("POST /_/tenants/{ACME}/suspend"), r#"{"reason":"Unpaid"}"#).await;
    app.clock.advance_seconds(1);
    app.manage(&format!("POST /_/tenants/{ACME}/reinstate"), "").await;
    app.manage(&format!("POST /_/tenants/{OTHER}/suspend"), "").await;
    let listed = async || app.manage("GET /_/tenants", "").await.json();
    let before = listed().await;
    assert_eq!(before["tenants"].as_array().unwrap().len(), 2);
    assert_eq!(rebuild(&app), "2 tenants, 0 rows repaired");

    let database = app.database().await;
    let run = async |statement: &str| {
        database.execute_unprepared(statement).await.unwrap();
        assert_ne!(listed().await, before, "{statement}");
    };
    run("DELETE FROM tenants").await;
    assert_eq!(rebuild(&app), "2 tenants, 2 rows repaired");
    assert_eq!(listed().await, before);
    // Restored from an older copy, and changed by hand.
    run("UPDATE tenants SET version = 1, standing = 'active' WHERE version = 2").await;
    run("UPDATE tenants SET name = 'Other' WHERE version = 3").await;
    assert_eq!(rebuild(&app), "2 tenants, 2 rows repaired");
    assert_eq!(listed().await, before);
    assert_eq!(rebuild(&app), "2 tenants, 0 rows repaired");
    // The service goes on with the row.
    let suspended = app.manage(&format!("POST /_/tenants/{ACME}/suspend"), "").await;
    assert_eq!((suspended.status, suspended.json()["version"].as_i64()), (200, Some(4)));
    // The service writes no row without its history, so one that is ahead of it was changed by hand.
    run("UPDATE tenants SET version = 9, name = 'Other' WHERE version = 4").await;
    assert_eq!(rebuild(&app), "2 tenants, 1 rows repaired");
    let acme = app.manage(&format!("GET /_/tenants/{ACME}"), "").await.json();
    assert_eq!((&acme["version"], &acme["name"]), (&serde_json::json!(4), &serde_json::json!("Acme")));
}

#[tokio::test]
async fn lost_and_wrong_rows_are_made_again_on_both() {
    on_both(lost_and_wrong_rows_are_made_again).await;
}

/// The id of a deleted tenant must never mean another one, and a tenant that is being removed must not come back.
async fn tenants_that_are_gone_or_going_are_made_again_with_their_times(app: TestApp) {
    app.create(OTHER, "Other").await;
    app.create(ACME, "Acme").await;
    app.clock.advance_seconds(5);
    app.manage(&format!("DELETE /_/tenants/{OTHER}"), "").await;
    harness::eventually_async("it is deleted", async || app.standing(OTHER).await == "deleted").await;
    app.clock.advance_seconds(5);
    app.services.hold_after(Some(0));
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    app.services.held().await;
    let listed = async || app.manage("GET /_/tenants", "").await.json();
    let before = listed().await;
    let standings: Vec<_> =
        before["tenants"].as_array().unwrap().iter().map(|one| &one["standing"]).collect();
    assert_eq!(standings, ["deleted", "offboarding"]);
    let database = app.database().await;
    for (damage, repaired) in [
        ("DELETE FROM tenants", 2),
        ("UPDATE tenants SET created_at = updated_at", 2),
        ("UPDATE tenants SET updated_at = created_at", 2),
        ("UPDATE tenants SET standing = 'active' WHERE standing = 'deleted'", 1),
        ("UPDATE tenants SET standing = 'unknown'", 2),
    ] {
        database.execute_unprepared(damage).await.unwrap();
        assert_eq!(rebuild(&app), format!("2 tenants, {repaired} rows repaired"), "{damage}");
        assert_eq!(listed().await, before, "{damage}");
    }
    // The id is not free.
    assert_eq!(app.create(OTHER, "New").await.status, 409);
}

#[tokio::test]
async fn tenants_that_are_gone_or_going_are_made_again_with_their_times_on_both() {
    on_both(tenants_that_are_gone_or_going_are_made_again_with_their_times).await;
}

/// A row from an older copy, whose next version the history has already.
async fn a_change_that_its_history_cannot_take_changes_nothing(app: TestApp) {
    app.create(ACME, "Acme").await;
    app.manage(&format!("POST /_/tenants/{ACME}/suspend"), "").await;
    app.manage(&format!("POST /_/tenants/{ACME}/reinstate"), "").await;
    let database = app.database().await;
    let counted = async |table: &str| {
        let text =
            Statement::from_string(database.get_database_backend(), format!("SELECT count(*) FROM {table}"));
        database.query_one_raw(text).await.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap()
    };
    let history = app.history(ACME).await;
    let announced = counted("outbox_events").await;
    // Behind its history, and before it: neither a second version 2 nor a gap.
    for version in [1, 7] {
        database.execute_unprepared(&format!("UPDATE tenants SET version = {version}")).await.unwrap();
        for line in [format!("POST /_/tenants/{ACME}/suspend"), format!("DELETE /_/tenants/{ACME}")] {
            assert_eq!(app.manage(&line, "").await.status, 500, "{line} at {version}");
        }
        let tenant = app.manage(&format!("GET /_/tenants/{ACME}"), "").await.json();
        assert_eq!((&tenant["standing"], &tenant["version"]), (&json!("active"), &json!(version)));
        assert_eq!((counted("outbox_events").await, counted("offboardings").await), (announced, 0));
        assert_eq!(app.history(ACME).await, history);
    }
    database.execute_unprepared("UPDATE tenants SET version = 1").await.unwrap();
    assert_eq!(rebuild(&app), "1 tenants, 1 rows repaired");
    let suspended = app.manage(&format!("POST /_/tenants/{ACME}/suspend"), "").await;
    assert_eq!((suspended.status, suspended.json()["version"].as_i64()), (200, Some(4)));
}

#[tokio::test]
async fn a_change_that_its_history_cannot_take_changes_nothing_on_both() {
    on_both(a_change_that_its_history_cannot_take_changes_nothing).await;
}

async fn a_history_that_cannot_be_understood_is_named_and_its_row_stays(app: TestApp) {
    app.create(ACME, "Acme").await;
    let now = clock::Clock::now(&app.clock);
    let fact = |to: &str| Fact {
        kind: "tenants.tenant.suspended".parse().unwrap(),
        payload: json!({ "name": "Acme", "to": to }),
    };
    let database = app.database().await;
    let stream = format!("tenants.tenant:{ACME}");
    // The last event can be understood, and two before it cannot.
    let facts = [fact("asleep"), fact("awake"), fact("suspended")];
    assert_eq!(append(&database, &stream, 1, &facts, now).await.unwrap(), Appended::At(4));
    let failed = command(&app);
    let error = String::from_utf8(failed.stderr).unwrap();
    assert!(!failed.status.success() && failed.stdout.is_empty(), "{error}");
    for part in [&stream, "version 2", "asleep"] {
        assert!(error.contains(part), "{part:?} is missing in {error}");
    }
    assert!(!error.contains("awake"), "the first one is named: {error}");
    assert_eq!(app.standing(ACME).await, "active");
}

#[tokio::test]
async fn a_history_that_cannot_be_understood_is_named_and_its_row_stays_on_both() {
    on_both(a_history_that_cannot_be_understood_is_named_and_its_row_stays).await;
}

/// Streams are read page by page, 256 on each.
#[tokio::test]
async fn every_tenant_of_a_long_list_is_made_again() {
    let app = TestApp::new().await;
    let database = app.database().await;
    let now = clock::Clock::now(&app.clock);
    for number in 0..260 {
        let stream = format!("tenants.tenant:00000000-0000-7000-8000-{number:012}");
        let payload = json!({ "name": "Some", "to": "active" });
        let fact = Fact { kind: "tenants.tenant.created".parse().unwrap(), payload };
        append(&database, &stream, 0, &[fact], now).await.unwrap();
    }
    assert_eq!(rebuild(&app), "260 tenants, 260 rows repaired");
    let after = "00000000-0000-7000-8000-000000000255";
    let listed = app.manage(&format!("GET /_/tenants?after={after}"), "").await.json();
    assert_eq!(listed["tenants"].as_array().unwrap().len(), 4);
}
