//! A primary of Redis is lost in the middle of a load through the edge: behind sentinels, and in a cluster.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Mutex;
use std::time::Duration;

use harness::wire::{Answer, Request};
use harness::{Backend, Edge, Part, RedisCluster, RedisSentinels, eventually, meanwhile};
use serde_json::Value;

const SUBJECT: &str = "0192d3c0-0000-7000-8000-0000000000aa";

/// Books with a limit that no client of the test reaches, and a public route.
fn edge(backend: &Backend, url: &str) -> Edge {
    Edge::dev()
        .json_library()
        .replace("limits:\n", "limits:\n  readers: { per: subject, rate: 100000, seconds: 3600 }\n")
        .replace("{ name: books,", "{ limits: [readers], name: books,")
        .with_open_route()
        .every_backend(backend.address())
        .variable("REDIS_URL", url)
        .start()
}

fn admin(edge: &Edge, path: &str) -> Answer {
    Request::new(edge.address("AUTHZ_ADMIN_ADDRESS"), "GET", path).send()
}

fn is_subscribed(edge: &Edge) -> bool {
    admin(edge, "/stats").json().get("push").and_then(Value::as_str) == Some("subscribed")
}

/// Requests go on while `lose` loses a primary; a revocation afterwards takes force.
fn a_primary_is_lost(url: &str, lose: impl FnOnce()) {
    let backend = Backend::plain();
    let mut edge = edge(&backend, url);
    eventually("subscribed", || is_subscribed(&edge));
    let token = edge.mint().with(|claims| {
        claims.insert("sub".to_owned(), SUBJECT.into());
    });
    let other = edge.mint().good(0);
    let answers: Mutex<Vec<(&str, u16)>> = Mutex::default();
    let ask = || {
        let books = edge.get("/books/1").token(&other).send().status;
        let open = edge.get("/open").send().status;
        answers.lock().expect("no test panicked").extend([("books", books), ("open", open)]);
    };
    meanwhile(Duration::from_millis(5), ask, || {
        let asked = || answers.lock().expect("no test panicked").len();
        eventually("the load has begun", || asked() > 200);
        lose();
        // The subscription is there again, and requests go on for a while.
        eventually("subscribed again", || is_subscribed(&edge));
        let then = asked();
        eventually("the load goes on", || asked() > then + 200);
    });
    let answers = answers.into_inner().expect("no test panicked");
    let open: Vec<&u16> =
        answers.iter().filter(|(route, _)| *route == "open").map(|(_, status)| status).collect();
    assert!(open.iter().all(|status| **status == 200), "a public route needs no Redis: {open:?}");
    let refused = answers.iter().filter(|(route, status)| *route == "books" && *status != 200).count();
    // Sessions are refused after five seconds without revocations, and for no other reason.
    let log = edge.access_log(1);
    let reasons: Vec<String> = log
        .iter()
        .filter(|line| line["path"] == "/books/1" && line["status"] != 200)
        .map(|line| format!("{} {}", line["status"], line["reason"]))
        .collect();
    assert!(
        reasons.iter().all(|reason| reason == "503 \"revocations_unavailable\""),
        "{refused}: {reasons:?}"
    );
    let last = answers.iter().rev().find(|(route, _)| *route == "books").map(|(_, status)| *status);
    assert_eq!(last, Some(200), "{refused} of {} were refused", answers.len());

    // Limits are counted in Redis again.
    let shared = || -> u64 {
        let metrics = admin(&edge, "/metrics").text();
        let count = metrics
            .lines()
            .find_map(|line| line.strip_prefix("authz_limit_checks_total{result=\"shared\"} "));
        count.and_then(|count| count.parse().ok()).unwrap_or_default()
    };
    let before = shared();
    eventually("limits are counted together again", || {
        assert_eq!(edge.get("/books/1").token(&edge.mint().good(0)).send().status, 200);
        shared() > before
    });

    assert_eq!(edge.get("/books/1").token(&token).send().status, 200);
    edge.cutover(&["revoke", "subject", SUBJECT]);
    eventually("the revocation takes force", || edge.get("/books/1").token(&token).send().status == 401);
    assert_eq!(edge.get("/books/1").token(&other).send().status, 200, "another person");
    // A new authorizer reads it at the new primary.
    edge.stop(Part::Authz, harness::Signal::Terminate);
    edge.start(Part::Authz);
    edge.wait_until_ready();
    eventually("it is read again", || edge.get("/books/1").token(&token).send().status == 401);
}

#[test]
fn behind_sentinels_requests_go_on_through_a_failover() {
    let mut redis = RedisSentinels::start();
    a_primary_is_lost(&redis.url(), || {
        let primary = redis.primary();
        let old = primary.address();
        primary.kill();
        redis.fail_over_from(old);
    });
}

#[test]
fn in_a_cluster_requests_go_on_when_a_primary_is_lost() {
    let mut redis = RedisCluster::start();
    let url = redis.url();
    a_primary_is_lost(&url, || {
        redis.kill_primary_of("{limits:dev}");
    });
}
