//! Messages that other services announce over a real RabbitMQ.

use std::collections::BTreeSet;

use clock::{Clock as _, SystemClock};
use events::bus::Bus;
use events::{Envelope, Exchange, Source};
use harness::RabbitMq;
use notifications::settings::Settings;
use serde_json::{Value, json};

use crate::app::{TestApp, mail};

fn event(data: &Value) -> Envelope {
    let source = Source { service: "auth".to_owned(), instance: "one".to_owned() };
    let data = data.as_object().unwrap().clone();
    let kind = "auth.code.requested".parse().unwrap();
    Envelope::new(kind, "t-1".parse().unwrap(), source, data, SystemClock.now())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_on_the_exchange_of_notifications_is_one_message() {
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let address = broker_connection::Address::parse(&broker.url()).unwrap();
    let of_app = address.clone();
    let app = TestApp::with(None, |settings| Settings { broker: Some(of_app), ..settings }).await;
    let bus = Bus::open(Some(address), Default::default(), "auth");
    let first = event(&json!({ "mail": mail("a@example.com") }));
    // Who publishes declares the queue, so it does not matter whether the service has done so.
    bus.publish(Exchange::Notifications, &first).await.unwrap();
    harness::eventually_async("the event arrives", async || {
        app.number("SELECT count(*) FROM handled_events").await == 1
    })
    .await;
    for data in [
        json!({}),
        json!({ "mail": { "to": "nobody" } }),
        json!({ "mail": mail("a@example.com"), "push": 7 }),
        json!({ "push": { "device": "d", "title": "a\0b", "body": "" } }),
    ] {
        bus.publish(Exchange::Notifications, &event(&data)).await.unwrap();
    }
    bus.publish(Exchange::Notifications, &first).await.unwrap();
    bus.publish(Exchange::Notifications, &event(&json!({ "mail": mail("b@example.com") }))).await.unwrap();
    app.delivered(2).await;
    let sent = app.providers.seen("/v2/email/outbound-emails");
    // Two workers send beside each other: which of two messages goes first is not promised.
    let to: BTreeSet<_> = sent
        .iter()
        .map(|seen| seen.json()["Destination"]["ToAddresses"][0].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(to, BTreeSet::from(["a@example.com".to_owned(), "b@example.com".to_owned()]));
    assert_eq!(sent.len(), 2, "each once");
    assert_eq!(app.number("SELECT count(*) FROM outbox_events").await, 2, "the others became no message");
    app.work.stop().await;
}
