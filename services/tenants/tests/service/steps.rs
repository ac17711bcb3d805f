//! What counts as a step that is done, whose step it is, and what an offboarding keeps for its later steps.

use std::sync::Arc;

use events::{Outbox, Source};
use kit::testing::platform_service;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use tenants::metrics::Steps;
use tenants::offboarding::participants::Participants;
use tenants::offboarding::run::Offboarder;
use tenants::settings::Settings;
use tenants::standing::Change;
use tenants::tenant::Author;
use tenants::tenants::{News, Tenants};
use tokio::sync::Notify;

use crate::app::{ACME, Answer, OTHER, TestApp, on_both};

/// The tenants in the database of `app`, in a process that has the services `participants`.
async fn elsewhere(app: &TestApp, participants: &[&str]) -> Tenants {
    let clock = Arc::new(app.clock.clone());
    let news = News {
        events: Outbox::new(clock.clone()),
        invalidations: None,
        source: Source { service: "tenants".to_owned(), instance: "other".to_owned() },
        offboardings: Arc::new(Notify::new()),
        participants: participants.iter().map(|name| name.parse().unwrap()).collect(),
    };
    Tenants::new(app.database().await, clock, news)
}

/// A worker of that process. It takes a step when the test says so.
pub(crate) async fn worker(app: &TestApp, participants: &[&str]) -> Offboarder {
    let clock = Arc::new(app.clock.clone());
    let peer = app.settings.base.peer("tenants", &app.settings.service_edge_url, clock).unwrap();
    let tenants = elsewhere(app, participants).await;
    Offboarder::new(tenants, Participants::new(peer), "tenants".parse().unwrap(), Steps::new().unwrap())
}

async fn shown(app: &TestApp, id: &str) -> Value {
    app.manage(&format!("GET /_/tenants/{id}/offboarding"), "").await.json()
}

/// The calls since the number `from`, without the tenant.
fn calls(app: &TestApp, from: usize) -> Vec<String> {
    app.services.seen()[from..].iter().map(|line| line.replace(ACME, "T")).collect()
}

