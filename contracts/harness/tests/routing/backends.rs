//! How the edge reaches a backend: by name, within its limits, only while it is healthy, and as every field of the edge
//! file says.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::wire::Connection;
use harness::{Backend, Edge, EdgeBuilder, Part, Port, eventually, pause};

const LEGACY: &str = "legacy:\n    address: \"${LEGACY_ADDRESS:-127.0.0.1:3000}\"\n";

/// An edge whose legacy backend is declared as `words`, with a public route to it.
fn edge(words: &str, backend: &Backend) -> EdgeBuilder {
    Edge::dev()
        .replace(LEGACY, &format!("legacy:\n{words}"))
        .with_open_route()
        .every_backend(backend.address())
        .without(Part::Authz)
}

#[test]
fn a_backend_is_found_by_its_name() {
    let backend = Backend::plain();
    let edge = edge(&format!("    address: \"localhost:{}\"\n", backend.address().port()), &backend).start();
    eventually("the name is looked up", || edge.get("/open").send().status == 200);
    let all: Vec<u16> = (0..20).map(|_| edge.request("POST", "/open").body("x").send().status).collect();
    assert_eq!(all, [200; 20], "every address of the name that is used answers");
}

/// The name says where Envoy finds the authorizer. Where the authorizer listens is a setting of its own.
#[test]
fn an_authorizer_is_found_by_its_name() {
    let backend = Backend::plain();
    let port = Port::lease();
    let said = "address: \"${AUTHZ_ADDRESS:-127.0.0.1:9191}\"";
    let named = format!("addresses: [\"localhost:{}\"]\n  replicas: 2", port.address().port());
    let edge = Edge::dev()
        .replace(said, &named)
        .every_backend(backend.address())
        .variable("AUTHZ_ADDRESS", &port.address().to_string())
        .start();
    assert_eq!(edge.get("/books").token(&edge.mint().good(0)).send().status, 200);
    assert_eq!(edge.get("/books").send().status, 401);
    let clusters = std::fs::read_to_string(edge.home().join("envoy/current/clusters.json"));
    let clusters: serde_json::Value =
        serde_json::from_str(&clusters.expect("they are rendered")).expect("they are JSON");
    let authorizer =
        clusters["resources"].as_array().into_iter().flatten().find(|one| one["name"] == "authorizer");
    let authorizer = authorizer.expect("there is one");
    assert_eq!(authorizer["type"], "STRICT_DNS");
    assert!(authorizer["outlier_detection"].is_object(), "a name may stand for several: {authorizer}");

    let untold = std::process::Command::new(harness::program("authz-service"))
        .env("CUTOVER_HOME", edge.home())
        .env("EDGE_FILE", edge.file())
        .env_remove("AUTHZ_ADDRESS")
        .output()
        .expect("it can be started");
    let why = String::from_utf8_lossy(&untold.stderr);
    assert_eq!(untold.status.code(), Some(2), "{why}");
    assert!(why.contains("--listen or AUTHZ_ADDRESS"), "{why}");
}

#[test]
fn requests_beyond_the_circuit_are_refused_at_once_and_the_rest_are_served() {
    let open = Arc::new(AtomicBool::new(false));
    let backend = gated(&open);
    let circuit = "    circuit: { connections: 2, waiting: 1, requests: 2 }\n";
    let words = format!("    address: \"{}\"\n{circuit}", backend.address());
    let edge = edge(&words, &backend).start();
    let bytes = edge.request("POST", "/open").body("x").bytes();
    let ask = || {
        let mut connection = Connection::open(edge.public()).expect("the edge listens");
        connection.write(&bytes).expect("the edge reads");
        connection
    };
    // Two connections, and one request that waits for either of them.
    let stat = |name: &str| edge.envoy_stat(&format!("cluster.backend-legacy.{name}"));
    let mut served = Vec::new();
    for (name, count) in
        [("upstream_rq_active", 1), ("upstream_rq_active", 2), ("upstream_rq_pending_active", 1)]
    {
        served.push(ask());
        eventually("it is under way", || stat(name) == Some(count));
    }
    // Those three still wait; these two were answered at once.
    for _ in 0..5 {
        assert_eq!(ask().answer(false).expect("an answer").status, 503);
    }
    open.store(true, Ordering::Relaxed);
    for connection in &mut served {
        assert_eq!(connection.answer(false).expect("an answer").status, 200);
    }
    assert_eq!(ask().answer(false).expect("an answer").status, 200, "and it closes again");
}

#[test]
fn only_repeatable_requests_are_retried_and_at_most_as_often_as_configured() {
    let backend = Backend::plain();
    let words = format!(
        "    address: \"{}\"\n    retries: {{ attempts: 3, backoff_ms: 1, longest_backoff_ms: 2 }}\n    ejection: {{ failures: 0 }}\n",
        closed_port()
    );
    let edge = edge(&words, &backend).start();
    let retried = |method: &str| {
        let count = || edge.envoy_stat("cluster.backend-legacy.upstream_rq_retry").unwrap_or_default();
        let before = count();
        let body = if method == "POST" { "x" } else { "" };
        assert_eq!(edge.request(method, "/open").body(body).send().status, 503, "{method}");
        count() - before
    };
    assert_eq!(retried("GET"), 3, "once, and three times more");
    assert_eq!(retried("HEAD"), 3);
    assert_eq!(retried("POST"), 0, "the effect of a second one is unknown");
}

