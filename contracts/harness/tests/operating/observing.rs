//! What the edge reports about decisions: by request id, in the audit, and never a secret.
#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use harness::tokens::DEMO_TENANT;
use harness::wire::{Answer, Request};
use harness::{Backend, Edge, Part, RabbitMq, Signal, eventually, pause};
use serde_json::Value;

fn admin(edge: &Edge, path: &str) -> Answer {
    Request::new(edge.address("AUTHZ_ADMIN_ADDRESS"), "GET", path).send()
}

fn audit(edge: &Edge) -> Vec<Value> {
    let text = std::fs::read_to_string(edge.home().join("logs/audit.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
}

fn metric(edge: &Edge, name: &str) -> u64 {
    let metrics = admin(edge, "/metrics").text();
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or_default()
}

/// The stages of a decision, as `stage=outcome`.
fn stages(decision: &Value) -> Vec<String> {
    let steps = decision["stages"].as_array().expect("a decision has stages");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    steps.iter().map(|step| format!("{}={}", text(&step["stage"]), text(&step["outcome"]))).collect()
}

#[test]
fn a_decision_is_found_by_its_request_id_with_the_stage_where_it_stopped() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    let id = "01932c07-0000-7000-8000-00000000000a";
    assert_eq!(edge.request("POST", "/users").token(&token).header("x-request-id", id).send().status, 403);
    let record = admin(&edge, &format!("/decisions/{id}"));
    assert_eq!(record.status, 200);
    let record = record.json();
    for (field, value) in [
        ("request_id", id),
        ("route", "users-create"),
        ("policy", "bot"),
        ("exposure", "public"),
        ("decision", "deny"),
        ("reason", "role_too_low"),
        ("principal", "person"),
        ("tenant", DEMO_TENANT),
        ("client", "127.0.0.1"),
    ] {
        assert_eq!(record[field], value, "{field} of {record:#}");
    }
    assert_eq!(record["status"], 403);
    assert!(record["subject"].is_string() && record["session"].is_string(), "{record:#}");
    assert!(record["time"].as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z')));
    assert_eq!(record["revision"], admin(&edge, "/readyz").json()["revision"]);
    assert_eq!(
        stages(&record),
        [
            "route=passed",
            "limit=passed",
            "credential=passed",
            "session=passed",
            "tenant=passed",
            "policy=role_too_low",
            "identity=not_reached"
        ]
    );

    // The id that the edge minted is the one of the access log.
    assert_eq!(edge.get("/books").send().status, 401);
    assert_eq!(edge.get("/books").token(&token).send().status, 200);
    let refused = edge.logged("/books", 401);
    let minted = refused["request_id"].as_str().expect("it has an id").to_owned();
    let record = admin(&edge, &format!("/decisions/{minted}")).json();
    assert_eq!((&record["reason"], &record["principal"]), (&"no_credential".into(), &"anonymous".into()));
    assert_eq!(record.get("subject"), None);
    assert!(stages(&record).contains(&"credential=no_credential".to_owned()));

    let denied = admin(&edge, "/decisions?limit=1&decision=deny").json();
    assert_eq!(denied.as_array().map(Vec::len), Some(1));
    assert_eq!(denied[0]["request_id"], minted.as_str(), "the newest first");
    let allowed = admin(&edge, "/decisions?decision=allow&route=books").json();
    assert_eq!(allowed[0]["reason"], "allowed");
    assert_eq!(allowed[0].get("status"), None, "the backend answers an allow");
    assert!(stages(&allowed[0]).iter().all(|stage| stage.ends_with("=passed")));

    let unknown = admin(&edge, "/decisions/01932c07-0000-7000-8000-0000000000ff");
    assert_eq!(unknown.status, 404);
    assert!(unknown.json()["problem"].is_string());
    assert_eq!(admin(&edge, "/decisions?decison=deny").status, 400, "a misspelt filter is not ignored");
}

#[test]
fn the_audit_has_every_refusal_and_every_change_of_what_decides() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    let id = "01932c07-0000-7000-8000-00000000000b";
    assert_eq!(edge.get("/books").header("x-request-id", id).send().status, 401);
    assert_eq!(edge.get("/books").token(&token).send().status, 200);
    let of = |kind: &str| audit(&edge).into_iter().filter(|event| event["kind"] == kind).collect::<Vec<_>>();
    let about = |id: &str| audit(&edge).into_iter().find(|event| event["request_id"] == id);
    eventually("the refusal is in the audit", || about(id).is_some());
    let event = about(id).expect("it is there");
    assert_eq!(event["kind"], "decision", "{event:#}");
    assert_eq!((&event["route"], &event["reason"]), (&"books".into(), &"no_credential".into()), "{event:#}");
    assert_eq!(event["id"].as_str().map(|id| id.as_bytes()[14]), Some(b'7'), "a UUIDv7: {event:#}");
    assert!(
        of("decision").iter().all(|event| event["decision"] != "allow"),
        "an allowed person is not in the audit"
    );
    assert_eq!(of("admin")[0]["action"], "started");

    let tenants = edge.home().join("tenants.yaml");
    let text = std::fs::read_to_string(&tenants).expect("the directory is there");
    std::fs::write(&tenants, text.replacen("status: active", "status: suspended", 1))
        .expect("it is writable");
    eventually("the suspension is in the audit", || {
        of("tenant").iter().any(|event| {
            event["tenant"] == DEMO_TENANT && event["from"] == "active" && event["to"] == "suspended"
        })
    });

    let file = edge.text();
    std::fs::write(edge.file(), format!("{file}nonsense: true\n")).expect("it is writable");
    eventually("the wrong file is in the audit", || {
        of("edge_reload")
            .iter()
            .any(|event| event["result"] == "refused" && event["problem"].to_string().contains("nonsense"))
    });
    std::fs::write(edge.file(), format!("{file}# a remark\n")).expect("it is writable");
    eventually("the new file is in the audit", || {
        of("edge_reload").iter().any(|event| event["result"] == "applied")
    });
    assert_eq!(metric(&edge, "authz_audit_dropped_total{sink=\"file\"}"), 0);
}

/// Removes and returns everything in the queue.
fn taken(url: &str) -> Vec<Value> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let connection = lapin::Connection::connect(url, lapin::ConnectionProperties::default())
            .await
            .expect("the broker takes connections");
        let channel = connection.create_channel().await.expect("a channel");
        let mut events = Vec::new();
        let options = lapin::options::BasicGetOptions { no_ack: true };
        while let Ok(Some(message)) = channel.basic_get("coder.audit".into(), options).await {
            let event: Value = serde_json::from_slice(&message.delivery.data).expect("every event is JSON");
            let properties = &message.delivery.properties;
            assert_eq!(properties.message_id().as_ref().map(|id| id.as_str()), event["id"].as_str());
            assert_eq!(message.delivery.routing_key.as_str(), "audit", "{event:#}");
            assert_eq!(properties.kind().as_ref().map(|kind| kind.as_str()), event["kind"].as_str());
            assert_eq!(*properties.delivery_mode(), Some(2), "it survives a restart of the broker");
            events.push(event);
        }
        events
    })
}

