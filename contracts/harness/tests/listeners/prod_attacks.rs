//! Attacks on the production edge through TLS: paths, framing, load. One oracle for all: every request that the backend
//! saw was answered, and no other request arrives.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use harness::wire::{Connection, h2};
use harness::{Backend, Edge, Seen};

/// The production edge with one stand-in for every backend. The tests' host name is one of its names, and it accepts
/// the tests' tokens.
fn edge_before(backend: &Backend) -> Edge {
    Edge::shipped("prod")
        .replace("names: [api.example.com]", "names: [api.example.com, localhost]")
        .replace("https://api.example.com", "https://api.dev-domain.test")
        .with_open_route()
        .every_backend(backend.address())
        .start()
}

/// Says in each answer which request it belongs to.
fn backend() -> Backend {
    Backend::with(|seen| {
        let line = seen.request_line();
        format!("HTTP/1.1 200 OK\r\nx-answers: {line}\r\ncontent-length: 4\r\n\r\nseen").into_bytes()
    })
}

/// The clients' requests at the backend, without the edge's own health checks: those of the backends for calls in gRPC begin
/// HTTP/2 (RFC 9113, 3.4), which this backend does not speak.
fn of_clients(backend: &Backend) -> Vec<Seen> {
    let is_own = |line: &str| line.starts_with("GET /readyz ") || ["PRI * HTTP/2.0", "SM"].contains(&line);
    backend.seen().into_iter().filter(|seen| !is_own(&seen.request_line())).collect()
}

/// D 56–64, 67, 68: internal paths in every spelling.
#[test]
fn internal_stays_shut_in_every_spelling() {
    let backend = backend();
    let edge = edge_before(&backend);
    let token = edge.mint().good(0);
    for inner in ["_/users/x", "_sync/x", "internal", "command", "healthz", "metrics", "users/fcm-token"] {
        let encoded = inner.replacen(&inner[..1], &format!("%{:02x}", inner.as_bytes()[0]), 1);
        let spellings = [
            format!("/{inner}"),
            format!("/{inner}/x?y=/open"),
            format!("/a/../{inner}"),
            format!("/open/../{inner}"),
            format!("/open/%2e%2e/{inner}"),
            format!("/open/.%2e/{inner}"),
            format!("//{inner}"),
            format!("/./{inner}"),
            format!("/open%2f..%2f{inner}"),
            format!("/open%5c..%5c{inner}"),
            format!("/open\\..\\{inner}"),
            format!("/open/..;/{inner}"),
            format!("/.;/{inner}"),
            format!("/{inner};x=1"),
            format!("/{encoded}"),
            format!("/{}", inner.to_uppercase()),
            format!("http://localhost/{inner}"),
            format!("http://localhost/open/../{inner}"),
        ];
        for path in spellings {
            for token in [None, Some(&token)] {
                let request = token.into_iter().fold(edge.get(&path), |request, token| request.token(token));
                let status = request.try_send().map(|answer| answer.status);
                assert!(matches!(status, Ok(400..=404)), "{path}: {status:?}");
            }
            let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
            let outcome = connection.ask(&h2::headers("GET", "localhost", &path));
            assert!(outcome.is_refusal(), "{path} over HTTP/2: {outcome:?}");
        }
    }
    let seen = of_clients(&backend);
    assert!(seen.is_empty(), "{seen:?}");
}

/// D 63, 65, 66, 68: a request that passes arrives unchanged.
#[test]
fn a_request_that_passes_keeps_its_bytes() {
    let backend = backend();
    let edge = edge_before(&backend);
    let long = format!("/open/{}", "x".repeat(8_000));
    let longer = format!("/open/{}", "x".repeat(16_000));
    let kept = [
        "/open?",
        "/open??a",
        "/open?a=//",
        "/open?next=%2f..%2f",
        "/open/",
        "/open/a%20b",
        "/open/@me",
        "/open/a:b",
        "/open?x=%252e&y=%c0%ae",
        &long,
        &longer,
    ];
    for path in kept {
        let answer = edge.get(path).send();
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(backend.last().request_line(), format!("GET {path} HTTP/1.1"));
    }
    let too_long = format!("/open/{}", "x".repeat(61 * 1024));
    assert_eq!(edge.get(&too_long).send().status, 431);
    // D 65: the host in the target counts, not the header's; and the target's path arrives unchanged.
    let absolute = edge.get("http://localhost/open/absolute?x=%2f").host("evil.test").send();
    assert_eq!(absolute.status, 200, "{absolute:?}");
    assert_eq!(backend.last().request_line(), "GET /open/absolute?x=%2f HTTP/1.1");
    let elsewhere = edge.get("http://evil.test/open/absolute").host("localhost").send();
    assert_eq!(elsewhere.status, 404, "{elsewhere:?}");
    for path in ["/open/%zz", "/open/%00", "/open/%c0%ae", "/open/%252e%252e/internal", "/open#frag"] {
        let before = of_clients(&backend).len();
        let answer = edge.get(path).send();
        if answer.status == 200 {
            assert_eq!(backend.last().request_line(), format!("GET {path} HTTP/1.1"), "never decoded");
        } else {
            assert!((400..405).contains(&answer.status), "{path}: {answer:?}");
            assert_eq!(of_clients(&backend).len(), before, "{path}");
        }
    }
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    for path in [b"/open/\xff".as_slice(), b"/open/\"<>", b"/open/{}|^"] {
        let outcome = connection.ask(&h2::headers("GET", "localhost", path));
        assert!(outcome.status().is_none_or(|status| status < 500), "{path:?}: {outcome:?}");
        connection = h2::Connection::open(edge.public()).expect("the edge listens");
    }
    assert_eq!(edge.get("/open").send().status, 200, "and the next request works");
}

