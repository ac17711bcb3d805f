//! Changes of tastes that the users service announces over a real RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use broker_connection::Address;
use clock::{Clock as _, ManualClock, SystemClock};
use events::bus::Bus;
use events::{Envelope, Exchange, Source};
use harness::{RabbitMq, Redis, eventually_async};
use kit::generation::Surface;
use kit::testing::{PrivatePostgres, START, ServiceListener, TENANT, TestHome};
use library::settings::Settings;
use serde_json::{Value, json};

use crate::app::{DEMO, TestApp, settings};
use crate::people::Users;

const OTHER: &str = "00000000-0000-7000-8000-0000000000b0";
const LIST: &str = "/books?exclude-dislikes=true&sort-by=id-desc&per-page=100";

fn changed(tenant: &str, data: &Value) -> Envelope {
    let source = Source { service: "users".to_owned(), instance: "one".to_owned() };
    let data = data.as_object().unwrap().clone();
    let kind = "users.taste.changed".parse().unwrap();
    Envelope::new(kind, tenant.parse().unwrap(), source, data, SystemClock.now())
}

async fn an_announced_dislike_is_left_out_at_once(database_url: Option<String>, redis: Option<&Redis>) {
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let address = Address::parse(&broker.url()).unwrap();
    let (users, home, clock) = (Users::default(), Arc::new(TestHome::new()), ManualClock::at(START));
    let backends = vec![("/cutover.users.v1.", "users", users.router())];
    let listener = ServiceListener::start(&home, &clock, backends).await;
    let app = TestApp::with(home, &clock, database_url, |home, database_url| Settings {
        service_edge_url: listener.url(),
        broker: Some(address.clone()),
        redis: redis.map(|redis| redis_connection::Address::parse(&redis.url()).unwrap()),
        // No value ends by itself while the test runs.
        dislikes_live: Duration::from_hours(1),
        ..settings(home, database_url, Surface::Later)
    })
    .await;
    let has = async |person: &str, book: i64| app.get_as(person, LIST).await.ids().contains(&book);
    assert!(has(DEMO, 40).await && has(OTHER, 40).await);
    users.set_disliked_books(&[40]);
    assert!(has(DEMO, 40).await && has(OTHER, 40).await, "what is cached stays");

    let bus = Bus::open(Some(address), Default::default(), "users");
    let publish = async |tenant: &str, data: Value| {
        bus.publish(Exchange::Events, &changed(tenant, &data)).await.unwrap();
    };
    // Events without sense, and of another tenant, drop nothing. They come first, so they are handled by then.
    for data in [json!({}), json!({ "people": DEMO }), json!({ "people": [7] }), json!({ "people": ["x"] })] {
        publish(TENANT, data).await;
    }
    publish("00000000-0000-7000-8000-0000000000ff", json!({ "people": [OTHER] })).await;
    publish(TENANT, json!({ "people": [DEMO] })).await;
    eventually_async("the list leaves the book out", async || !has(DEMO, 40).await).await;
    assert!(has(OTHER, 40).await, "dislikes of another person are still cached");

    // Several people in one event.
    users.set_disliked_books(&[39]);
    publish(TENANT, json!({ "people": [DEMO, OTHER] })).await;
    eventually_async("both lists leave the other book out", async || {
        !has(DEMO, 39).await && !has(OTHER, 39).await && has(DEMO, 40).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_dislike_is_left_out_at_once_on_sqlite_with_redis() {
    let redis = Redis::start();
    an_announced_dislike_is_left_out_at_once(None, Some(&redis)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_dislike_is_left_out_at_once_on_postgresql() {
    let postgres = PrivatePostgres::start();
    an_announced_dislike_is_left_out_at_once(Some(postgres.url()), None).await;
}
