//! The broker and the database killed in the middle of a load: no event is lost, and none has its effect twice.

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock as _, SystemClock};
use events::Exchange;
use events::bus::Handler;
use events::outbox::{OutboxError, Worker};
use events::relay::Relay;
use events::{Envelope, Outbox};
use harness::RabbitMq;
use sea_orm::{DatabaseConnection, TransactionTrait as _};
use tokio::sync::watch;

use crate::broker::{bus, subscription};
use crate::fixture::{Effect, Store, event};

const EVENTS: usize = 400;

/// Announces `event`, again until the database has it. A commit whose answer was lost is found by its key.
async fn announce(database: &DatabaseConnection, outbox: &Outbox, event: &Envelope) {
    let once = async || -> Result<(), OutboxError> {
        let change = database.begin().await?;
        outbox.announce(&change, Exchange::Events, event).await?;
        change.commit().await?;
        Ok(())
    };
    while once().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    outbox.committed();
}

async fn all_arrive_once(
    store: Store,
    kill: impl FnOnce(&mut RabbitMq, Option<&kit::testing::PrivatePostgres>, &dyn Fn(usize)) + Send + 'static,
) {
    let mut broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let outbox = Outbox::new(Arc::new(SystemClock));
    let bus = bus(&broker);
    let (stop, stopped) = watch::channel(false);
    let handler =
        || Handler { handle: Effect, database: store.database.clone(), clock: Arc::new(SystemClock) };
    // Two consumers of one queue, and two workers: several instances of the services on both ends.
    let mut tasks = Vec::new();
    for _ in 0..2 {
        tasks.push(tokio::spawn(bus.consume(subscription("test.*.*"), handler(), stopped.clone())));
    }
    // An event is for the queues that exist when it is published.
    harness::eventually_async("the consumers have connected", async || {
        bus.publish(Exchange::Events, &event("first", SystemClock.now())).await.is_ok()
            && store.effects().await.contains_key("first")
    })
    .await;
    for _ in 0..2 {
        let worker = Worker::new(store.database.clone(), &outbox, Relay::new(bus.clone()));
        tasks.push(tokio::spawn(worker.run(stopped.clone())));
    }
    let (done, progress) = watch::channel(0_usize);
    let writer = {
        let (database, outbox) = (store.database.clone(), outbox.clone());
        tokio::spawn(async move {
            for number in 0..EVENTS {
                announce(&database, &outbox, &event(&number.to_string(), SystemClock.now())).await;
                done.send_replace(number + 1);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    let postgres = store.postgres.clone();
    let broker = tokio::task::spawn_blocking(move || {
        let reached = |number: usize| {
            harness::eventually("the load goes on", || *progress.borrow() >= number);
        };
        kill(&mut broker, postgres.as_deref(), &reached);
        broker
    })
    .await
    .unwrap();
    writer.await.unwrap();
    harness::eventually_async("every event has its effect", async || {
        let effects = store.effects().await;
        (0..EVENTS).all(|number| effects.contains_key(&number.to_string()))
    })
    .await;
    harness::eventually_async("the outbox is empty", async || store.rows().await.0 == 0).await;
    stop.send(true).unwrap();
    for task in tasks {
        task.await.unwrap();
    }
    let mut effects = store.effects().await;
    effects.remove("first");
    assert_eq!(effects.len(), EVENTS);
    assert!(effects.values().all(|times| *times == 1), "an effect happened twice: {effects:?}");
    assert_eq!(store.rows().await.2, 0, "an event was given up");
    drop(broker);
}

#[tokio::test(flavor = "multi_thread")]
async fn broker_and_postgresql_are_killed_in_turn() {
    all_arrive_once(Store::postgres().await, |broker, postgres, reached| {
        let postgres = postgres.expect("this store is a PostgreSQL");
        reached(EVENTS / 8);
        broker.kill();
        reached(EVENTS / 4);
        broker.run();
        reached(EVENTS * 3 / 8);
        postgres.kill();
        postgres.restart();
        reached(EVENTS / 2);
        // Both at once.
        broker.kill();
        postgres.kill();
        postgres.restart();
        broker.run();
        reached(EVENTS * 3 / 4);
        postgres.kill();
        postgres.restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_is_killed_beside_sqlite() {
    all_arrive_once(Store::sqlite().await, |broker, _, reached| {
        for eighth in [1, 3, 5] {
            reached(EVENTS * eighth / 8);
            broker.kill();
            reached(EVENTS * eighth / 8 + 20);
            broker.run();
        }
    })
    .await;
}