#[test]
fn rabbitmq_gets_the_audit_through_a_pause_and_a_crash_and_no_request_waits_for_it() {
    let mut broker = RabbitMq::start();
    let backend = Backend::plain();
    let mut edge = Edge::dev().every_backend(backend.address()).variable("AMQP_URL", &broker.url()).start();
    let ask = |edge: &Edge, number: usize| {
        let id = format!("01932c07-0000-7000-8000-{number:012}");
        assert_eq!(edge.get("/books").header("x-request-id", &id).send().status, 401);
        id
    };
    let url = broker.url();
    let mut arrived: Vec<String> = Vec::new();
    let mut until_arrived = |ids: &[String]| {
        eventually("the events arrive", || {
            let events = taken(&url).into_iter();
            arrived.extend(events.filter_map(|event| Some(event["request_id"].as_str()?.to_owned())));
            ids.iter().all(|id| arrived.contains(id))
        });
    };
    let first: Vec<_> = (0..20).map(|number| ask(&edge, number)).collect();
    until_arrived(&first);
    assert_eq!(metric(&edge, "authz_audit_dropped_total{sink=\"amqp\"}"), 0);

    broker.signal(Signal::Stop);
    let paused: Vec<_> = (20..40).map(|number| ask(&edge, number)).collect();
    broker.signal(Signal::Continue);
    until_arrived(&paused);

    broker.kill();
    let crashed: Vec<_> = (40..60).map(|number| ask(&edge, number)).collect();
    eventually("the failure is reported", || {
        edge.part(Part::Authz).log().contains("audit broker unavailable; retrying")
    });
    broker.run();
    until_arrived(&crashed);
    assert_eq!(metric(&edge, "authz_audit_dropped_total{sink=\"amqp\"}"), 0);

    // Shutdown publishes the waiting events.
    let last = ask(&edge, 60);
    edge.stop(Part::Authz, Signal::Terminate);
    until_arrived(&[last]);
    assert!(!edge.part(Part::Authz).log().contains("guest:guest"), "the broker's password is in the log");
}