/// A backend that answers nothing until the gate is open.
fn gated(open: &Arc<AtomicBool>) -> Backend {
    let gate = Arc::clone(open);
    Backend::with(move |_| {
        while !gate.load(Ordering::Relaxed) {
            pause(Duration::from_millis(5), "until the gate is open");
        }
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nseen".to_vec()
    })
}

/// The address of a released port: nothing listens there.
fn closed_port() -> std::net::SocketAddr {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a port is free")
}

/// When many requests fail at once, the budget bounds the retries: at most a fifth of the requests under way. The rest
/// are refused at once, so that retries do not break a backend that is about to recover.
#[test]
fn retries_at_one_time_stay_within_the_budget() {
    let open = Arc::new(AtomicBool::new(false));
    let held = gated(&open);
    // The pauses are long, so that every request with a retry still waits for it when the last request arrives.
    let words = format!(
        "    addresses: [\"{}\", \"{}\"]\n    retries: {{ attempts: 1, budget_percent: 20, backoff_ms: 10000, longest_backoff_ms: 10000 }}\n    ejection: {{ failures: 0 }}\n",
        held.address(),
        closed_port()
    );
    let edge = edge(&words, &held).start();
    let stat = |name: &str| edge.envoy_stat(&format!("cluster.backend-legacy.{name}")).unwrap_or_default();
    let ask = |method: &str| {
        let body = if method == "POST" { "x" } else { "" };
        let mut connection = Connection::open(edge.public()).expect("the edge listens");
        connection.write(&edge.request(method, "/open").body(body).bytes()).expect("the edge reads");
        connection
    };
    // The requests under way: POSTs that reached the endpoint that accepts them. The others failed without a retry.
    let mut waiting = Vec::new();
    eventually("an endpoint takes thirty of them", || {
        waiting.push(ask("POST"));
        stat("upstream_rq_active") >= 30
    });
    assert_eq!((stat("upstream_rq_retry"), stat("upstream_rq_retry_overflow")), (0, 0));

    let (posts, asked) = (stat("upstream_rq_active"), 200);
    let safe: Vec<_> = (0..asked).map(|_| ask("GET")).collect();
    // Held by the endpoint that accepts them; refused because of the budget. The rest wait for their retry.
    let settled = || (stat("upstream_rq_active"), stat("upstream_rq_retry_overflow"));
    let mut before = settled();
    eventually("every one is held, waits or is refused", || {
        pause(Duration::from_millis(300), "numbers that stay the same for so long have settled");
        let now = settled();
        std::mem::replace(&mut before, now) == now
    });
    let (held, overflowed) = before;
    let again = asked - overflowed.min(asked) - held.saturating_sub(posts);
    let of = format!("{again} of {asked}: {held} held, {posts} of them before, {overflowed} refused");
    assert!(overflowed > 0, "some were refused for the budget: {of}");
    assert!(
        again > 3,
        "the budget is a share of what is under way, not the least that is always allowed: {of}"
    );
    // At most all requests were under way at once, during their first try.
    assert!(again <= (posts + asked) / 5 + 1, "and no more than a fifth of it: {of}");
    open.store(true, Ordering::Relaxed);
    drop((waiting, safe));
}

/// The pause between two tries is random, up to the file's bound: 3 s each here. Three pauses together are shorter than
/// half a second once in a thousand times; with Envoy's default (25 ms, doubled) they always are.
#[test]
fn the_configured_pause_passes_between_two_tries() {
    let backend = Backend::plain();
    let words = format!(
        "    address: \"{}\"\n    retries: {{ attempts: 3, backoff_ms: 3000, longest_backoff_ms: 3000 }}\n    ejection: {{ failures: 0 }}\n",
        closed_port()
    );
    let edge = edge(&words, &backend).start();
    let from = Instant::now();
    assert_eq!(edge.get("/open").send().status, 503);
    assert!(from.elapsed() > Duration::from_millis(500), "tried again without a pause: {:?}", from.elapsed());
    assert_eq!(edge.envoy_stat("cluster.backend-legacy.upstream_rq_retry"), Some(3));
}