async fn number(app: &TestApp, column: &str) -> i64 {
    let database = app.database().await;
    let text = format!("SELECT {column} FROM offboardings");
    let statement = Statement::from_string(database.get_database_backend(), text);
    database.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn until(app: &TestApp, phase: &str) {
    harness::eventually_async(phase, async || {
        app.clock.advance_seconds(60);
        shown(app, ACME).await["phase"] == phase
    })
    .await;
}

/// 404 may be a service of another version, or a path that the edge does not have: the data may all be there.
async fn an_answer_that_is_neither_success_nor_a_refusal_leaves_the_step_undone(app: TestApp) {
    app.create(ACME, "Acme").await;
    for (call, status, step) in [
        ("PUT /_/users/", 404, 0),
        ("PUT /_/files/", 303, 1),
        ("DELETE /_/users/", 404, 2),
        ("DELETE /_/files/", 500, 1),
    ] {
        app.services.refuse(call, status);
        if step == 0 {
            app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
        }
        harness::eventually_async("the step fails", async || {
            // The pause after the failure of the step before passes at once.
            app.clock.advance_seconds(1);
            let expected = format!("did not do it: it answered {status}");
            shown(&app, ACME).await["last_error"].as_str().is_some_and(|error| error.ends_with(&expected))
        })
        .await;
        let now = shown(&app, ACME).await;
        let phase = if call == "DELETE /_/files/" { "removing" } else { "preparing" };
        assert_eq!((&now["phase"], &now["step"]), (&json!(phase), &json!(step)), "{call}");
        app.services.accept();
    }
    until(&app, "done").await;
}

#[tokio::test]
async fn an_answer_that_is_neither_success_nor_a_refusal_leaves_the_step_undone_on_both() {
    on_both(an_answer_that_is_neither_success_nor_a_refusal_leaves_the_step_undone).await;
}

#[tokio::test]
async fn a_call_without_an_answer_is_not_done() {
    let with = |settings| Settings { service_edge_url: "http://127.0.0.1:1".to_owned(), ..settings };
    let app = TestApp::with(None, with).await;
    app.create(ACME, "Acme").await;
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    harness::eventually_async("it fails", async || shown(&app, ACME).await["attempts"] == 1).await;
    let now = shown(&app, ACME).await;
    assert_eq!((&now["phase"], &now["step"]), (&json!("preparing"), &json!(0)));
    assert!(now["last_error"].as_str().unwrap().starts_with("users did not do it: "), "{now}");
}

async fn a_manager_changes_nothing_during_an_offboarding(app: TestApp) {
    app.create(ACME, "Acme").await;
    // During the first preparation, which can be undone, and during the last removal, which cannot.
    app.services.hold_after(Some(0));
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    for next in [Some(2), None] {
        app.services.held().await;
        for verb in ["suspend", "reinstate"] {
            let answer = app.manage(&format!("POST /_/tenants/{ACME}/{verb}"), "").await;
            assert_eq!(answer, Answer::text(409, "the tenant is offboarding"), "{verb}");
        }
        let again = app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await.json();
        assert_eq!((&again["standing"], &again["version"]), (&json!("offboarding"), &json!(2)));
        app.services.hold_after(next);
        app.services.release();
    }
    until(&app, "done").await;
    assert_eq!(calls(&app, 0).len(), 4, "a repeated request begins nothing anew");
    assert_eq!(app.standing(ACME).await, "deleted");
}

#[tokio::test]
async fn a_manager_changes_nothing_during_an_offboarding_on_both() {
    on_both(a_manager_changes_nothing_during_an_offboarding).await;
}

/// Another list of services after a restart would give the number of a step another meaning.
#[tokio::test]
async fn the_services_of_an_offboarding_are_those_of_its_beginning() {
    let app = TestApp::new().await;
    let other = worker(&app, &["mails", "users", "files"]).await;
    app.create(ACME, "Acme").await;
    app.services.hold_after(Some(1));
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    app.services.held().await;
    app.services.hold_after(None);
    app.clock.advance_seconds(31);
    while other.turn().await.unwrap() {}
    let expected = [
        "PUT /_/users/tenants/T/removal",
        "PUT /_/files/tenants/T/removal",
        "PUT /_/files/tenants/T/removal",
        "DELETE /_/users/tenants/T",
        "DELETE /_/files/tenants/T",
    ];
    assert_eq!(
        (calls(&app, 0), app.standing(ACME).await),
        (expected.map(str::to_owned).to_vec(), "deleted".to_owned())
    );
}

async fn a_later_offboarding_has_nothing_of_the_undone_one(app: TestApp) {
    app.create(ACME, "Acme").await;
    app.services.refuse("PUT /_/users/", 409);
    app.manage(&format!("DELETE /_/tenants/{ACME}"), r#"{"reason":"Unpaid"}"#).await;
    until(&app, "undone").await;
    app.services.accept();
    let before = app.services.seen().len();
    app.services.hold_after(Some(0));
    let author = Author::new(&platform_service("reports"), "later".to_owned(), Some("Closed")).unwrap();
    let tenants = elsewhere(&app, &["mails"]).await;
    tenants.change(ACME.parse().unwrap(), Change::Offboard, &author).await.unwrap();
    app.services.held().await;
    let expected = json!({
        "phase": "preparing", "step": 0, "participants": ["mails"], "attempts": 0, "last_error": null,
    });
    assert_eq!(shown(&app, ACME).await, expected);
    let database = app.database().await;
    let text = "SELECT begun_by, request_id, reason FROM offboardings";
    let statement = Statement::from_string(database.get_database_backend(), text);
    let row = database.query_one_raw(statement).await.unwrap().unwrap();
    let begun = [0, 1, 2].map(|column| row.try_get_by_index::<String>(column).unwrap());
    assert_eq!(begun, ["reports", "later", "Closed"]);
    app.services.hold_after(None);
    app.services.release();
    until(&app, "done").await;
    assert_eq!(calls(&app, before), ["PUT /_/mails/tenants/T/removal", "DELETE /_/mails/tenants/T"]);
    // The end belongs to the request that began it.
    let history = app.manage(&format!("GET /_/tenants/{ACME}/history?after=3"), "").await.json();
    for entry in history.as_array().unwrap() {
        let change = &entry["change"];
        assert_eq!((&change["requestId"], &change["reason"]), (&json!("later"), &json!("Closed")), "{entry}");
    }
    assert_eq!(history.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_later_offboarding_has_nothing_of_the_undone_one_on_both() {
    on_both(a_later_offboarding_has_nothing_of_the_undone_one).await;
}

#[tokio::test]
async fn an_offboarding_that_ended_is_not_taken_again() {
    let app = TestApp::new().await;
    let other = worker(&app, &["users", "files"]).await;
    app.create(ACME, "Acme").await;
    app.services.refuse("PUT /_/files/", 409);
    for phase in ["undone", "done"] {
        app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
        until(&app, phase).await;
        let claim = number(&app, "claim").await;
        app.clock.advance_seconds(60);
        assert!(!other.turn().await.unwrap(), "{phase}");
        assert_eq!(number(&app, "claim").await, claim, "{phase}");
        app.services.accept();
    }
}

#[tokio::test]
async fn the_offboarding_that_waits_longest_is_taken_first() {
    let app = TestApp::new().await;
    let other = worker(&app, &["users", "files"]).await;
    let busy = "00000000-0000-7000-8000-000000000099";
    for id in [busy, ACME, OTHER] {
        app.create(id, "Some").await;
    }
    // The worker of this process waits for an answer.
    app.services.hold_after(Some(0));
    app.manage(&format!("DELETE /_/tenants/{busy}"), "").await;
    app.services.held().await;
    app.services.hold_after(None);
    // The order of the ids is another one.
    for id in [ACME, OTHER] {
        app.manage(&format!("DELETE /_/tenants/{id}"), "").await;
        app.clock.advance_seconds(1);
    }
    for id in [ACME, OTHER] {
        assert!(other.turn().await.unwrap());
        let last = app.services.seen().pop().unwrap();
        assert!(last.contains(id), "{last}");
    }
}

#[tokio::test]
async fn pauses_grow_with_the_failures_of_a_step_and_begin_anew_with_the_next_one() {
    let app = TestApp::new().await;
    app.create(ACME, "Acme").await;
    app.services.refuse("PUT /_/users/", 503);
    app.services.refuse("DELETE /_/users/", 503);
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    for (failures, pause) in [(1, 1), (2, 2), (3, 4)] {
        harness::eventually_async("it fails", async || shown(&app, ACME).await["attempts"] == failures).await;
        let now = i64::try_from(clock::Clock::now(&app.clock).millis()).unwrap();
        assert_eq!(number(&app, "free_at").await - now, pause * 1_000, "after {failures} failures");
        app.clock.advance_seconds(u64::try_from(pause).unwrap());
    }
    harness::eventually_async("what was prepared cannot be taken back either", async || {
        let now = shown(&app, ACME).await;
        if now["phase"] == "preparing" {
            app.clock.advance_seconds(60);
        }
        now["phase"] == "undoing" && now["attempts"].as_i64() > Some(0)
    })
    .await;
    let attempts = shown(&app, ACME).await["attempts"].as_i64().unwrap();
    assert!(attempts < 5, "the failures of the preparation do not count for it: {attempts}");
}
