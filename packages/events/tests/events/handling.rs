//! Each effect once, and the bus within the process.

use std::sync::Arc;

use events::Exchange;
use events::bus::{Bus, Handler, NotPublished, Subscription, Topology};
use events::handled::{self, Handled, NotHandled, once};
use events::outbox::Worker;
use events::relay::Relay;
use sea_orm::TransactionTrait as _;
use tokio::sync::watch;

use crate::fixture::{Effect, Store, clock, event, now, outbox};

async fn an_event_has_its_effect_once(store: &Store) {
    let (clock, database) = (clock(), &store.database);
    let happened = event("a", now(&clock));
    let handle =
        async |consumer: &str| once(database, consumer, &happened, &Effect, now(&clock)).await.unwrap();
    assert_eq!(handle("one").await, Handled::Now);
    assert_eq!(handle("one").await, Handled::Before);
    assert_eq!(handle("other").await, Handled::Now, "each consumer has an effect of its own");
    let failing = event("fail", now(&clock));
    for _ in 0..2 {
        let error = once(database, "one", &failing, &Effect, now(&clock)).await.unwrap_err();
        assert!(matches!(error, NotHandled::Failed(_)), "it is not marked as handled");
    }
    assert_eq!(store.effects().await, [("a".to_owned(), 2)].into(), "and its effect is not there");
    clock.advance_seconds(1);
    assert_eq!(handled::purge(database, now(&clock), 10).await.unwrap(), 2);
    assert_eq!(once(database, "one", &happened, &Effect, now(&clock)).await.unwrap(), Handled::Now);
}

async fn several_handlers_of_one_event_have_one_effect(store: &Store) {
    let clock = clock();
    let happened = Arc::new(event("race", now(&clock)));
    let handlers: Vec<_> = (0..6)
        .map(|_| {
            let (database, clock, happened) = (store.database.clone(), clock.clone(), Arc::clone(&happened));
            tokio::spawn(
                async move { once(&database, "race", &happened, &Effect, now(&clock)).await.unwrap() },
            )
        })
        .collect();
    let mut effects = 0;
    for handler in handlers {
        effects += i32::from(handler.await.unwrap() == Handled::Now);
    }
    assert_eq!((effects, store.effects().await), (1, [("race".to_owned(), 1)].into()));
}

async fn a_process_without_a_broker_carries_its_events_itself(store: &Store) {
    let clock = clock();
    let outbox = outbox(&clock);
    let bus = Bus::open(None, Topology::default(), "test");
    let (stop, stopped) = watch::channel(false);
    let subscription = |consumer: &str, pattern: &str| Subscription {
        consumer: consumer.to_owned(),
        exchange: Exchange::Events,
        patterns: vec![pattern.parse().unwrap()],
    };
    let handler =
        || Handler { handle: Effect, database: store.database.clone(), clock: Arc::new(clock.clone()) };
    let consumers = [("one", "test.*.*"), ("two", "#"), ("three", "other.*.*")];
    let consumers = consumers.map(|(consumer, pattern)| {
        tokio::spawn(bus.consume(subscription(consumer, pattern), handler(), stopped.clone()))
    });
    let worker = Worker::new(store.database.clone(), &outbox, Relay::new(bus.clone()));
    let worker = tokio::spawn(worker.run(stopped));
    for number in 0..20 {
        let change = store.database.begin().await.unwrap();
        outbox.announce(&change, Exchange::Events, &event(&number.to_string(), now(&clock))).await.unwrap();
        change.commit().await.unwrap();
        outbox.committed();
    }
    harness::eventually_async("all events are delivered", async || store.rows().await.0 == 0).await;
    let effects = store.effects().await;
    assert!(
        effects.len() == 20 && effects.values().all(|times| *times == 2),
        "two of the consumers: {effects:?}"
    );
    let refused = bus.publish(Exchange::Events, &event("fail", now(&clock))).await.unwrap_err();
    assert_eq!(refused, NotPublished::Failed("one: it fails".to_owned()));
    let elsewhere = bus.publish(Exchange::Notifications, &event("fail", now(&clock))).await;
    assert_eq!(elsewhere, Ok(()), "no consumer there");
    stop.send(true).unwrap();
    worker.await.unwrap();
    for consumer in consumers {
        consumer.await.unwrap();
    }
    assert_eq!(
        bus.publish(Exchange::Events, &event("later", now(&clock))).await,
        Ok(()),
        "all of them have ended"
    );
}

crate::fixture::on_both! {
    an_event_has_its_effect_once
    several_handlers_of_one_event_have_one_effect
    a_process_without_a_broker_carries_its_events_itself
}