/// D 69–72: methods, upgrades, hosts and headers that would move a request.
#[test]
fn only_method_host_and_path_decide_where_a_request_goes() {
    let backend = backend();
    let edge = edge_before(&backend);
    for method in ["TRACE", "FOO", "get"] {
        let answer = edge.request(method, "/open").try_send().expect("an answer");
        assert!(matches!(answer.status, 400 | 405 | 501), "{method}: {answer:?}");
    }
    let answer = edge.request("CONNECT", "localhost:80").try_send().expect("an answer");
    assert!((400..500).contains(&answer.status), "{answer:?}");
    let upgrade = edge.get("/open").header("connection", "upgrade").header("upgrade", "websocket");
    assert!((400..500).contains(&upgrade.send().status));
    let web = edge.get("/open").host("example.com").send();
    assert_eq!(web.status, 200, "the web host serves pages, whatever the path");
    for host in [
        "evil.test",
        "api.example.com.evil.test",
        "xapi.example.com",
        "api.example.com,evil",
        "api.example.com.",
        "evil@api.example.com",
    ] {
        let answer = edge.get("/books").host(host).send();
        assert!((400..500).contains(&answer.status), "{host}: {answer:?}");
    }
    for host in ["API.EXAMPLE.COM", "api.example.com:8443"] {
        assert_eq!(edge.get("/open").host(host).send().status, 200, "{host}");
    }
    let before = of_clients(&backend).len();
    for name in
        ["x-original-url", "x-rewrite-url", "x-original-uri", "x-http-method-override", "x-forwarded-host"]
    {
        let answer = edge.get("/books").header(name, "/open").send();
        assert_eq!(answer.status, 401, "{name}: {answer:?}");
    }
    let two = "GET /books HTTP/1.1\r\nhost: localhost\r\nhost: evil.test\r\nconnection: close\r\n\r\n";
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    connection.write(two.as_bytes()).expect("the edge reads");
    assert!(connection.answers().iter().all(|answer| (400..500).contains(&answer.status)));
    assert_eq!(of_clients(&backend).len(), before);
}

