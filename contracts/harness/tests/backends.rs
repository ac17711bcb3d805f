//! How a backend is reached: by name, not more of it at once than it can take, not while it is unwell, and as the edge
//! file says in every field.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::wire::Connection;
use harness::{Backend, Edge, EdgeBuilder, Part};

const LEGACY: &str = "legacy:\n    address: \"${LEGACY_ADDRESS:-127.0.0.1:3000}\"\n";

/// An edge whose legacy is written as `words`, with a public route to it.
fn edge(words: &str, backend: &Backend) -> EdgeBuilder {
    Edge::dev()
        .replace(LEGACY, &format!("legacy:\n{words}"))
        .with_open_route()
        .every_backend(backend.address())
        .without(Part::Authz)
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(40);
    while !holds() {
        assert!(Instant::now() < until, "it never came about that {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_backend_is_found_by_its_name() {
    let backend = Backend::plain();
    let edge = edge(&format!("    address: \"localhost:{}\"\n", backend.address().port()), &backend).start();
    eventually("the name is looked up", || edge.get("/open").send().status == 200);
    let all: Vec<u16> = (0..20).map(|_| edge.request("POST", "/open").body("x").send().status).collect();
    assert_eq!(all, [200; 20], "every address of the name that is used answers");
}

#[test]
fn what_is_beyond_the_circuit_is_refused_at_once_and_the_rest_is_served() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let backend = Backend::with(move |_| {
        while !gate.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nseen".to_vec()
    });
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
    // Those three still wait: these answers did not.
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
fn only_what_may_be_asked_twice_is_asked_again_and_no_more_often_than_is_said() {
    let backend = Backend::plain();
    // Nobody listens at a port that was given back.
    let gone = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let words = format!(
        "    address: \"{}\"\n    retries: {{ attempts: 3, backoff_ms: 1, longest_backoff_ms: 2 }}\n    ejection: {{ failures: 0 }}\n",
        gone.expect("a port is free")
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
    assert_eq!(retried("POST"), 0, "nobody knows what a second one would do");
}

/// ATTACKS G 107: a backend that hangs up, breaks off, answers 5xx or is too slow has had the request, and nobody knows
/// what it did with it: it is never sent a second time. (What never arrived may be, see above.)
#[test]
fn what_changes_something_is_sent_once_whatever_becomes_of_it() {
    // Counted when it arrives: one that is too slow is seen long before it is answered.
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    let backend = Backend::with(move |seen| {
        count.fetch_add(1, Ordering::SeqCst);
        match seen.header("x-fault").unwrap_or_default().as_str() {
            "hangs up" => Vec::new(),
            "breaks off" => b"HTTP/1.1 200 OK\r\ncontent-le".to_vec(),
            "is too slow" => {
                std::thread::sleep(Duration::from_secs(2));
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
        // A second one would come within milliseconds.
        std::thread::sleep(Duration::from_millis(50));
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
fn an_endpoint_that_says_it_is_unwell_is_not_asked() {
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
    // It starts, so Envoy takes them.
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
