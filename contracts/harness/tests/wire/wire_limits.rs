//! The limits of the wire as an edge file says them: sizes of heads both ways, and times of routes and listeners.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::wire::{Connection, Request};
use harness::{Backend, Edge, EdgeBuilder, Part};

const PUBLIC: &str = "exposure: public }";
const LEGACY: &str = "  legacy:\n";

/// A public route below `/open` to `backend`, with these fields, and another below `/own` with `more`.
fn edge(backend: &Backend, more: &str) -> EdgeBuilder {
    let own = format!(
        "routes:\n  - {{ name: own, host: api, prefix: /own, policy: public, to: legacy, answers: library{more} }}\n"
    );
    Edge::dev()
        .with_open_route()
        .replace("routes:\n", &own)
        .json_library()
        .every_backend(backend.address())
        .without(Part::Authz)
}

fn with_headers(request: Request, count: usize, length: usize) -> Request {
    (0..count).fold(request, |request, i| request.header(format!("x-{i}"), vec![b'a'; length]))
}

#[test]
fn the_heads_of_requests_have_the_limits_of_their_listener() {
    let backend = Backend::plain();
    let edge = edge(&backend, "").start();
    // The host is a header, too. Some room is left for what the edge adds.
    assert_eq!(with_headers(edge.get("/open"), 90, 1).send().status, 200);
    assert_eq!(with_headers(edge.get("/open"), 100, 1).send().status, 431);
    assert_eq!(with_headers(edge.get("/open"), 2, 28_000).send().status, 200);
    assert_eq!(with_headers(edge.get("/open"), 2, 31_000).send().status, 431);
    drop(edge);

    let wire = "exposure: public, wire: { headers: 300, header_limit: 256KiB } }";
    let edge = self::edge(&backend, "").replace(PUBLIC, wire).start();
    assert_eq!(with_headers(edge.get("/open"), 290, 1).send().status, 200);
    assert_eq!(with_headers(edge.get("/open"), 300, 1).send().status, 431);
    let large = with_headers(edge.get("/own"), 4, 62_000).send();
    assert_eq!((large.status, large.text().as_str()), (200, "seen"));
    assert_eq!(backend.last().header("x-3").map(|value| value.len()), Some(62_000), "all of it arrives");
    assert_eq!(with_headers(edge.get("/open"), 4, 66_000).send().status, 431);
    let said =
        edge.explain(&["GET http://localhost/open", "--header", &format!("x-a: {}", "a".repeat(100_000))]);
    assert_ne!(said["status"], 431, "explain knows the limit of the listener: {said:#}");
}

/// A legacy backend that sends 100 KB of cookies, or 900 lines: both pass by default.
#[test]
fn the_heads_of_answers_have_the_limits_of_their_backend() {
    let cookies = |count: usize, length: usize| {
        let lines: String =
            (0..count).map(|i| format!("Set-Cookie: c{i}={}; Path=/\r\n", "v".repeat(length))).collect();
        format!("HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\nok")
    };
    let backend = Backend::with(move |seen| {
        let line = seen.request_line();
        let answer = if line.contains("/large") {
            cookies(25, 4_000)
        } else if line.contains("/many") {
            cookies(900, 10)
        } else if line.contains("/huge") {
            cookies(50, 6_000)
        } else {
            cookies(1_001, 1)
        };
        answer.into_bytes()
    });
    let edge = edge(&backend, "").start();
    for (path, cookies) in [("/own/large", 25), ("/own/many", 900)] {
        let answer = edge.get(path).send();
        assert_eq!((answer.status, answer.all("set-cookie").len()), (200, cookies), "{path}");
    }
    for path in ["/own/huge", "/own/lines"] {
        let answer = edge.get(path).send();
        assert_eq!(answer.status, 502, "{path}");
        assert_eq!(
            answer.text(),
            r#"{"name":"Service unavailable","message":"Service unavailable"}"#,
            "{path}"
        );
    }
    drop(edge);
    let raised = format!("{LEGACY}    answer: {{ headers: 2000, header_limit: 512KiB }}\n");
    let edge = self::edge(&backend, "").replace(LEGACY, &raised).start();
    for (path, cookies) in [("/own/huge", 50), ("/own/lines", 1_001)] {
        let answer = edge.get(path).send();
        assert_eq!((answer.status, answer.all("set-cookie").len()), (200, cookies), "{path}");
    }
}

/// One route has more time than its backend says, the other has less.
#[test]
fn a_route_has_its_own_time_for_answers_to_begin() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let backend = Backend::with(move |seen| {
        while seen.request_line().contains("wait") && !gate.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nseen".to_vec()
    });
    let patient = format!("{LEGACY}    request_timeout_ms: 300\n");
    let edge = edge(&backend, ", timeout_ms: 60000").replace(LEGACY, &patient).start();
    let mut waiting = Connection::open(edge.public()).expect("the edge listens");
    waiting.write(&edge.get("/own/wait").bytes()).expect("the edge reads");
    // By then the backend's own time is over.
    let late = edge.get("/open/wait").send();
    assert_eq!(late.status, 504);
    open.store(true, Ordering::Relaxed);
    assert_eq!(waiting.answer(false).expect("an answer").status, 200);
    drop(edge);

    open.store(false, Ordering::Relaxed);
    let edge = self::edge(&backend, ", timeout_ms: 300").start();
    let answer = edge.get("/own/wait").send();
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (504, Some(b"application/json; charset=utf-8".as_slice()))
    );
    assert_eq!(answer.text(), r#"{"name":"Service unavailable","message":"Service unavailable"}"#);
    assert_eq!(edge.logged("/own/wait", 504)["details"], "upstream_per_try_timeout");
    open.store(true, Ordering::Relaxed);
}

