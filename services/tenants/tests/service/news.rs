//! Changes reach the edge through Redis and other services as events, and no crash loses one.

use std::sync::Arc;

use clock::Clock;
use events::bus::{Bus, Topology};
use events::{Exchange, Outbox, Source};
use harness::{Redis, eventually_async};
use kit::testing::platform_service;
use sea_orm::ConnectionTrait as _;
use tenants::standing::Change;
use tenants::tenant::{Author, Name};
use tenants::tenants::{News, Tenants};
use tokio::sync::Notify;
use validity::tenant::{SharedTenants, Standing};

use crate::app::{ACME, TestApp};

/// The state of the tenant in Redis, with its version.
async fn shared(redis: &Redis) -> Option<(Standing, u64)> {
    let mut connection = validity::connect(&redis.url()).unwrap();
    let tenant = ACME.parse().unwrap();
    let found = SharedTenants::default().read(&mut connection, &tenant).await.ok()??;
    Some((found.0.standing, found.0.version))
}

async fn with_redis(redis: &Redis) -> TestApp {
    let address = validity::open(&redis.url()).unwrap();
    TestApp::with(None, |settings| tenants::settings::Settings { redis: Some(address), ..settings }).await
}

#[tokio::test]
async fn every_change_is_pushed_to_the_edge() {
    let redis = Redis::start();
    let app = with_redis(&redis).await;
    app.create(ACME, "Acme").await;
    for (line, standing, version) in [
        (format!("POST /_/tenants/{ACME}/suspend"), Standing::Suspended, 2),
        (format!("POST /_/tenants/{ACME}/reinstate"), Standing::Active, 3),
        (format!("DELETE /_/tenants/{ACME}"), Standing::Deleted, 5),
    ] {
        assert!(app.manage(&line, "").await.status < 300);
        eventually_async("Redis has the change", async || shared(&redis).await == Some((standing, version)))
            .await;
    }
}

#[tokio::test]
async fn a_change_while_redis_is_away_is_pushed_when_it_is_back() {
    let mut redis = Redis::start();
    let app = with_redis(&redis).await;
    app.create(ACME, "Acme").await;
    eventually_async("Redis has the tenant", async || shared(&redis).await.is_some()).await;
    redis.process().signal(harness::Signal::Kill);
    let suspended = app.manage(&format!("POST /_/tenants/{ACME}/suspend"), "").await;
    assert_eq!(suspended.status, 200, "a change does not wait for Redis");
    redis.restart();
    eventually_async("the worker tries again", async || {
        app.clock.advance_seconds(1);
        shared(&redis).await == Some((Standing::Suspended, 2))
    })
    .await;
}

/// The service without its workers, as if it was killed between the commit and everything after it.
async fn killed_after_the_commit(app: &TestApp) {
    let clock: Arc<dyn Clock> = Arc::new(app.clock.clone());
    let news = News {
        events: Outbox::new(Arc::clone(&clock)),
        invalidations: Some(Outbox::new(Arc::clone(&clock))),
        source: Source { service: "tenants".to_owned(), instance: "killed".to_owned() },
        offboardings: Arc::new(Notify::new()),
        participants: Arc::from([]),
    };
    let tenants = Tenants::new(app.database().await, clock, news);
    let author = Author::new(&platform_service("admin"), "r".to_owned(), None).unwrap();
    let id = ACME.parse().unwrap();
    tenants.create(Some(id), Name::read("Acme").unwrap(), &author).await.unwrap();
    tenants.change(id, Change::Suspend, &author).await.unwrap();
}

#[tokio::test]
async fn a_change_of_a_killed_service_is_pushed_by_the_next_one() {
    let redis = Redis::start();
    let app = with_redis(&redis).await;
    killed_after_the_commit(&app).await;
    eventually_async("Redis has the change", async || shared(&redis).await == Some((Standing::Suspended, 2)))
        .await;
    let database = app.database().await;
    eventually_async("both events are published", async || {
        let open = "SELECT 1 FROM outbox_events WHERE processed_at IS NULL";
        let all = "SELECT 1 FROM outbox_events WHERE kind = 'event'";
        let count = async |text: &str| {
            let statement = sea_orm::Statement::from_string(database.get_database_backend(), text);
            database.query_all_raw(statement).await.unwrap().len()
        };
        count(open).await == 0 && count(all).await == 2
    })
    .await;
}

#[tokio::test]
async fn events_arrive_at_the_broker_with_the_tenant_and_the_change() {
    let broker = harness::RabbitMq::start();
    let address = broker_connection::Address::parse(&broker.url()).unwrap();
    let topology: Topology = "coder".parse().unwrap();
    let app = TestApp::with(None, |settings| tenants::settings::Settings {
        broker: Some(address.clone()),
        topology: topology.clone(),
        ..settings
    })
    .await;
    let seen = Seen::default();
    let database = app.database().await;
    database
        .execute_unprepared("CREATE TABLE handled_events (consumer text, event_id blob, handled_at text, PRIMARY KEY (consumer, event_id))")
        .await
        .unwrap();
    let subscription = events::bus::Subscription {
        consumer: "audit-view".to_owned(),
        exchange: Exchange::Events,
        patterns: vec!["tenants.tenant.*".parse().unwrap()],
    };
    let handler =
        events::bus::Handler { handle: seen.clone(), database, clock: Arc::new(clock::SystemClock) };
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let bus = Bus::open(Some(address), topology.clone(), "audit-view");
    let consumer = tokio::spawn(bus.consume(subscription, handler, stopped));
    // The queue is there once the consumer is; events from then on wait in it.
    eventually_async("the first event arrives", async || {
        let id = uuid::Uuid::now_v7().to_string();
        app.create(&id, "Some").await;
        app.clock.advance_seconds(1);
        !seen.kinds().is_empty()
    })
    .await;
    app.create(ACME, "Acme").await;
    app.manage(&format!("POST /_/tenants/{ACME}/suspend"), r#"{"reason":"Unpaid"}"#).await;
    eventually_async("the suspension arrives", async || {
        app.clock.advance_seconds(1);
        seen.kinds().contains(&format!("tenants.tenant.suspended {ACME} \"Unpaid\""))
    })
    .await;
    stop.send(true).unwrap();
    consumer.await.unwrap();
}

/// Remembers events.
#[derive(Clone, Default)]
struct Seen(Arc<std::sync::Mutex<Vec<String>>>);

impl Seen {
    fn kinds(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl events::handled::Handle for Seen {
    async fn handle(
        &self,
        _: &sea_orm::DatabaseTransaction,
        event: &events::Envelope,
    ) -> Result<(), events::handled::NotHandled> {
        let line = format!("{} {} {}", event.kind, event.tenant_id, event.data["reason"]);
        self.0.lock().unwrap().push(line);
        Ok(())
    }
}
