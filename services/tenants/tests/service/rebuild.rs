//! Rows of tenants are made again of their histories.

use std::process::Command;

use sea_orm::ConnectionTrait as _;

use crate::app::{ACME, OTHER, TestApp, on_both};

/// Runs `tenants rebuild`, and returns what it prints.
fn rebuild(app: &TestApp) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenants"));
    command.arg("rebuild").env("CUTOVER_HOME", app.home.path()).env_remove("DATABASE_URL");
    if let Some(url) = &app.settings.base.database_url {
        command.env("DATABASE_URL", url);
    }
    let output = command.output().unwrap();
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
    // A row that is newer than the history that was read is another process's change, and stays.
    run("UPDATE tenants SET version = 9 WHERE version = 4").await;
    assert_eq!(rebuild(&app), "2 tenants, 0 rows repaired");
    assert_eq!(app.manage(&format!("GET /_/tenants/{ACME}"), "").await.json()["version"], 9);
}

#[tokio::test]
async fn lost_and_wrong_rows_are_made_again_on_both() {
    on_both(lost_and_wrong_rows_are_made_again).await;
}
