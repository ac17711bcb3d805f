//! The schedule: one runner among several, whole multiples of the interval, a killed runner.

use std::sync::Arc;

use clock::{Clock as _, ManualClock};
use events::outbox::Entry;
use kit::testing::{PrivatePostgres, START};
use notifications::jobs::{Job, LEASE, State, run_due, status};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, TransactionTrait as _};

async fn open(url: Option<&str>, directory: &tempfile::TempDir) -> DatabaseConnection {
    let database = kit::store::open(url, &directory.path().join("jobs.sqlite")).await.unwrap();
    notifications::migrations::run(&database).await.unwrap();
    database
}

async fn a_job_runs_once_at_each_of_its_times(database: &DatabaseConnection) {
    let clock = ManualClock::at(START);
    clock.advance_seconds(1_800);
    let job = Job::RemoveDelivered;
    let runners: Vec<_> = (0..6)
        .map(|_| {
            let (database, clock) = (database.clone(), clock.clone());
            tokio::spawn(async move { run_due(&database, job, &clock).await.unwrap() })
        })
        .collect();
    let mut ran = 0;
    for runner in runners {
        ran += i32::from(runner.await.unwrap());
    }
    assert_eq!(ran, 1, "one of several runners");
    clock.advance_seconds(1_799);
    assert!(!run_due(database, job, &clock).await.unwrap(), "the full hour is not there yet");
    clock.advance_seconds(1);
    assert!(run_due(database, job, &clock).await.unwrap());
    clock.advance_seconds(10 * 3_600);
    assert!(run_due(database, job, &clock).await.unwrap(), "missed times are made up for");
    assert!(!run_due(database, job, &clock).await.unwrap(), "once");
    let all = status(database).await.unwrap();
    assert_eq!(
        (all.len(), all[0].name.as_str(), all[0].runs, all[0].failures),
        (1, "remove-delivered", 3, 0)
    );
    assert!(all[0].lease_until.is_none() && all[0].last_ended_at.is_some());
}

/// The state of the only job.
async fn state(database: &DatabaseConnection, clock: &ManualClock) -> State {
    status(database).await.unwrap()[0].state(clock.now())
}

async fn a_killed_runner_leaves_a_lease_and_a_failure_its_reason(database: &DatabaseConnection) {
    let clock = ManualClock::at(START);
    let job = Job::RemoveHandled;
    assert!(run_due(database, job, &clock).await.unwrap());
    assert_eq!(state(database, &clock).await, State::Succeeded);
    // As a process that ended in the middle of its run leaves the row.
    clock.advance_seconds(3_600);
    let leased = events::moment::column(clock.now().plus(LEASE));
    let began = events::moment::column(clock.now());
    let text = "UPDATE scheduled_jobs SET runs = runs + 1, lease_until = $1, last_began_at = $2";
    let values = [leased.into(), began.into()];
    database.execute_raw(events::statement::sql(database, text, values)).await.unwrap();
    clock.advance_seconds(LEASE.as_secs() - 1);
    assert!(!run_due(database, job, &clock).await.unwrap(), "the lease holds");
    assert_eq!(state(database, &clock).await, State::Running);
    clock.advance_seconds(1);
    assert_eq!(state(database, &clock).await, State::Failed, "its process ended in the middle");
    assert!(run_due(database, job, &clock).await.unwrap());
    database.execute_unprepared("ALTER TABLE handled_events RENAME TO elsewhere").await.unwrap();
    clock.advance_seconds(3_600);
    assert!(run_due(database, job, &clock).await.unwrap());
    let all = status(database).await.unwrap();
    assert!(all[0].failures == 1 && all[0].last_error.is_some(), "{all:?}");
    assert_eq!(state(database, &clock).await, State::Failed);
    assert!(all[0].last_success_at < all[0].last_began_at, "the success before it is remembered: {all:?}");
    database.execute_unprepared("ALTER TABLE elsewhere RENAME TO handled_events").await.unwrap();
    clock.advance_seconds(3_600);
    assert!(run_due(database, job, &clock).await.unwrap());
    assert_eq!(status(database).await.unwrap()[0].last_error, None, "the next run has no failure");
    assert_eq!(state(database, &clock).await, State::Succeeded);
    let never = "UPDATE scheduled_jobs SET last_began_at = NULL, last_ended_at = NULL";
    database.execute_unprepared(never).await.unwrap();
    assert_eq!(state(database, &clock).await, State::Waiting);
    database.execute_unprepared("DELETE FROM scheduled_jobs").await.unwrap();
}

async fn delivered_messages_are_removed_and_others_stay(database: &DatabaseConnection) {
    let clock = ManualClock::at(START);
    let outbox = events::Outbox::new(Arc::new(clock.clone()));
    let change = database.begin().await.unwrap();
    for key in ["delivered", "waiting"] {
        let entry =
            Entry { kind: "push", payload: "{}", idempotency_key: key, delay: std::time::Duration::ZERO };
        outbox.put(&change, entry).await.unwrap();
    }
    change.commit().await.unwrap();
    let done = "UPDATE outbox_events SET processed_at = created_at WHERE idempotency_key = 'delivered'";
    database.execute_unprepared(done).await.unwrap();
    for (days, left) in [(6, 2), (2, 1), (365, 1)] {
        clock.advance_seconds(days * 24 * 3_600);
        assert!(run_due(database, Job::RemoveDelivered, &clock).await.unwrap());
        assert_eq!(crate::app::number(database, "SELECT count(*) FROM outbox_events").await, left);
    }
    database.execute_unprepared("DELETE FROM scheduled_jobs").await.unwrap();
}

async fn all(database: &DatabaseConnection) {
    a_killed_runner_leaves_a_lease_and_a_failure_its_reason(database).await;
    delivered_messages_are_removed_and_others_stay(database).await;
    a_job_runs_once_at_each_of_its_times(database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    all(&open(None, &tempfile::tempdir().unwrap()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql() {
    let postgres = PrivatePostgres::start();
    all(&open(Some(&postgres.url()), &tempfile::tempdir().unwrap()).await).await;
}
