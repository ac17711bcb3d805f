//! Two workers, of two processes, and one offboarding: each step belongs to one of them, and a worker that was too slow
//! records nothing.

use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use tenants::offboarding::run::Offboarder;

use crate::app::{ACME, OTHER, TestApp, on_both};
use crate::steps::worker;

/// A worker of another process on the same database. It takes a step when the test says so.
async fn other_worker(app: &TestApp) -> Offboarder {
    worker(app, &["users", "files"]).await
}

async fn shown(app: &TestApp, id: &str) -> Value {
    app.manage(&format!("GET /_/tenants/{id}/offboarding"), "").await.json()
}

/// The calls about the tenant `id`.
fn calls(app: &TestApp, id: &str) -> Vec<String> {
    app.services
        .seen()
        .into_iter()
        .filter(|line| line.contains(id))
        .map(|line| line.replace(id, "T"))
        .collect()
}

async fn a_worker_that_was_too_slow_records_nothing(app: TestApp) {
    let other = other_worker(&app).await;
    app.create(ACME, "Acme").await;
    // The worker of this process waits for the first call.
    app.services.hold_after(Some(0));
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    app.services.held().await;
    app.services.hold_after(None);
    // A call may take twenty seconds, and its record some more.
    for seconds in [0, 25] {
        app.clock.advance_seconds(seconds);
        assert!(!other.turn().await.unwrap(), "the step is leased");
    }
    app.clock.advance_seconds(6);
    while other.turn().await.unwrap() {}
    let expected = [
        "PUT /_/users/tenants/T/removal",
        "PUT /_/users/tenants/T/removal",
        "PUT /_/files/tenants/T/removal",
        "DELETE /_/users/tenants/T",
        "DELETE /_/files/tenants/T",
    ];
    assert_eq!(calls(&app, ACME), expected);
    let done = shown(&app, ACME).await;
    assert_eq!(done["phase"], "done");
    // The call ends at last. What its worker does next shows that it has dealt with the answer.
    app.services.release();
    app.create(OTHER, "Other").await;
    app.manage(&format!("DELETE /_/tenants/{OTHER}"), "").await;
    harness::eventually_async("the slow worker goes on", async || {
        app.clock.advance_seconds(1);
        shown(&app, OTHER).await["phase"] == "done"
    })
    .await;
    assert_eq!((shown(&app, ACME).await, calls(&app, ACME)), (done, expected.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn a_worker_that_was_too_slow_records_nothing_on_both() {
    on_both(a_worker_that_was_too_slow_records_nothing).await;
}

/// Workers that found the same offboarding at the same moment, and of whom one took it over.
async fn workers_that_meet_take_each_step_once(app: TestApp) {
    let busy = "00000000-0000-7000-8000-000000000099";
    app.create(busy, "Busy").await;
    app.services.hold_after(Some(0));
    app.manage(&format!("DELETE /_/tenants/{busy}"), "").await;
    app.services.held().await;
    app.services.hold_after(None);
    // The worker of this process waits for an answer, so the others have the rest for themselves.
    let ids: Vec<String> = (10..16).map(|n| format!("00000000-0000-7000-8000-0000000000{n}")).collect();
    for id in &ids {
        app.create(id, "Some").await;
        app.manage(&format!("DELETE /_/tenants/{id}"), "").await;
    }
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let worker = other_worker(&app).await;
        workers.spawn(async move { while worker.turn().await.unwrap() {} });
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
    let expected = [
        "PUT /_/users/tenants/T/removal",
        "PUT /_/files/tenants/T/removal",
        "DELETE /_/users/tenants/T",
        "DELETE /_/files/tenants/T",
    ];
    for id in &ids {
        assert_eq!(calls(&app, id), expected, "{id}");
        assert_eq!(app.standing(id).await, "deleted", "{id}");
    }
}

#[tokio::test]
async fn workers_that_meet_take_each_step_once_on_both() {
    on_both(workers_that_meet_take_each_step_once).await;
}

#[tokio::test]
async fn a_step_that_failed_waits_before_it_is_repeated() {
    let app = TestApp::new().await;
    let other = other_worker(&app).await;
    app.create(ACME, "Acme").await;
    app.services.refuse("PUT /_/users/", 503);
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    harness::eventually_async("it fails", async || shown(&app, ACME).await["attempts"] == 1).await;
    assert!(!other.turn().await.unwrap(), "it waits");
    assert_eq!(calls(&app, ACME).len(), 1);
}

#[tokio::test]
async fn what_cannot_be_taken_back_yet_is_taken_back_later() {
    let app = TestApp::new().await;
    app.create(ACME, "Acme").await;
    app.services.refuse("PUT /_/files/", 409);
    let taken_back = format!("DELETE /_/users/tenants/{ACME}/removal");
    app.services.refuse(&taken_back, 409);
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    harness::eventually_async("it is repeated more often than a preparation", async || {
        app.clock.advance_seconds(60);
        app.services.seen().iter().filter(|line| **line == taken_back).count() > 12
    })
    .await;
    // The tenant does not come back while a service may still remove its data.
    let undoing = shown(&app, ACME).await;
    assert_eq!((&undoing["phase"], &undoing["step"]), (&json!("undoing"), &json!(1)));
    assert_eq!(app.standing(ACME).await, "offboarding");
    app.services.accept();
    harness::eventually_async("it ends", async || {
        app.clock.advance_seconds(60);
        shown(&app, ACME).await["phase"] == "undone"
    })
    .await;
    assert_eq!(app.standing(ACME).await, "active");
}

#[tokio::test]
async fn the_failures_of_one_step_do_not_count_for_the_next() {
    let app = TestApp::new().await;
    app.create(ACME, "Acme").await;
    let failed = async |call: &str| {
        harness::eventually_async("it fails", async || {
            app.clock.advance_seconds(60);
            app.services.seen().iter().filter(|line| line.starts_with(call)).count() >= 6
        })
        .await;
        app.services.accept();
    };
    app.services.refuse("PUT /_/users/", 503);
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    failed("PUT /_/users/").await;
    app.services.refuse("PUT /_/files/", 503);
    failed("PUT /_/files/").await;
    harness::eventually_async("it ends", async || {
        app.clock.advance_seconds(60);
        shown(&app, ACME).await["phase"] != "preparing" && app.standing(ACME).await != "offboarding"
    })
    .await;
    let done = shown(&app, ACME).await;
    assert_eq!((&done["phase"], &done["last_error"]), (&json!("done"), &Value::Null));
}

/// Otherwise a worker that still waits for a call of the undone offboarding could record it in the new one.
#[tokio::test]
async fn a_later_offboarding_goes_on_counting_the_workers_that_took_it() {
    let app = TestApp::new().await;
    app.create(ACME, "Acme").await;
    let claim = async || -> i64 {
        let database = app.database().await;
        let text = Statement::from_string(database.get_database_backend(), "SELECT claim FROM offboardings");
        database.query_one_raw(text).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    };
    app.services.refuse("PUT /_/users/", 409);
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    harness::eventually_async("it is undone", async || shown(&app, ACME).await["phase"] == "undone").await;
    let undone = claim().await;
    app.services.accept();
    app.services.hold_after(Some(0));
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    app.services.held().await;
    assert!(claim().await > undone);
}
