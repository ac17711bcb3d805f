//! The outbox on both databases.

use std::sync::Arc;
use std::time::Duration;

use events::outbox::{
    Item, LEASE, MAX_ATTEMPTS, MAX_PAYLOAD_BYTES, OutboxError, Outcome, Put, Worker, dead, purge, remove,
    revive,
};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use tokio::sync::watch;

use crate::fixture::{Recorder, Store, clock, entry, now, outbox};

async fn a_row_is_written_with_its_change_and_once(store: &Store) {
    let (clock, recorder) = (clock(), Recorder::new(|_: &Item| Outcome::Delivered));
    let outbox = outbox(&clock);
    let change = store.database.begin().await.unwrap();
    assert_eq!(outbox.put(&change, entry("a")).await.unwrap(), Put::Written);
    change.rollback().await.unwrap();
    assert_eq!(store.rows().await, (0, 0, 0), "the change was rolled back, and the row with it");
    assert_eq!(store.put(&outbox, "a").await, Put::Written);
    assert_eq!(store.put(&outbox, "a").await, Put::AlreadyThere);
    let worker = Worker::new(store.database.clone(), &outbox, recorder.clone());
    assert_eq!((worker.deliver_due().await.unwrap(), worker.deliver_due().await.unwrap()), (1, 0));
    assert_eq!(store.put(&outbox, "a").await, Put::AlreadyThere, "also when it is delivered");
    assert_eq!(store.rows().await, (0, 1, 0));
    assert_eq!(worker.counts().delivered(), 1);
    let change = store.database.begin().await.unwrap();
    let payload = "x".repeat(MAX_PAYLOAD_BYTES + 1);
    let long = events::outbox::Entry { payload: &payload, ..entry("b") };
    assert!(matches!(outbox.put(&change, long).await, Err(OutboxError::Length { what: "payload", .. })));
    assert!(matches!(outbox.put(&change, entry("")).await, Err(OutboxError::Length { .. })));
    drop(change);
    // What is done is removed after some time, and what is dead is not.
    clock.advance_seconds(1);
    assert_eq!(purge(&store.database, now(&clock), 10).await.unwrap(), 1);
    assert_eq!(store.rows().await, (0, 0, 0));
}

async fn several_workers_deliver_each_row_once(store: &Store) {
    let (clock, recorder) = (clock(), Recorder::new(|_: &Item| Outcome::Delivered));
    let outbox = outbox(&clock);
    let (stop, stopped) = watch::channel(false);
    let workers: Vec<_> = (0..4)
        .map(|_| Worker::new(store.database.clone(), &outbox, recorder.clone()))
        .map(|worker| tokio::spawn(worker.run(stopped.clone())))
        .collect();
    for number in 0..100 {
        store.put(&outbox, &format!("several-{number}")).await;
    }
    harness::eventually_async("all rows are delivered", async || store.rows().await.0 == 0).await;
    stop.send(true).unwrap();
    for worker in workers {
        worker.await.expect("a worker ends when it is stopped");
    }
    let seen = recorder.seen.lock().unwrap();
    assert_eq!(seen.len(), 100);
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
}

async fn a_row_that_fails_waits_longer_each_time_and_is_dead_in_the_end(store: &Store) {
    let answer = |_: &Item| Outcome::Failed { error: "a\0b".to_owned(), after: None };
    let (clock, recorder) = (clock(), Recorder::new(answer));
    let outbox = outbox(&clock);
    store.put(&outbox, "failing").await;
    let worker = Worker::new(store.database.clone(), &outbox, recorder.clone());
    assert_eq!(worker.deliver_due().await.unwrap(), 1);
    assert_eq!(worker.deliver_due().await.unwrap(), 0, "it waits");
    for _ in 1..MAX_ATTEMPTS {
        clock.advance_seconds(600);
        assert_eq!(worker.deliver_due().await.unwrap(), 1);
    }
    clock.advance_seconds(600);
    assert_eq!(worker.deliver_due().await.unwrap(), 0, "it is dead");
    let letters = dead(&store.database, None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.idempotency_key.as_str(), letter.attempts), ("failing", MAX_ATTEMPTS));
    assert!(letter.last_error.ends_with("attempts: ab"), "{}", letter.last_error);
    assert!(dead(&store.database, Some(letter.id), 10).await.unwrap().is_empty(), "the next page");
    assert_eq!(purge(&store.database, now(&clock), 10).await.unwrap(), 0, "a dead row stays");
    // A second chance begins anew.
    assert!(revive(&store.database, letter.id, now(&clock)).await.unwrap());
    assert!(!revive(&store.database, letter.id, now(&clock)).await.unwrap(), "it is not dead any more");
    assert_eq!(worker.deliver_due().await.unwrap(), 1);
    assert_eq!(store.rows().await, (1, 0, 0));
}