/// ATTACKS G 107: a backend that hangs up, breaks off, answers 5xx or is too slow has received the request, and may
/// have acted on it: the edge never sends it a second time. (It may resend a request that never arrived, see above.)
#[test]
fn a_request_that_changes_state_is_sent_once_even_after_a_failure() {
    // Counted when it arrives: one that is too slow is seen long before it is answered.
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    let backend = Backend::with(move |seen| {
        count.fetch_add(1, Ordering::SeqCst);
        match seen.header("x-fault").unwrap_or_default().as_str() {
            "hangs up" => Vec::new(),
            "breaks off" => b"HTTP/1.1 200 OK\r\ncontent-le".to_vec(),
            "is too slow" => {
                pause(Duration::from_secs(2), "the backend is slower than `request_timeout_ms`");
                Vec::new()
            }
            status => format!("HTTP/1.1 {status} Odd\r\ncontent-length: 3\r\n\r\nodd").into_bytes(),
        }
    });
    let words = format!(
        "    address: \"{}\"\n    request_timeout_ms: 300\n    retries: {{ attempts: 3, backoff_ms: 1, longest_backoff_ms: 2 }}\n    ejection: {{ failures: 0 }}\n",
        backend.address()
    );
    let edge = edge(&words, &backend).start();
    let sent = |method: &str, fault: &str| {
        let before = arrived.load(Ordering::SeqCst);
        let body = if method == "GET" { "" } else { "x" };
        let answer = edge.request(method, "/open").header("x-fault", fault).body(body).send();
        pause(Duration::from_millis(50), "a retry would come within milliseconds");
        (answer.status, arrived.load(Ordering::SeqCst) - before)
    };
    for fault in ["hangs up", "breaks off", "is too slow", "500", "502", "503", "504", "429"] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "GET"] {
            let (status, times) = sent(method, fault);
            assert_eq!(times, 1, "{method} to a backend that {fault}: sent {times} times, answered {status}");
            match fault.parse::<u16>() {
                Ok(own) => assert_eq!(status, own, "{method}: the backend's own answer"),
                Err(_) => assert!(matches!(status, 502..=504), "{method} to one that {fault}: {status}"),
            }
        }
    }
}

#[test]
fn an_endpoint_that_reports_itself_unhealthy_gets_no_requests() {
    let well = Backend::plain();
    let ill = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&ill);
    let other = Backend::with(move |seen| {
        let asked = seen.request_line().contains("/readyz") && says.load(Ordering::Relaxed);
        let status = if asked { "503 Service Unavailable" } else { "200 OK" };
        format!("HTTP/1.1 {status}\r\ncontent-length: 4\r\n\r\nseen").into_bytes()
    });
    let words = format!(
        "    addresses: [\"{}\", \"{}\"]\n    health: {{ path: /readyz, interval_ms: 100, timeout_ms: 100, unhealthy: 1, healthy: 1 }}\n",
        well.address(),
        other.address()
    );
    let edge = edge(&words, &well).start();
    let healthy = || edge.envoy_stat("cluster.backend-legacy.membership_healthy");
    let asked = || other.seen().iter().filter(|seen| seen.request_line().contains("/open")).count();
    eventually("one is left", || healthy() == Some(1) && edge.get("/open").send().status == 200);
    let before = asked();
    for _ in 0..30 {
        assert_eq!(edge.get("/open").send().status, 200);
    }
    assert_eq!(asked(), before, "the unwell one is left alone");
    ill.store(false, Ordering::Relaxed);
    eventually("both are well", || healthy() == Some(2));
    eventually("it is asked again", || edge.get("/open").send().status == 200 && asked() > before);
}

#[test]
fn every_field_of_a_backend_is_where_envoy_reads_it() {
    let backend = Backend::plain();
    let words = format!(
        "    address: \"{}\"
    connect_timeout_ms: 222
    request_timeout_ms: 6543
    idle_timeout_ms: 3210
    circuit: {{ connections: 11, waiting: 12, requests: 13 }}
    retries: {{ attempts: 2, budget_percent: 7, backoff_ms: 31, longest_backoff_ms: 333 }}
    ejection: {{ failures: 9, pause_ms: 12345, most_percent: 42 }}
    health: {{ path: /odd, interval_ms: 4321, timeout_ms: 987, unhealthy: 4, healthy: 3 }}
",
        backend.address()
    );
    // Envoy starts, so it accepts these fields.
    let edge = edge(&words, &backend).start();
    let rendered = |file: &str| {
        let path = edge.home().join("envoy/current").join(file);
        let text = std::fs::read_to_string(path).expect("it is rendered");
        serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON").to_string()
    };
    let clusters = rendered("clusters.json");
    for field in [
        "\"connect_timeout\":\"0.222s\"",
        "\"idle_timeout\":\"3.210s\"",
        "\"max_connections\":11",
        "\"max_pending_requests\":12",
        "\"max_requests\":13",
        "\"budget_percent\":{\"value\":7",
        "\"consecutive_gateway_failure\":9",
        "\"base_ejection_time\":\"12.345s\"",
        "\"max_ejection_percent\":42",
        "\"path\":\"/odd\"",
        "\"interval\":\"4.321s\"",
        "\"timeout\":\"0.987s\"",
        "\"unhealthy_threshold\":4",
        "\"healthy_threshold\":3",
    ] {
        assert!(clusters.contains(field), "{field} is not in {clusters}");
    }
    let routes = rendered("routes-public.json");
    for field in [
        "\"num_retries\":2",
        "\"base_interval\":\"0.031s\"",
        "\"max_interval\":\"0.333s\"",
        "\"per_try_timeout\":\"6.543s\"",
    ] {
        assert!(routes.contains(field), "{field} is in no route");
    }
}
