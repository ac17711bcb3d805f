//! From a new book to the devices of a person: library, users, RabbitMQ, notifications, FCM, each of them killed on the way.

use std::path::Path;
use std::process::Command;

use harness::wire::Answer;
use harness::{
    Edge, Part, Port, Process, RabbitMq, Signal, eventually, eventually_logged, program, repository,
};
use kit::testing::PrivatePostgres;
use serde_json::{Value, json};

use super::providers::{GONE, Providers};

/// The role of a bot, which adds books.
const BOT: u8 = 2;

fn notifications(home: &Path, broker: &str, providers: &str, port: &Port) -> Process {
    let mut command = Command::new(program("notifications"));
    command.current_dir(repository()).env_remove("DATABASE_URL").env("CUTOVER_HOME", home);
    command.env("NOTIFICATIONS_ADDRESS", port.address().to_string()).env("AMQP_URL", broker);
    command.env("FCM_ACCOUNT", home.join("fcm.json")).env("FCM_URL", providers);
    let process = Process::start("notifications", &mut command, &home.join("logs/notifications.log"));
    eventually_logged("notifications is ready", || process.log(), || process.log().contains("ready"));
    process
}

/// Waits until the queue of `consumer` exists, and returns how many events wait in it.
fn queued(broker: &RabbitMq, consumer: &str) -> u32 {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        harness::eventually_async("the queue exists", async || count(broker, consumer).await.is_some()).await;
        count(broker, consumer).await.unwrap_or_default()
    })
}

async fn count(broker: &RabbitMq, consumer: &str) -> Option<u32> {
    let properties = lapin::ConnectionProperties::default();
    let connection = lapin::Connection::connect(&broker.url(), properties).await.ok()?;
    let channel = connection.create_channel().await.ok()?;
    let passive = lapin::options::QueueDeclareOptions { passive: true, ..Default::default() };
    let queue = channel.queue_declare(format!("coder.{consumer}").into(), passive, Default::default()).await;
    queue.ok().map(|queue| queue.message_count())
}

fn sign_in(edge: &Edge) -> String {
    let post = |path: &str, body: Value| {
        edge.request("POST", path).header("content-type", "application/json").body(body.to_string()).send()
    };
    assert_eq!(post("/auth/code", json!({ "email": "demo@example.com" })).status, 201);
    let code = edge.login_code("demo@example.com");
    let answer = post("/auth/token", json!({ "email": "demo@example.com", "code": code }));
    answer.cookie("madome_access_token").expect("a session")
}

fn send(edge: &Edge, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let request = edge.request(method, path).token(token);
    request.header("content-type", "application/json").body(body.to_string()).send()
}

#[test]
fn a_new_book_is_one_push_message_for_each_device_whatever_is_killed_on_the_way() {
    let (mut broker, providers, port) = (RabbitMq::start(), Providers::start(), Port::lease());
    let postgres = PrivatePostgres::start();
    let mut edge = Edge::shipped("dev")
        .variable("AMQP_URL", &broker.url())
        .variable("DATABASE_URL", &postgres.url())
        .start();
    // A killed worker has its rows for a minute, for which a test has no time.
    let leases_end =
        || postgres.sql("UPDATE outbox_events SET next_attempt_at = created_at WHERE processed_at IS NULL");
    let home = edge.home().to_owned();
    secret_file::write(&home.join("fcm.json"), providers.account().as_bytes()).expect("the home is writable");
    let (url, fcm) = (broker.url(), providers.url());
    let start = || notifications(&home, &url, &fcm, &port);
    let first = start();
    queued(&broker, "notifications");
    queued(&broker, "users");
    drop(first);

    let (person, bot) = (sign_in(&edge), edge.mint().good(BOT));
    let like = json!({ "kind": "book_tag", "tag_kind": "misc", "tag_name": "full color" });
    assert_eq!(send(&edge, &person, "POST", "/users/@me/likes", &like).status, 201);
    let gone = format!("{GONE}device");
    for (number, token) in ["phone", "tablet", &gone].iter().enumerate() {
        let device = format!("00000000-0000-4000-8000-{number:012}");
        let body = json!({ "udid": device, "fcm_token": token });
        assert_eq!(send(&edge, &person, "POST", "/users/@me/fcm-token", &body).status, 201);
    }

    // The library is killed after the change and before the users service hears of it.
    edge.stop(Part::Users, Signal::Kill);
    let book = |id: u32| {
        json!({
            "id": id, "title": "A new book", "kind": "manga", "language": "korean", "page": 3,
            "tags": [["misc", "full color"]], "created_at": "2022-01-31T17:12:00+01:00",
        })
    };
    let added = send(&edge, &bot, "POST", "/books", &book(1000));
    assert_eq!(added.status, 201, "{}", added.text());
    edge.stop(Part::Library, Signal::Kill);
    leases_end();
    broker.kill();
    edge.start(Part::Users);
    edge.start(Part::Library);
    edge.wait_until_ready();
    // The users service is killed after the change and before the broker hears of it.
    eventually("the person is told", || {
        send(&edge, &person, "GET", "/users/@me/notifications", &Value::Null).text().contains("1000")
    });
    edge.stop(Part::Users, Signal::Kill);
    leases_end();
    broker.run();
    edge.start(Part::Users);
    edge.wait_until_ready();
    // The broker is killed after it has the events, and before the notifications service has them.
    eventually("the events are queued", || queued(&broker, "notifications") == 3);
    broker.kill();
    broker.run();
    let _running = start();
    let devices = || {
        let mut devices: Vec<_> = providers.pushed().iter().map(|push| push["token"].to_string()).collect();
        devices.sort_unstable();
        devices
    };
    eventually("the devices get their messages", || devices().len() >= 3);
    // The device that is gone is no person's any more, and the next book reaches the others.
    assert_eq!(send(&edge, &bot, "POST", "/books", &book(1001)).status, 201);
    eventually("the devices get the second message", || devices().len() >= 5);
    let [gone, phone, tablet] = ["\"gone-device\"", "\"phone\"", "\"tablet\""];
    assert_eq!(devices(), [gone, phone, phone, tablet, tablet]);
    let message = &providers.pushed()[0];
    assert_eq!(message["notification"]["title"], "New book");
    assert_eq!(message["data"]["book_id"], "1000");
}