async fn what_a_far_side_asks_for_is_kept_and_its_outage_does_not_count(store: &Store) {
    let answer = |item: &Item| match item.idempotency_key.as_str() {
        "asked" => Outcome::Failed { error: "later".to_owned(), after: Some(Duration::from_secs(90)) },
        "forever" => Outcome::Failed { error: "never".to_owned(), after: Some(Duration::MAX) },
        "away" => Outcome::Unavailable { error: "away".to_owned() },
        _ => Outcome::Refused { error: "no".to_owned() },
    };
    let (clock, recorder) = (clock(), Recorder::new(answer));
    let outbox = outbox(&clock);
    for key in ["asked", "forever", "away", "refused"] {
        store.put(&outbox, key).await;
    }
    let worker = Worker::new(store.database.clone(), &outbox, recorder.clone());
    assert_eq!(worker.deliver_due().await.unwrap(), 4);
    assert_eq!(store.rows().await, (3, 0, 1), "what is refused is dead at once");
    for _ in 0..MAX_ATTEMPTS * 2 {
        clock.advance_seconds(2);
        assert_eq!(worker.deliver_due().await.unwrap(), 1, "only the one that is away");
    }
    clock.advance_seconds(90);
    assert_eq!(worker.deliver_due().await.unwrap(), 2);
    clock.advance_seconds(3_600);
    worker.deliver_due().await.unwrap();
    let seen = recorder.seen.lock().unwrap().clone();
    assert_eq!((seen["asked"], seen["forever"], seen["refused"]), (3, 2, 1));
    assert_eq!(store.rows().await, (3, 0, 1));
}

async fn the_rows_of_an_outage_wait_longer_each_time(store: &Store) {
    let recorder = Recorder::new(|_: &Item| Outcome::Unavailable { error: "away".to_owned() });
    let outbox = events::Outbox::new(Arc::new(clock::SystemClock));
    for key in ["one", "two"] {
        store.put(&outbox, key).await;
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let worker = tokio::spawn(Worker::new(store.database.clone(), &outbox, recorder).run(stopped));
    // The first wait is at most a tenth of a second.
    let text = "SELECT count(*) FROM outbox_events WHERE attempts = 0 AND next_attempt_at > $1";
    harness::eventually_async("a row waits for more than a second", async || {
        let later =
            events::moment::column(clock::Clock::now(&clock::SystemClock).plus(Duration::from_secs(1)));
        let statement = events::statement::sql(&store.database, text, [later.into()]);
        let row = store.database.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index::<i64>(0).unwrap() > 0
    })
    .await;
    stop.send(true).unwrap();
    worker.await.unwrap();
}

async fn a_text_with_nul_is_refused_on_both_databases(store: &Store) {
    let outbox = outbox(&clock());
    let change = store.database.begin().await.unwrap();
    for bad in [
        events::outbox::Entry { payload: r#"{"a":"\u0000"}"#, ..entry("payload") },
        events::outbox::Entry { idempotency_key: "a\0b", ..entry("key") },
        events::outbox::Entry { kind: "a\0b", ..entry("kind") },
    ] {
        assert!(matches!(outbox.put(&change, bad).await, Err(OutboxError::Nul(_))), "{bad:?}");
    }
    let fine = events::outbox::Entry { payload: r#"{"a":"\\u0000"}"#, ..entry("fine") };
    assert_eq!(outbox.put(&change, fine).await.unwrap(), Put::Written);
}

async fn a_dead_row_is_removed_and_no_other(store: &Store) {
    let (clock, recorder) = (clock(), Recorder::new(|_: &Item| Outcome::Refused { error: "no".to_owned() }));
    let outbox = outbox(&clock);
    store.put(&outbox, "dead").await;
    Worker::new(store.database.clone(), &outbox, recorder).deliver_due().await.unwrap();
    store.put(&outbox, "waits").await;
    let id = dead(&store.database, None, 10).await.unwrap()[0].id;
    assert!(!remove(&store.database, uuid::Uuid::nil()).await.unwrap());
    assert!(remove(&store.database, id).await.unwrap());
    assert!(!remove(&store.database, id).await.unwrap(), "it is gone");
    assert_eq!(store.rows().await, (1, 0, 0));
}

async fn rows_of_other_kinds_stay(store: &Store) {
    let (clock, recorder) = (clock(), Recorder::new(|_: &Item| Outcome::Delivered));
    let outbox = outbox(&clock);
    let change = store.database.begin().await.unwrap();
    outbox.put(&change, events::outbox::Entry { kind: "other", ..entry("other") }).await.unwrap();
    let delayed = events::outbox::Entry { delay: Duration::from_secs(5), ..entry("delayed") };
    outbox.put(&change, delayed).await.unwrap();
    change.commit().await.unwrap();
    let worker = Worker::new(store.database.clone(), &outbox, recorder);
    assert_eq!(worker.deliver_due().await.unwrap(), 0);
    clock.advance_seconds(LEASE.as_secs() * 10);
    assert_eq!(worker.deliver_due().await.unwrap(), 1, "the delayed one, and not the one of another kind");
}

crate::fixture::on_both! {
    a_row_is_written_with_its_change_and_once
    several_workers_deliver_each_row_once
    a_row_that_fails_waits_longer_each_time_and_is_dead_in_the_end
    what_a_far_side_asks_for_is_kept_and_its_outage_does_not_count
    the_rows_of_an_outage_wait_longer_each_time
    a_text_with_nul_is_refused_on_both_databases
    a_dead_row_is_removed_and_no_other
    rows_of_other_kinds_stay
}
