//! RabbitMQ, PostgreSQL and workers end in the middle of a load: what was answered has its event, and its message, once.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

pub(crate) mod platform;
pub(crate) mod providers;
mod push;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::{RabbitMq, eventually, eventually_logged};
use serde_json::{Value, json};

use platform::Platform;
use providers::GONE;

/// Clients at the same time.
const CLIENTS: usize = 3;

/// Devices that a person has: more than the load has messages for.
const DEVICES: usize = 20_000;

/// What the load got.
#[derive(Default)]
struct Answers {
    /// Events that must exist, as tenant and type.
    events: BTreeSet<(String, String)>,
    /// Keys of messages that were taken.
    messages: BTreeSet<String>,
    /// Answers of a server that failed, with the times of the request.
    failures: Vec<(Instant, Instant, String)>,
    /// Anything else: no answer, or one that this load never gets.
    wrong: Vec<String>,
}

struct Load<'p> {
    platform: &'p Platform,
    next: AtomicUsize,
    is_over: AtomicBool,
    answers: Mutex<Answers>,
}

impl Load<'_> {
    fn answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().expect("no thread panicked")
    }

    /// Sends one request, and returns whether it was accepted.
    fn send(&self, path: &str, body: &Value) -> bool {
        let begun = Instant::now();
        match self.platform.call("POST", path, body) {
            Ok(answer) if (200..300).contains(&answer.status) => return true,
            Ok(answer) if [500, 503].contains(&answer.status) => {
                let what = format!("{path}: {} {}", answer.status, answer.text());
                self.answers().failures.push((begun, Instant::now(), what));
            }
            Ok(answer) => self.answers().wrong.push(format!("{path}: {} {}", answer.status, answer.text())),
            Err(error) => self.answers().wrong.push(format!("{path}: {error}")),
        }
        false
    }

    /// A tenant that is created and suspended, or a message: in turn.
    fn one(&self) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number.is_multiple_of(2) {
            let id = format!("00000000-0000-7000-8000-{number:012}");
            let event = |what: &str| (id.clone(), format!("tenants.tenant.{what}"));
            if self.send("/_/tenants", &json!({ "id": id, "name": format!("Tenant {number}") })) {
                self.answers().events.insert(event("created"));
                if self.send(&format!("/_/tenants/{id}/suspend"), &json!({})) {
                    self.answers().events.insert(event("suspended"));
                }
            }
            return;
        }
        let (key, message) = match number % 6 {
            1 => (format!("letter-{number}"), None),
            3 => (format!("push-{number}"), Some("device".to_owned())),
            _ => (format!("gone-{number}"), Some(format!("{GONE}{number}"))),
        };
        let content = match message {
            Some(device) => {
                json!({ "tenantId": "t-1", "push": { "device": device, "title": key, "body": "" } })
            }
            None => {
                json!({ "tenantId": "t-1", "mail": { "to": "a@example.com", "subject": key, "text": "t" } })
            }
        };
        if self.send("/_/notifications/messages", &json!({ "idempotencyKey": key, "message": content })) {
            self.answers().messages.insert(key);
        }
    }

    /// Waits until more tenants are changed and more messages are taken.
    fn goes_on(&self, what: &str) {
        let counts = || {
            let answers = self.answers();
            (answers.events.len(), answers.messages.len())
        };
        let before = counts();
        let shown = || {
            let answers = self.answers();
            format!("{:?} {:?}", answers.wrong.last(), answers.failures.last())
        };
        eventually_logged(what, shown, || {
            let now = counts();
            now.0 > before.0 + 10 && now.1 > before.1 + 10
        });
    }
}

/// A queue of its own for every event, as a service has one that is away for now.
async fn queue(broker: &RabbitMq) -> lapin::Channel {
    let connection = lapin::Connection::connect(&broker.url(), lapin::ConnectionProperties::default()).await;
    let channel = connection.expect("the broker is there").create_channel().await.expect("a channel");
    let durable = lapin::options::ExchangeDeclareOptions { durable: true, ..Default::default() };
    let (name, topic) = ("coder.events", lapin::ExchangeKind::Topic);
    channel.exchange_declare(name.into(), topic, durable, Default::default()).await.expect("an exchange");
    let durable = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare("counted".into(), durable, Default::default()).await.expect("a queue");
    let bound =
        channel.queue_bind("counted".into(), name.into(), "#".into(), Default::default(), Default::default());
    bound.await.expect("a binding");
    channel
}

/// Takes every event from the queue.
async fn take(channel: &lapin::Channel, queue: &str) -> Vec<Value> {
    let options = lapin::options::BasicGetOptions { no_ack: true };
    let mut events = Vec::new();
    while let Some(message) = channel.basic_get(queue.into(), options).await.expect("a queue") {
        events.push(serde_json::from_slice(&message.delivery.data).expect("an event is JSON"));
    }
    events
}

/// Kills and restarts in the middle of the load, and returns from when to when the database was away.
fn outages(load: &Load<'_>) -> (Instant, Instant) {
    let platform = load.platform;
    let broker = || platform.broker.lock().expect("no thread panicked");
    load.goes_on("the load runs");
    broker().kill();
    load.goes_on("changes and messages are taken without a broker");
    let from = Instant::now();
    platform.postgres.kill();
    eventually("requests of both kinds fail without a database", || {
        let failed = |path: &str| load.answers().failures.iter().any(|(.., what)| what.starts_with(path));
        failed("/_/tenants") && failed("/_/notifications")
    });
    platform.postgres.restart();
    let until = Instant::now();
    load.goes_on("changes and messages are taken again");
    broker().run();
    load.goes_on("the load goes on with the broker");
    platform.kill_workers();
    load.goes_on("changes and messages are taken without the further workers");
    platform.start_workers();
    // Once more, now that rows are on their way.
    broker().kill();
    broker().run();
    load.goes_on("the load goes on with all parts");
    (from, until)
}