/// E: each attack is followed by an honest request on the same connection.
#[test]
fn one_request_is_one_request_for_every_program() {
    let backend = backend();
    let edge = edge_before(&backend);
    let hidden = "GET /open/hidden HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let post = "POST /open/attack HTTP/1.1\r\nhost: localhost\r\n";
    let length = hidden.len();
    let refused = [
        format!("{post}content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{post}content-length: 0\r\ncontent-length: {length}\r\n\r\n{hidden}"),
        format!("{post}content-length: +0\r\n\r\n{hidden}"),
        format!("{post}transfer-encoding: identity\r\n\r\n{hidden}"),
        format!("{post}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{post}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{post}transfer-encoding: chunked\r\n\r\n1\nx\n0\n\n{hidden}"),
        format!("{post}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("POST /open/attack HTTP/1.0\r\nhost: localhost\r\n\r\n{hidden}"),
        format!("GET /open/attack\r\n\r\n{hidden}"),
    ];
    for attack in &refused {
        let mut connection = Connection::open(edge.public()).expect("the edge listens");
        let before = of_clients(&backend).len();
        connection.write(attack.as_bytes()).expect("the edge reads");
        connection.write(b"GET /open/honest HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok();
        let answers = connection.answers();
        let seen = of_clients(&backend);
        let seen = seen.get(before..).unwrap_or_default();
        let answered = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(seen.len(), answered, "{attack:?}: {answers:?} {seen:?}");
        assert!(!seen.iter().any(|seen| seen.request_line().contains("hidden")), "{attack:?}: {seen:?}");
    }

    // Two honest requests in one segment get two answers, in order.
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    let two = "GET /open/1 HTTP/1.1\r\nhost: localhost\r\n\r\nGET /open/2 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    connection.write(two.as_bytes()).expect("the edge reads");
    let answers: Vec<String> =
        connection.answers().iter().filter_map(|answer| answer.all("x-answers").pop()).collect();
    assert_eq!(answers, ["GET /open/1 HTTP/1.1", "GET /open/2 HTTP/1.1"]);

    // A denial leaves nothing of its unread body behind.
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    let body = format!("{hidden}{}", "x".repeat(200_000));
    let denied =
        format!("POST /books HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    connection.write(denied.as_bytes()).ok();
    connection.write(b"GET /open/after HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok();
    let answers = connection.answers();
    assert_eq!(answers.first().map(|answer| answer.status), Some(401), "{answers:?}");
    assert!(!of_clients(&backend).iter().any(|seen| seen.request_line().contains("hidden")));

    // E 78: over HTTP/2 a length that is not the body's.
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    let mut headers = h2::headers("POST", "localhost", "/open/length");
    headers.push((b"content-length".to_vec(), b"10".to_vec()));
    let stream = connection.begin(&headers, false);
    connection.data(stream, b"four", true);
    let outcome = connection.outcome(stream);
    assert!(outcome.is_refusal(), "{outcome:?}");
}

/// E 79: a client that sends `Expect: 100-continue` gets one final answer, allowed or denied, and the body that it then
/// sends is never read as a request.
#[test]
fn a_client_that_expects_100_continue_gets_one_final_answer() {
    let backend = backend();
    let edge = edge_before(&backend);
    let hidden = "GET /open/hidden HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let ask = |path: &str| {
        let mut connection = Connection::open(edge.public()).expect("the edge listens");
        let length = hidden.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        connection.write(head.as_bytes()).expect("the edge reads");
        connection
    };
    let mut allowed = ask("/open/expecting");
    assert!(of_clients(&backend).is_empty(), "the body is not there yet");
    allowed.write(hidden.as_bytes()).expect("the edge reads");
    let statuses = |mut connection: Connection| {
        connection.answers().iter().map(|answer| answer.status).collect::<Vec<_>>()
    };
    assert_eq!(statuses(allowed), [200]);
    assert_eq!(of_clients(&backend).len(), 1);
    assert_eq!(backend.last().body, hidden.as_bytes());

    // Denied without a session, by the route table, and by the guard: before and after the body.
    for (path, status) in [("/books", 401), ("/internal/x", 404), ("/open/..;/internal", 404)] {
        assert_eq!(statuses(ask(path)), [status], "{path} without its body");
        let mut connection = ask(path);
        connection.write(hidden.as_bytes()).expect("the edge reads, or has hung up");
        assert_eq!(statuses(connection), [status], "{path} with its body");
    }
    assert_eq!(of_clients(&backend).len(), 1, "nothing else arrived");
}

/// H 109, 113: clients that send too slowly or too much.
#[test]
fn slow_and_large_headers_end() {
    let backend = backend();
    let edge = edge_before(&backend);
    let mut slow = Connection::open(edge.public()).expect("the edge listens");
    slow.write(b"GET /open HTTP/1.1\r\nhost: localhost\r\nx-slow: ").expect("the edge reads");

    let many = (0..101).fold(edge.get("/open"), |request, n| request.header(format!("x-{n}"), "1"));
    assert_eq!(many.send().status, 431, "more than a hundred headers");
    let large = edge.get("/open").header("x-large", "x".repeat(61 * 1024));
    assert_eq!(large.send().status, 431, "more than 60 KB of headers");

    // Ten seconds for the headers.
    let answers = slow.answers();
    assert_eq!(answers.first().map(|answer| answer.status), Some(408), "{answers:?}");
    assert!(of_clients(&backend).is_empty());
}

/// Frames as they are, on a connection that has exchanged settings.
fn flood(address: SocketAddr, frames: &[u8], times: usize) -> bool {
    let mut stream = TcpStream::connect(address).expect("the edge listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("it can be set");
    let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00");
    for _ in 0..times {
        if stream.write_all(frames).is_err() {
            return true;
        }
    }
    let mut rest = Vec::new();
    // Closed: an end or a reset. Open: nothing more arrives within the time.
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// H 111, 112: floods end their own connection and no other.
#[test]
fn floods_are_cut_off_and_others_are_served() {
    let backend = backend();
    let edge = edge_before(&backend);
    // Answers to these pile up, because the client does not read them.
    assert!(flood(edge.public(), &frame(6, 0, 0, b"12345678"), 400_000), "PING");
    assert!(flood(edge.public(), &frame(4, 0, 0, b""), 400_000), "SETTINGS");
    // A header block that never ends.
    let mut block = frame(1, 0, 1, b"");
    for _ in 0..5_000 {
        block.extend(frame(9, 0, 1, b""));
    }
    assert!(flood(edge.public(), &block, 1), "CONTINUATION");
    // Requests that are cancelled at once.
    let mut reset = Vec::new();
    for number in 0..3_000_u32 {
        let id = number * 2 + 1;
        let mut headers = vec![0x82, 0x87, 0x41, 9];
        headers.extend(b"localhost");
        headers.extend([0x44, 5]);
        headers.extend(b"/open");
        reset.extend(frame(1, 5, id, &headers));
        reset.extend(frame(3, 0, id, &[0, 0, 0, 8]));
    }
    assert!(flood(edge.public(), &reset, 1), "rapid reset");
    assert_eq!(edge.get("/open/others").send().status, 200);
    assert_eq!(edge.envoy_stat("server.live"), Some(1), "the process is alive");
}
