//! What the service hears from others over a real RabbitMQ.

use clock::{Clock as _, SystemClock};
use events::bus::Bus;
use events::{Envelope, Exchange, Source};
use harness::RabbitMq;
use identity::Role;
use kit::testing::PrivatePostgres;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use users::settings::Settings;

use crate::app::{DEMO, DEV, TestApp};

fn gone(data: &Value) -> Envelope {
    let source = Source { service: "notifications".to_owned(), instance: "one".to_owned() };
    let data = data.as_object().unwrap().clone();
    let kind = "notifications.device.gone".parse().unwrap();
    Envelope::new(kind, "t-1".parse().unwrap(), source, data, SystemClock.now())
}

async fn number(app: &TestApp, text: &str) -> i64 {
    let database = app.database().await;
    let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), text)).await;
    database.close().await.unwrap();
    row.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn a_device_that_is_gone_loses_its_token(database_url: Option<String>) {
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let address = broker_connection::Address::parse(&broker.url()).unwrap();
    let of_app = address.clone();
    let app = TestApp::with(database_url, |settings| Settings { broker: Some(of_app), ..settings }).await;
    let keep = async |person: &str, token: &str| {
        let body = json!({ "token": token }).to_string();
        let kept = app.call("POST /users/@me/fcm-token", &app.as_person(person, Role::NORMAL), &body).await;
        assert!(kept.status < 300, "{kept:?}");
    };
    for (person, token) in [(DEMO, "gone"), (DEV, "gone"), (DEMO, "kept")] {
        keep(person, token).await;
    }
    let bus = Bus::open(Some(address), Default::default(), "notifications");
    let event = gone(&json!({ "device": "gone" }));
    // Who publishes declares the queue, so it does not matter whether the service has done so.
    bus.publish(Exchange::Events, &event).await.unwrap();
    let handled = "SELECT count(*) FROM handled_events";
    harness::eventually_async("the event arrives", async || number(&app, handled).await == 1).await;
    assert_eq!(number(&app, "SELECT count(*) FROM fcm_token WHERE fcm_token = 'gone'").await, 0);
    assert_eq!(number(&app, "SELECT count(*) FROM fcm_token WHERE fcm_token = 'kept'").await, 1);
    // The token is registered again, and the same event arrives again: it has its effect once.
    keep(DEMO, "gone").await;
    bus.publish(Exchange::Events, &event).await.unwrap();
    for data in [json!({}), json!({ "device": 7 }), json!({ "device": "a\u{0}b" })] {
        bus.publish(Exchange::Events, &gone(&data)).await.unwrap();
    }
    bus.publish(Exchange::Events, &gone(&json!({ "device": "another" }))).await.unwrap();
    harness::eventually_async("the last one is handled", async || number(&app, handled).await == 2).await;
    assert_eq!(number(&app, "SELECT count(*) FROM fcm_token").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_gone_loses_its_token_on_sqlite() {
    a_device_that_is_gone_loses_its_token(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_gone_loses_its_token_on_postgresql() {
    let postgres = PrivatePostgres::start();
    a_device_that_is_gone_loses_its_token(Some(postgres.url())).await;
}