/// A stream that is silent for longer than its route allows ends; on another route it goes on.
#[test]
fn a_silent_answer_ends_after_the_time_of_its_route() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf ");
    let edge = edge(&backend, ", stream: true, idle_timeout_ms: 300").start();
    let begin = |path: &str| {
        let mut connection = Connection::open(edge.public()).expect("the edge listens");
        connection.write(&edge.get(path).bytes()).expect("the edge reads");
        connection
    };
    let (mut own, mut open) = (begin("/own"), begin("/open"));
    let ended = String::from_utf8(own.rest()).expect("it is text");
    assert!(ended.starts_with("HTTP/1.1 200 OK") && ended.ends_with("half "), "{ended}");
    open.patience(Duration::from_millis(200));
    assert!(
        open.answer(false).is_err_and(|error| error.kind() != std::io::ErrorKind::UnexpectedEof),
        "it goes on"
    );
}

/// 413 in the route's words, by the declared length or by count; what fits arrives whole, and streams.
#[test]
fn a_body_has_the_limit_of_its_route() {
    const LIMIT: usize = 100 * 1024;
    let backend = Backend::plain();
    let edge = edge(&backend, ", body_limit: 100KiB").start();
    let words = |answer: &harness::wire::Answer, what: &str| {
        assert_eq!(answer.status, 413, "{what}: {answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some(b"application/json; charset=utf-8".as_slice()),
            "{what}"
        );
        assert!(answer.text().starts_with('{'), "{what}: {answer:?}");
    };
    for (length, fits) in [(0, true), (LIMIT, true), (LIMIT + 1, false), (3 * LIMIT, false)] {
        let before = backend.seen().len();
        let answer = edge.request("POST", "/own").body(vec![b'x'; length]).send();
        if fits {
            assert_eq!((answer.status, backend.last().body.len()), (200, length));
        } else {
            words(&answer, "a declared length");
            assert_eq!(backend.seen().len(), before, "the backend receives nothing of it");
        }
        assert_eq!(
            edge.request("POST", "/open").body(vec![b'x'; length]).send().status,
            200,
            "another route"
        );
    }
    assert_eq!(edge.get("/own").send().status, 200);
    assert_eq!(edge.logged("/own", 413)["details"], "edge_guard_body_too_long");

    let chunked = |lengths: &[usize]| {
        let mut connection = Connection::open(edge.public()).expect("the edge listens");
        let head = b"POST /own HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
        connection.write(head).expect("the edge reads");
        for length in lengths {
            let piece = format!("{length:x}\r\n{}\r\n", "x".repeat(*length));
            connection.write(piece.as_bytes()).expect("the edge reads");
            std::thread::sleep(Duration::from_millis(20));
        }
        connection.write(b"0\r\n\r\n").expect("the edge reads");
        connection.answer(false)
    };
    assert_eq!(chunked(&[]).expect("an answer").status, 200);
    assert_eq!(chunked(&[1, LIMIT / 2, LIMIT / 2 - 1]).expect("an answer").status, 200, "exactly the limit");
    words(&chunked(&[LIMIT / 2, LIMIT / 2, 1]).expect("an answer"), "one byte more");
    words(&chunked(&[2 * LIMIT]).expect("an answer"), "one piece");
    assert_eq!(edge.envoy_stat("wasmcustom.cutover_guard_bodies_refused"), Some(4));
}

/// The first part of an upload reaches the backend before the rest is sent.
#[test]
fn a_route_with_a_limit_does_not_store_bodies() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let port = harness::Port::lease();
    let listener = std::net::TcpListener::bind(port.address()).expect("a leased port can be bound");
    std::thread::spawn(move || {
        use std::io::Read as _;
        for mut stream in listener.incoming().flatten() {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut piece) {
                let _ = sender.send(String::from_utf8_lossy(&piece[..count]).into_owned());
            }
        }
    });
    let backend = Backend::plain();
    let edge = edge(&backend, ", body_limit: 1MiB").every_backend(port.address()).start();
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    let head = b"POST /own HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    connection.write(head).expect("the edge reads");
    let mut seen = String::new();
    while !seen.contains("first") {
        seen += &receiver.recv_timeout(Duration::from_secs(20)).expect("the first piece arrives");
    }
}

#[test]
fn slow_requests_end_after_the_times_of_their_listener() {
    let backend = Backend::plain();
    let wire = "exposure: public, wire: { header_timeout_ms: 300, request_timeout_ms: 900, connection_idle_timeout_ms: 300 } }";
    let edge = edge(&backend, "").replace(PUBLIC, wire).start();
    let mut slow_head = Connection::open(edge.public()).expect("the edge listens");
    slow_head.write(b"GET /own HTTP/1.1\r\nhost: localhost\r\n").expect("the edge reads");
    assert_eq!(slow_head.answer(false).expect("an answer").status, 408);
    let mut slow_body = Connection::open(edge.public()).expect("the edge listens");
    slow_body
        .write(b"POST /own HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nhal")
        .expect("the edge reads");
    let answer = slow_body.answer(false).expect("an answer");
    assert_eq!(answer.status, 408, "{answer:?}");
    let mut idle = Connection::open(edge.public()).expect("the edge listens");
    idle.write(&edge.get("/own").bytes()).expect("the edge reads");
    assert_eq!(idle.answer(false).expect("an answer").status, 200);
    assert_eq!(idle.rest(), b"", "an idle connection ends");
}
