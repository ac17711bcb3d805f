//! What a publisher makes of many publications at once, of returned events, of silent brokers and of old queues.

use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker_connection::Address;
use events::Exchange;
use events::bus::{Bus, Topology};
use events::outbox::Worker;
use events::relay::Relay;
use harness::RabbitMq;
use lapin::types::{AMQPValue, FieldTable};
use sea_orm::TransactionTrait as _;

use crate::broker::{bus, channel, gone, waiting};
use crate::fixture::{Store, clock, event, now, outbox};

/// A log that a test reads.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_no_queue_takes_is_not_mistaken_for_another_one_published_beside_it() {
    const ROUNDS: u32 = 40;
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let bus = bus(&broker);
    // No service gets the one, which the broker returns; a queue takes the other.
    let (unasked, wanted) = (event("unasked", now(&clock())), gone());
    for _ in 0..ROUNDS {
        let mut published = tokio::task::JoinSet::new();
        for place in 0..16 {
            let event = if place % 2 == 0 { unasked.clone() } else { wanted.clone() };
            let bus = bus.clone();
            published.spawn(async move { bus.publish(Exchange::Events, &event).await });
        }
        while let Some(done) = published.join_next().await {
            assert_eq!(done.unwrap(), Ok(()));
        }
    }
    assert_eq!(waiting(&broker, "test.users").await, Some(ROUNDS * 8), "each is in its queue once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_broker_returns_is_not_in_the_log() {
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let log = Log::default();
    let writer = log.clone();
    // As an operator could have it: the most that the client says short of each frame.
    let subscriber =
        kit::telemetry::subscriber("debug,lapin::returned_messages=warn", move || writer.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let bus = bus(&broker);
    bus.publish(Exchange::Events, &event("a-token-of-a-device", now(&clock()))).await.unwrap();
    tracing::warn!("the log is written");
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("the log is written"), "{text}");
    assert!(!text.contains("returned us a message"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_silent_use_up_no_attempt_and_one_that_answers_is_found_behind_them() {
    let (store, clock) = (Store::sqlite().await, clock());
    let outbox = outbox(&clock);
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    // They accept a connection, and say nothing over it.
    let silent: Vec<_> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let hosts: String = silent.iter().map(|one| format!("{},", one.local_addr().unwrap())).collect();
    let url = broker.url();
    let (before, host) = url.split_once("127.0.0.1").unwrap();
    let address = Address::parse(&format!("{before}{hosts}127.0.0.1{host}")).unwrap();
    let bus = Bus::open(Some(address), "test".parse::<Topology>().unwrap(), "test");
    let change = store.database.begin().await.unwrap();
    outbox.announce(&change, Exchange::Events, &gone()).await.unwrap();
    change.commit().await.unwrap();
    let worker = Worker::new(store.database.clone(), &outbox, Relay::new(bus));
    let mut turns = 0;
    while store.rows().await.0 > 0 {
        clock.advance_seconds(10);
        worker.deliver_due().await.unwrap();
        turns += 1;
        assert!(turns < 400, "the broker behind the silent ones is not found");
        harness::pause_async(Duration::from_millis(250), "the publisher pauses between two connections")
            .await;
    }
    assert_eq!(waiting(&broker, "test.users").await, Some(1));
    assert_eq!(store.attempts().await, 1, "only the attempt that delivered it counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_have_no_limit_and_a_queue_of_theirs_that_has_one_is_used_as_it_is() {
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let (connection, raw) = channel(&broker).await;
    let durable = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
    // As an older version made it.
    let mut limited = FieldTable::default();
    limited.insert("x-max-length".into(), AMQPValue::LongLongInt(100_000));
    limited.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    raw.queue_declare("test.dlq".into(), durable, limited).await.unwrap();
    bus(&broker).publish(Exchange::Events, &gone()).await.unwrap();
    assert_eq!(waiting(&broker, "test.users").await, Some(1), "it holds up no event");
    // Deleted once, it is made without a limit: the broker refuses a declaration with other arguments.
    raw.queue_delete("test.dlq".into(), Default::default()).await.unwrap();
    bus(&broker).publish(Exchange::Events, &gone()).await.unwrap();
    raw.queue_declare("test.dlq".into(), durable, FieldTable::default()).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}