#[test]
fn no_event_and_no_message_is_lost_and_none_is_sent_twice() {
    let platform = Platform::start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let connect = || runtime.block_on(queue(&platform.broker.lock().expect("no thread panicked")));
    drop(connect());
    // Devices that are gone belong to a person, whose service hears of it and removes them.
    let devices = format!(
        "INSERT INTO fcm_token (udid, user_id, fcm_token, updated_at) SELECT gen_random_uuid(), \
         (SELECT id FROM users LIMIT 1), '{GONE}' || number, now() FROM generate_series(1, {DEVICES}) AS number"
    );
    platform.postgres.sql(&devices);
    let load = Load {
        platform: &platform,
        next: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        answers: Mutex::default(),
    };
    let (from, until) = std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !load.is_over.load(Ordering::Relaxed) {
                    load.one();
                    harness::pause(Duration::from_millis(5), "other programs need some of the machine");
                }
            });
        }
        let away = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| outages(&load)));
        load.is_over.store(true, Ordering::Relaxed);
        away.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let Answers { events, messages, failures, wrong } =
        load.answers.into_inner().expect("no thread panicked");
    assert!(wrong.is_empty(), "{wrong:?}");
    let elsewhere: Vec<_> =
        failures.iter().filter(|(begun, ended, _)| *begun > until || *ended < from).collect();
    assert!(elsewhere.is_empty(), "{from:?} to {until:?} the database was away, but {elsewhere:?}");

    // Every change is an event: those that were answered, and those whose answer was lost.
    let changes =
        platform.rows("tenants", "SELECT replace(stream, 'tenants.tenant:', ''), kind FROM stored_events");
    let changes: BTreeSet<_> = changes.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let lost: Vec<_> = events.difference(&changes).collect();
    assert!(lost.is_empty(), "of {} answered changes {lost:?} are not stored", events.len());
    let (channel, mut arrived) = (connect(), BTreeMap::<(String, String), BTreeSet<String>>::new());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    eventually("every event arrives", || {
        for event in runtime.block_on(take(&channel, "counted")) {
            if event["source"]["service"] == "tenants" {
                let change = (text(&event["tenantId"]), text(&event["type"]));
                arrived.entry(change).or_default().insert(text(&event["id"]));
            }
        }
        arrived.len() >= changes.len()
    });
    assert!(arrived.keys().eq(&changes), "an event has no change");
    let twice: Vec<_> = arrived.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(twice.is_empty(), "changes with two events: {twice:?}");

    // Every message that was taken is sent once.
    let waiting =
        "SELECT idempotency_key FROM outbox_events WHERE processed_at IS NULL AND failed_at IS NULL";
    for service in ["notifications", "tenants"] {
        eventually("the outbox is empty", || platform.rows(service, waiting).is_empty());
    }
    // The name of a row is caller, tenant and key.
    let query = "SELECT split_part(idempotency_key, chr(31), 3), failed_at IS NOT NULL, coalesce(last_error, '') FROM outbox_events WHERE kind IN ('push', 'mail')";
    let rows = platform.rows("notifications", query);
    let stored: BTreeSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let lost: Vec<_> = messages.iter().filter(|key| !stored.contains(key.as_str())).collect();
    assert!(lost.is_empty(), "of {} messages {lost:?} are not stored", messages.len());
    let (mut letters, mut pushed) = (BTreeMap::<_, u32>::new(), BTreeMap::<_, BTreeSet<String>>::new());
    for subject in platform.providers.letters() {
        *letters.entry(subject).or_default() += 1;
    }
    for push in platform.providers.pushed() {
        // A device shows messages with one tag once.
        let tag = text(&push["android"]["notification"]["tag"]);
        pushed.entry(text(&push["notification"]["title"])).or_default().insert(tag);
    }
    assert!(letters.values().all(|times| *times == 1), "a letter was sent twice: {letters:?}");
    assert!(pushed.values().all(|tags| tags.len() == 1), "a push message has two tags: {pushed:?}");
    for row in &rows {
        let [key, is_dead, error] = &row[..] else { panic!("{row:?}") };
        let is_sent = letters.contains_key(key) || pushed.contains_key(key);
        match (is_dead.as_str(), key.split('-').next()) {
            ("f", Some("letter" | "push")) => assert!(is_sent, "{key} counts as sent and was not"),
            // The worker was killed while it sent; an operator decides.
            ("t", Some("letter")) if error.contains("not known whether") => {}
            // The provider was tried and said so. An app that was uninstalled leaves nothing to decide.
            ("f", Some("gone")) => assert!(is_sent, "{key} counts as done and its device was not tried"),
            _ => panic!("{row:?}"),
        }
    }

    // A consumer hears of each device that is gone, and has the effect once.
    let gone = rows.iter().filter(|row| row[0].starts_with(GONE)).count();
    let handled = "SELECT count(*) FROM handled_events WHERE consumer = 'users'";
    let count = |query: &str| platform.rows("users", query)[0][0].parse::<usize>().expect("a number");
    eventually("the users service has handled every event", || count(handled) == gone);
    let left = format!("SELECT count(*) FROM fcm_token WHERE fcm_token LIKE '{GONE}%'");
    assert_eq!(count(&left), DEVICES - gone, "tokens of devices that are gone");
    assert!(runtime.block_on(take(&channel, "coder.dlq")).is_empty(), "no event was given up");
}
