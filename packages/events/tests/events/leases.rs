//! Workers that are killed, or are too slow.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock as _;
use events::handled::{self, Handled};
use events::outbox::{Deliver, Item, LEASE, MAX_ATTEMPTS, Outcome, Worker, dead};
use sea_orm::DatabaseConnection;
use tokio::sync::{Semaphore, watch};

use crate::fixture::{Effect, Recorder, Store, clock, event, outbox};

/// Waits for `go`, then answers.
#[derive(Clone)]
struct Slow {
    began: Arc<Semaphore>,
    go: Arc<Semaphore>,
    answer: Outcome,
}

impl Slow {
    fn new(answer: Outcome) -> Self {
        Self { began: Arc::new(Semaphore::new(0)), go: Arc::new(Semaphore::new(0)), answer }
    }
}

impl Deliver for Slow {
    fn kinds(&self) -> &'static [&'static str] {
        &["test"]
    }

    async fn deliver(&self, _: &Item) -> Outcome {
        self.began.add_permits(1);
        self.go.acquire().await.unwrap().forget();
        self.answer.clone()
    }
}

async fn a_killed_workers_row_comes_back_after_the_lease(store: &Store) {
    let clock = clock();
    let outbox = outbox(&clock);
    store.put(&outbox, "row").await;
    let slow = Slow::new(Outcome::Delivered);
    let worker = Worker::new(store.database.clone(), &outbox, slow.clone());
    let killed = tokio::spawn(async move { worker.deliver_due().await });
    slow.began.acquire().await.unwrap().forget();
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    let recorder = Recorder::new(|_: &Item| Outcome::Delivered);
    let other = Worker::new(store.database.clone(), &outbox, recorder);
    clock.advance_seconds(LEASE.as_secs() - 1);
    assert_eq!(other.deliver_due().await.unwrap(), 0, "the lease holds");
    clock.advance_seconds(1);
    assert_eq!(other.deliver_due().await.unwrap(), 1);
    assert_eq!(store.rows().await, (0, 1, 0));
}

async fn a_worker_that_was_too_slow_changes_nothing_any_more(store: &Store) {
    let clock = clock();
    let outbox = outbox(&clock);
    store.put(&outbox, "row").await;
    let slow = Slow::new(Outcome::Refused { error: "late".to_owned() });
    let worker = Worker::new(store.database.clone(), &outbox, slow.clone());
    let running = tokio::spawn(async move { worker.deliver_due().await });
    slow.began.acquire().await.unwrap().forget();
    clock.advance_seconds(LEASE.as_secs());
    let second = Slow::new(Outcome::Delivered);
    let other = Worker::new(store.database.clone(), &outbox, second.clone());
    let taking_over = tokio::spawn(async move { other.deliver_due().await });
    second.began.acquire().await.unwrap().forget();
    slow.go.add_permits(1);
    running.await.unwrap().unwrap();
    assert_eq!(store.rows().await, (1, 0, 0), "the row is not dead: it belongs to the other worker");
    second.go.add_permits(1);
    taking_over.await.unwrap().unwrap();
    assert_eq!(store.rows().await, (0, 1, 0));
}

async fn a_row_that_kills_its_workers_is_dead_in_the_end(store: &Store) {
    let clock = clock();
    let outbox = outbox(&clock);
    store.put(&outbox, "poison").await;
    for _ in 0..MAX_ATTEMPTS {
        let slow = Slow::new(Outcome::Delivered);
        let worker = Worker::new(store.database.clone(), &outbox, slow.clone());
        let killed = tokio::spawn(async move { worker.deliver_due().await });
        slow.began.acquire().await.unwrap().forget();
        killed.abort();
        assert!(killed.await.is_err());
        clock.advance_seconds(LEASE.as_secs());
    }
    let recorder = Recorder::new(|_: &Item| Outcome::Delivered);
    let worker = Worker::new(store.database.clone(), &outbox, recorder.clone());
    assert_eq!(worker.deliver_due().await.unwrap(), 1);
    assert!(recorder.seen.lock().unwrap().is_empty(), "it is not tried again");
    assert!(dead(&store.database, None, 1).await.unwrap()[0].last_error.contains("without a result"));
}

/// Has the effect of each row once, by the key of the row.
#[derive(Clone)]
struct Once(DatabaseConnection, clock::ManualClock);

impl Deliver for Once {
    fn kinds(&self) -> &'static [&'static str] {
        &["test"]
    }

    async fn deliver(&self, item: &Item) -> Outcome {
        let Self(database, clock) = self;
        let mut event = event(&item.idempotency_key, clock.now());
        event.id = item.id;
        match handled::once(database, "once", &event, &Effect, clock.now()).await {
            Ok(Handled::Now | Handled::Before) => Outcome::Delivered,
            Err(error) => Outcome::Failed { error: error.to_string(), after: Some(Duration::from_secs(1)) },
        }
    }
}

async fn workers_killed_at_any_point_lose_nothing_and_do_nothing_twice(store: &Store) {
    const ROWS: usize = 120;
    let clock = clock();
    let outbox = outbox(&clock);
    for number in 0..ROWS {
        store.put(&outbox, &format!("row-{number}")).await;
    }
    let worker = || Worker::new(store.database.clone(), &outbox, Once(store.database.clone(), clock.clone()));
    let (_stop, stopped) = watch::channel(false);
    // Each pair of workers is killed a little later than the one before, so at other points of its work. A row that is claimed
    // each time must not be given up for it.
    for step in 0..u64::try_from(MAX_ATTEMPTS - 2).unwrap() {
        let both = [tokio::spawn(worker().run(stopped.clone())), tokio::spawn(worker().run(stopped.clone()))];
        let kill_after = Duration::from_micros(step * step * 250);
        harness::pause_async(kill_after, "the worker is killed at this point of its work").await;
        for worker in both {
            worker.abort();
            assert!(worker.await.is_err());
        }
        clock.advance_seconds(LEASE.as_secs());
    }
    let worker = worker();
    harness::eventually_async("all rows are delivered", async || {
        clock.advance_seconds(1);
        worker.deliver_due().await.unwrap();
        store.rows().await.0 == 0
    })
    .await;
    let effects = store.effects().await;
    assert_eq!(effects.len(), ROWS, "an effect is lost");
    assert!(effects.values().all(|times| *times == 1), "an effect happened twice: {effects:?}");
    assert_eq!(store.rows().await, (0, i64::try_from(ROWS).unwrap(), 0));
}

crate::fixture::on_both! {
    a_killed_workers_row_comes_back_after_the_lease
    a_worker_that_was_too_slow_changes_nothing_any_more
    a_row_that_kills_its_workers_is_dead_in_the_end
    workers_killed_at_any_point_lose_nothing_and_do_nothing_twice
}
