//! The bus over a real RabbitMQ.

use std::sync::Arc;

use broker_connection::Address;
use events::bus::{Bus, Handler, MAX_REDELIVERIES, NotPublished, Subscription, Topology};
use events::handled::{Handle, NotHandled};
use events::{Envelope, Exchange};
use harness::RabbitMq;
use lapin::options::{BasicGetOptions, BasicPublishOptions};
use lapin::{BasicProperties, Channel, Connection};
use sea_orm::DatabaseTransaction;
use tokio::sync::{Semaphore, watch};

use crate::fixture::{Effect, Store, clock, event, now};

pub(crate) fn bus(broker: &RabbitMq) -> Bus {
    let topology: Topology = "test".parse().unwrap();
    Bus::open(Some(Address::parse(&broker.url()).unwrap()), topology, "test")
}

pub(crate) fn subscription(pattern: &str) -> Subscription {
    Subscription {
        consumer: "consumer".to_owned(),
        exchange: Exchange::Events,
        patterns: vec![pattern.parse().unwrap()],
    }
}

pub(crate) fn handler(store: &Store) -> Handler<Effect> {
    Handler { handle: Effect, database: store.database.clone(), clock: Arc::new(clock()) }
}

pub(crate) async fn channel(broker: &RabbitMq) -> (Connection, Channel) {
    let entry = Address::parse(&broker.url()).unwrap().entries().unwrap().remove(0);
    let connection = entry.connect("the test").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

/// The number of messages in `queue`; none when it is missing.
pub(crate) async fn waiting(broker: &RabbitMq, queue: &str) -> Option<u32> {
    let options = lapin::options::QueueDeclareOptions { passive: true, ..Default::default() };
    let (connection, channel) = channel(broker).await;
    let count = channel.queue_declare(queue.into(), options, Default::default()).await.ok();
    connection.close(200, "done".into()).await.unwrap();
    count.map(|queue| queue.message_count())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_and_what_cannot_be_handled_is_kept_apart() {
    let (store, clock) = (Store::sqlite().await, clock());
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let bus = bus(&broker);
    let (stop, stopped) = watch::channel(false);
    let consume = || tokio::spawn(bus.consume(subscription("test.*.*"), handler(&store), stopped.clone()));
    let consumer = consume();
    harness::eventually_async("the queue exists", async || waiting(&broker, "test.consumer").await.is_some())
        .await;
    let mut without = event("x", now(&clock));
    without.data.clear();
    let mut other = event("other", now(&clock));
    other.kind = "other.thing.happened".parse().unwrap();
    for event in
        [&event("a", now(&clock)), &without, &other, &event("fail", now(&clock)), &event("b", now(&clock))]
    {
        bus.publish(Exchange::Events, event).await.unwrap();
    }
    let again = event("twice", now(&clock));
    for _ in 0..2 {
        bus.publish(Exchange::Events, &again).await.unwrap();
    }
    bus.publish(Exchange::Audit, &event("audited", now(&clock))).await.unwrap();
    let (connection, raw) = channel(&broker).await;
    let properties = BasicProperties::default();
    for garbage in [&b"{"[..], b"", &[0xff; 100], b"{\"id\":7}"] {
        let (exchange, key) = ("test.events".into(), "test.thing.happened".into());
        let options = BasicPublishOptions::default();
        raw.basic_publish(exchange, key, options, garbage, properties.clone()).await.unwrap();
    }
    harness::eventually_async("all is handled or kept apart", async || {
        waiting(&broker, "test.dlq").await == Some(6) && waiting(&broker, "test.consumer").await == Some(0)
    })
    .await;
    let expected = ["a", "b", "twice"].map(|what| (what.to_owned(), 1));
    assert_eq!(store.effects().await, expected.into());
    let letter = raw.basic_get("test.dlq".into(), BasicGetOptions { no_ack: false }).await.unwrap().unwrap();
    assert_eq!(letter.delivery.routing_key.as_str(), "test.consumer", "a dead letter names its queue");
    assert_eq!(waiting(&broker, "test.audit").await, Some(1), "the audit queue keeps its events");
    // A consumer that ends leaves its queue, and what arrives meanwhile is there for the next.
    stop.send(true).unwrap();
    consumer.await.unwrap();
    bus.publish(Exchange::Events, &event("meanwhile", now(&clock))).await.unwrap();
    assert_eq!(waiting(&broker, "test.consumer").await, Some(1));
    stop.send(false).unwrap();
    let consumer = consume();
    harness::eventually_async("the next consumer handles it", async || {
        store.effects().await.contains_key("meanwhile")
    })
    .await;
    stop.send(true).unwrap();
    consumer.await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_broker_is_named_without_its_password() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = Address::parse(&format!("amqp://edge:s3cret@127.0.0.1:{port}/%2f")).unwrap();
    let bus = Bus::open(Some(address), Topology::default(), "test");
    let shown = format!("{bus:?}");
    for _ in 0..2 {
        let error = bus.publish(Exchange::Events, &event("a", now(&clock()))).await.unwrap_err();
        assert!(matches!(error, NotPublished::Unavailable(_)));
        let error = error.to_string();
        assert!(error.contains(&port.to_string()) && !error.contains("s3cret"), "{error}");
    }
    assert!(!bus.is_reachable().await && !shown.contains("s3cret"), "{shown}");
}

/// An event that the users service gets.
pub(crate) fn gone() -> Envelope {
    let mut gone = event("gone", now(&clock()));
    gone.kind = "notifications.device.gone".parse().unwrap();
    gone
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_published_before_its_consumer_ever_started_is_handled() {
    let store = Store::sqlite().await;
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let bus = bus(&broker);
    bus.publish(Exchange::Events, &gone()).await.unwrap();
    bus.publish(Exchange::Notifications, &event("message", now(&clock()))).await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let mut consumers = Vec::new();
    for service in ["users", "notifications"] {
        let subscription = Subscription::of(service).unwrap();
        consumers.push(tokio::spawn(bus.consume(subscription, handler(&store), stopped.clone())));
    }
    harness::eventually_async("both are handled", async || store.effects().await.len() == 2).await;
    stop.send(true).unwrap();
    for consumer in consumers {
        consumer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_under_a_running_publisher_is_made_again_and_no_event_is_lost() {
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let bus = bus(&broker);
    let (connection, raw) = channel(&broker).await;
    for (exchange, queue, event) in [
        (Exchange::Events, "test.users", gone()),
        (Exchange::Notifications, "test.notifications", event("message", now(&clock()))),
        (Exchange::Audit, "test.audit", event("audited", now(&clock()))),
    ] {
        bus.publish(exchange, &event).await.unwrap();
        assert_eq!(waiting(&broker, queue).await, Some(1), "{queue}");
        raw.queue_delete(queue.into(), Default::default()).await.unwrap();
        // Sixteen at the same time, as a worker of the outbox publishes them.
        let mut published = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (bus, event) = (bus.clone(), event.clone());
            published.spawn(async move { bus.publish(exchange, &event).await });
        }
        while let Some(done) = published.join_next().await {
            assert_eq!(done.unwrap(), Ok(()), "{queue}");
        }
        assert_eq!(waiting(&broker, queue).await, Some(16), "{queue}");
    }
    // An event of a type that no service gets is published and dropped.
    bus.publish(Exchange::Events, &event("unasked", now(&clock()))).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_deployed_has_no_queue() {
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let topology: Topology = "test".parse().unwrap();
    let topology = topology.with_consumers("notifications".parse().unwrap());
    let bus = Bus::open(Some(Address::parse(&broker.url()).unwrap()), topology, "test");
    bus.publish(Exchange::Events, &gone()).await.unwrap();
    assert_eq!(waiting(&broker, "test.users").await, None);
    for queue in ["test.notifications", "test.dlq"] {
        assert_eq!(waiting(&broker, queue).await, Some(0), "{queue}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_exchange_of_an_older_version_is_an_error_that_names_the_fix_and_holds_up_no_other_event() {
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let (connection, raw) = channel(&broker).await;
    let durable = lapin::options::ExchangeDeclareOptions { durable: true, ..Default::default() };
    let (name, topic) = ("test.audit".into(), lapin::ExchangeKind::Topic);
    raw.exchange_declare(name, topic, durable, Default::default()).await.unwrap();
    let (bus, audited) = (bus(&broker), event("audited", now(&clock())));
    for _ in 0..2 {
        let refused = bus.publish(Exchange::Audit, &audited).await.unwrap_err();
        let fix = "rabbitmqadmin delete exchange name=test.audit";
        assert!(matches!(&refused, NotPublished::Unavailable(why) if why.contains(fix)), "{refused}");
        bus.publish(Exchange::Events, &gone()).await.unwrap();
    }
    raw.exchange_delete("test.audit".into(), Default::default()).await.unwrap();
    bus.publish(Exchange::Audit, &audited).await.unwrap();
    let kept = raw.basic_get("test.audit".into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    assert_eq!(kept.delivery.routing_key.as_str(), "audit");
    connection.close(200, "done".into()).await.unwrap();
}

/// No service here empties it, and it must not fill up and hold up its publishers.
#[tokio::test(flavor = "multi_thread")]
async fn the_queue_of_events_that_are_of_use_for_a_moment_drops_old_ones() {
    use lapin::types::{AMQPValue, FieldTable};
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let mut changed = event("changed", now(&clock()));
    changed.kind = "users.taste.changed".parse().unwrap();
    bus(&broker).publish(Exchange::Events, &changed).await.unwrap();
    assert_eq!(waiting(&broker, "test.library").await, Some(1));
    // The broker refuses to declare a queue with other arguments than it has.
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(100_000));
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(60_000));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
    let (connection, raw) = channel(&broker).await;
    let durable = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
    raw.queue_declare("test.library".into(), durable, arguments).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_another_form_is_an_error_that_names_it() {
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let (connection, raw) = channel(&broker).await;
    let durable = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
    raw.queue_declare("test.users".into(), durable, Default::default()).await.unwrap();
    let refused = bus(&broker).publish(Exchange::Events, &gone()).await.unwrap_err().to_string();
    assert!(refused.contains("the queue test.users exists with other arguments"), "{refused}");
    connection.close(200, "done".into()).await.unwrap();
}

/// Never answers.
struct Stuck(Arc<Semaphore>);

impl Handle for Stuck {
    async fn handle(&self, _: &DatabaseTransaction, _: &Envelope) -> Result<(), NotHandled> {
        self.0.add_permits(1);
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_ends_its_consumer_each_time_is_kept_apart() {
    let store = Store::sqlite().await;
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let bus = bus(&broker);
    let (_stop, stopped) = watch::channel(false);
    let began = Arc::new(Semaphore::new(0));
    let consume = || {
        let Handler { database, clock, .. } = handler(&store);
        let handler = Handler { handle: Stuck(Arc::clone(&began)), database, clock };
        tokio::spawn(bus.consume(subscription("#"), handler, stopped.clone()))
    };
    let first = consume();
    harness::eventually_async("the queue exists", async || waiting(&broker, "test.consumer").await.is_some())
        .await;
    bus.publish(Exchange::Events, &event("poison", now(&clock()))).await.unwrap();
    let mut consumer = first;
    // The first time, and then each time that the broker hands it out again.
    for _ in 0..=MAX_REDELIVERIES {
        began.acquire().await.unwrap().forget();
        consumer.abort();
        assert!(consumer.await.unwrap_err().is_cancelled());
        consumer = consume();
    }
    harness::eventually_async("it is kept apart", async || waiting(&broker, "test.dlq").await == Some(1))
        .await;
    assert_eq!(began.available_permits(), 0, "it was not tried again");
    consumer.abort();
}
