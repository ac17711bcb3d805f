//! The audit's broker over TLS, and another broker that takes over in the middle of a load.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::authority::{Authority, Pair};
use harness::wire::Request;
use harness::{Backend, Edge, Part, Port, Process, RabbitMq, eventually, meanwhile, program};
use serde_json::Value;

/// Removes everything in the queue of the audit, and returns the request ids.
fn taken(broker: &RabbitMq) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let properties = lapin::ConnectionProperties::default();
        let connection = lapin::Connection::connect(&broker.url(), properties).await;
        let channel = connection.expect("the broker takes connections").create_channel().await;
        let channel = channel.expect("a channel");
        let options = lapin::options::BasicGetOptions { no_ack: true };
        let mut ids = Vec::new();
        while let Ok(Some(message)) = channel.basic_get("coder.audit".into(), options).await {
            let event: Value = serde_json::from_slice(&message.delivery.data).expect("every event is JSON");
            ids.extend(event.get("request_id").and_then(Value::as_str).map(str::to_owned));
        }
        ids
    })
}

/// A request that is refused, so that there is an event about it; its id.
fn refused(edge: &Edge, number: usize) -> String {
    let id = format!("01932c07-0000-7000-8000-{number:012}");
    assert_eq!(edge.get("/books").header("x-request-id", &id).send().status, 401);
    id
}

fn files(ca: &Path, pair: &Pair) -> String {
    format!("ca={}&certificate={}&key={}", ca.display(), pair.certificate.display(), pair.key.display())
}

#[test]
fn the_audit_reaches_rabbitmq_over_tls_and_no_other_server_gets_it() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (authority, other) = (Authority::new(), Authority::new());
    let (ca, wrong) = (home.path().join("ca.pem"), home.path().join("other.pem"));
    authority.write(&ca);
    other.write(&wrong);
    let broker = RabbitMq::start_encrypted(&ca, &authority.issue(home.path(), "broker", "localhost"));
    let client = authority.issue(home.path(), "client", "authorizer");
    let expired = authority.issue_expired(home.path(), "expired", "authorizer");
    let password = home.path().join("password");
    secret_file::write(&password, b"guest\n").expect("it can be written");

    let port = broker.encrypted_port();
    let backend = Backend::plain();
    let good = files(&ca, &client);
    let url = format!("amqps://guest@localhost:{port}/%2f?password_file={}&{good}", password.display());
    let edge = Edge::dev().every_backend(backend.address()).variable("AMQP_URL", &url).start();
    let sent: BTreeSet<String> = (0..20).map(|number| refused(&edge, number)).collect();
    let mut arrived = BTreeSet::new();
    eventually("the events arrive", || {
        arrived.extend(taken(&broker));
        sent.is_subset(&arrived)
    });

    let plain = broker.port();
    for (url, part) in [
        (
            format!("amqps://guest:s3cret@localhost:{port}/%2f?{}", files(&wrong, &client)),
            "invalid peer certificate",
        ),
        (format!("amqps://guest:s3cret@127.0.0.1:{port}/%2f?{good}"), "not valid for name"),
        (format!("amqps://guest:s3cret@localhost:{plain}/%2f?{good}"), "is this the port for TLS"),
        (format!("amqps://guest:s3cret@localhost:{port}/%2f?{}", files(&ca, &expired)), "localhost:"),
        (format!("amqps://guest:s3cret@localhost:{port}/%2f?ca={}", ca.display()), "localhost:"),
        (format!("amqps://guest:s3cret@localhost:{port}/%2f?{good}"), "ACCESS_REFUSED"),
    ] {
        let (address, admin) = (Port::lease(), Port::lease());
        let mut command = Command::new(program("authz-service"));
        command.env("CUTOVER_HOME", edge.home()).env("EDGE_FILE", edge.file()).env("AMQP_URL", &url);
        command.env("AUTHZ_ADDRESS", address.address().to_string());
        command.env("AUTHZ_ADMIN_ADDRESS", admin.address().to_string());
        let log = home.path().join(format!("authz-{}.log", address.number()));
        let mut process = Process::start("authz-service", &mut command, &log);
        eventually("the fault is reported", || {
            assert!(process.is_running(), "decisions go on: {}", process.log());
            process.log().contains("audit broker unavailable; retrying")
        });
        let log = process.log();
        assert!(log.contains(part), "{part:?} is missing in {log}");
        assert!(!log.contains("s3cret"), "the broker's password is in the log");
        let ready = Request::new(admin.address(), "GET", "/readyz");
        eventually("it decides", || ready.try_send().is_ok_and(|answer| answer.status == 200));
    }
}

#[test]
fn another_broker_takes_over_in_the_middle_of_a_load_and_no_event_is_lost() {
    let (mut first, second) = (RabbitMq::start(), RabbitMq::start());
    let url = format!("amqp://guest:guest@127.0.0.1:{},127.0.0.1:{}/%2f", first.port(), second.port());
    let backend = Backend::plain();
    let mut edge = Edge::dev().every_backend(backend.address()).variable("AMQP_URL", &url).start();
    let (next, sent) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    let ask = || {
        let id = refused(&edge, next.fetch_add(1, Ordering::Relaxed));
        sent.lock().expect("no thread panicked").insert(id);
    };
    let mut arrived = BTreeSet::new();
    meanwhile(Duration::from_millis(2), ask, || {
        eventually("events arrive at the first broker", || {
            arrived.extend(taken(&first));
            arrived.len() > 50
        });
        first.kill();
        eventually("events arrive at the second broker", || !taken_into(&mut arrived, &second).is_empty());
    });
    // What the first one had confirmed is still there when it is back.
    first.run();
    let sent = sent.into_inner().expect("no thread panicked");
    eventually("every event is at one of both", || {
        taken_into(&mut arrived, &first);
        taken_into(&mut arrived, &second);
        sent.is_subset(&arrived)
    });
    let metrics = Request::new(edge.address("AUTHZ_ADMIN_ADDRESS"), "GET", "/metrics").send().text();
    assert!(metrics.contains("authz_audit_dropped_total{sink=\"amqp\"} 0"), "{metrics}");
    let log = edge.part(Part::Authz).log();
    assert!(!log.contains("guest:guest"), "the broker's password is in the log");
}

/// Adds the events at `broker` to those that arrived, and returns them.
fn taken_into(arrived: &mut BTreeSet<String>, broker: &RabbitMq) -> Vec<String> {
    let ids = taken(broker);
    arrived.extend(ids.iter().cloned());
    ids
}