/// A removed queue is created and bound again. A full one refuses events, which wait and are published once it has
/// room. No request waits meanwhile, and no event is lost.
#[test]
fn a_queue_that_is_removed_or_refuses_costs_no_event_and_no_request() {
    use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
    use lapin::types::{AMQPValue, FieldTable};
    let broker = RabbitMq::start();
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).variable("AMQP_URL", &broker.url()).start();
    let url = broker.url();
    // Removes the queue, and puts one in its place that refuses everything.
    let remove = |refusing: bool| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let connection = lapin::Connection::connect(&url, lapin::ConnectionProperties::default())
                .await
                .expect("the broker takes connections");
            let channel = connection.create_channel().await.expect("a channel");
            channel
                .queue_delete("coder.audit".into(), QueueDeleteOptions::default())
                .await
                .expect("it can be removed");
            if refusing {
                let mut arguments = FieldTable::default();
                arguments.insert("x-max-length".into(), AMQPValue::LongInt(0));
                arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
                let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
                channel
                    .queue_declare("coder.audit".into(), options, arguments)
                    .await
                    .expect("it can be declared");
                channel
                    .queue_bind(
                        "coder.audit".into(),
                        "coder.audit".into(),
                        "audit".into(),
                        lapin::options::QueueBindOptions::default(),
                        FieldTable::default(),
                    )
                    .await
                    .expect("it can be bound");
            }
        });
    };
    let ask = |number: usize| {
        let id = format!("01932c07-0000-7000-8000-{number:012}");
        let asked = Instant::now();
        assert_eq!(edge.get("/books").header("x-request-id", &id).send().status, 401);
        assert!(asked.elapsed() < Duration::from_secs(5), "a request waited for the broker");
        id
    };
    let mut arrived: Vec<String> = Vec::new();
    let mut until_arrived = |ids: &[String], what: &str| {
        eventually(what, || {
            let events = taken(&url).into_iter();
            arrived.extend(events.filter_map(|event| Some(event["request_id"].as_str()?.to_owned())));
            ids.iter().all(|id| arrived.contains(id))
        });
    };
    until_arrived(&[ask(0)], "the first event arrives");
    remove(false);
    let after: Vec<_> = (1..10).map(ask).collect();
    until_arrived(&after, "the queue is made again");
    remove(true);
    let refused: Vec<_> = (10..20).map(ask).collect();
    pause(Duration::from_secs(2), "the broker has refused the events at least once");
    remove(false);
    until_arrived(&refused, "what was refused is published");
    assert_eq!(metric(&edge, "authz_audit_dropped_total{sink=\"amqp\"}"), 0);
}
