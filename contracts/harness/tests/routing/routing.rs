//! Which route gets a request: only its method, host and path decide, and each of them has one reading.

use harness::wire::{Connection, h2};
use harness::{Backend, Edge, Part};

#[test]
fn methods_and_upgrades_that_no_route_takes_reach_no_backend() {
    let backend = Backend::plain();
    let edge = Edge::dev().with_open_route().every_backend(backend.address()).start();
    for method in ["TRACE", "FOO", "PROPFIND", "get", "PATCHX", "GE", "MKCOL", "PURGE"] {
        for target in ["/open", "/books", "/internal"] {
            let answer =
                edge.request(method, target).token(&edge.mint().good(0)).try_send().expect("an answer");
            assert!(matches!(answer.status, 400 | 404 | 405 | 501), "{method} {target}: {answer:?}");
        }
        let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
        let outcome = connection.ask(&h2::headers(method, "localhost", "/open"));
        assert!(outcome.is_refusal(), "{method} over HTTP/2: {outcome:?}");
    }
    for target in ["localhost:80", "localhost", "/open", "*"] {
        let answer = edge.request("CONNECT", target).try_send().expect("an answer");
        assert!((400..500).contains(&answer.status), "CONNECT {target}: {answer:?}");
    }
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    let mut connect = h2::headers("CONNECT", "localhost:80", "/open");
    connect.retain(|(name, _)| name != b":path" && name != b":scheme");
    let outcome = connection.ask(&connect);
    assert!(outcome.is_refusal(), "CONNECT over HTTP/2: {outcome:?}");
    let mut extended = h2::headers("CONNECT", "localhost", "/open");
    extended.insert(1, (b":protocol".to_vec(), b"websocket".to_vec()));
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    let outcome = connection.ask(&extended);
    assert!(outcome.is_refusal(), "an extended CONNECT: {outcome:?}");

    for (what, protocol) in [("a websocket", "websocket"), ("HTTP/2 in the clear", "h2c"), ("TLS", "TLS/1.0")]
    {
        let before = backend.seen().len();
        let upgrade = edge
            .get("/open")
            .header("Connection", "Upgrade, HTTP2-Settings")
            .header("Upgrade", protocol)
            .header("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        let answer = upgrade.try_send().expect("an answer");
        // The protocol never switches: the request is refused, or handled as an ordinary one (RFC 9110 §7.8).
        if answer.status == 200 {
            let seen = backend.last();
            assert_eq!(seen.header("upgrade"), None, "{what}: {seen:?}");
        } else {
            assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
            assert_eq!(backend.seen().len(), before, "{what}");
        }
    }
}

#[test]
fn a_host_is_one_host_however_it_is_spelt() {
    let backend = Backend::plain();
    let edge = Edge::dev().with_open_route().every_backend(backend.address()).without(Part::Authz).start();
    let hosts = [
        ("localhost", 200),
        ("localhost:80", 200),
        ("localhost:65535", 200),
        ("LOCALHOST", 200),
        ("Api.Dev-Domain.Test:8080", 200),
        ("127.0.0.1", 200),
        ("localhost.", 400),
        ("localhost,dev-domain.test", 400),
        ("localhost, dev-domain.test", 400),
        ("user@localhost", 400),
        ("user:secret@localhost", 400),
        ("localhost@dev-domain.test", 400),
        ("localhost:80:80", 400),
        ("localhost:x", 400),
        ("localhost/open", 400),
        ("localhost?x", 400),
        ("localhost#x", 400),
        ("local host", 400),
        ("localhost%2e", 400),
        ("localhost\\", 400),
        ("", 400),
        ("elsewhere.test", 404),
        ("localhost.dev-domain.test", 404),
        ("notlocalhost", 404),
        ("[::1]", 404),
    ];
    for (host, status) in hosts {
        let before = backend.seen().len();
        let answer = edge.get("/open").host(host).try_send().expect("an answer");
        assert_eq!(answer.status, status, "{host:?}: {answer:?}");
        if status == 200 {
            assert_eq!(backend.last().all("host"), [host], "the host goes on as it came");
        } else {
            assert_eq!(backend.seen().len(), before, "{host:?}");
        }
    }
    // All at once: Envoy takes a second to close a connection that it refuses.
    let asked = hosts.map(|(host, status)| {
        let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
        let stream = connection.begin(&h2::headers("GET", host, "/open"), true);
        (host, status, connection, stream)
    });
    for (host, status, mut connection, stream) in asked {
        let outcome = connection.outcome(stream);
        assert_eq!(outcome.status() == Some(200), status == 200, "{host:?} over HTTP/2: {outcome:?}");
    }
    let before = backend.seen().len();
    let two = edge.get("/open").header("Host", "localhost");
    assert_eq!(two.send().status, 400, "two Host lines, the same");
    let two = edge.get("/open").header("Host", "dev-domain.test");
    assert_eq!(two.send().status, 400, "two Host lines");
    assert_eq!(edge.get("/open").without_host().send().status, 400, "no Host line");
    assert_eq!(backend.seen().len(), before);

    // Absolute form: its own host and path count, whatever `Host` says (RFC 9112 §3.2.2).
    let absolute = edge.get("http://dev-domain.test/a%2Fb//c?x=//").host("localhost");
    assert_eq!(absolute.send().status, 200);
    assert_eq!(backend.last().request_line(), "GET /a%2Fb//c?x=// HTTP/1.1");
    assert_eq!(backend.last().all("host"), ["dev-domain.test"]);
    // Envoy drops userinfo: what routed the request is what the backend reads.
    for (target, host) in [
        ("http://user@localhost/open/x", "localhost"),
        ("http://elsewhere.test@localhost/open/x", "localhost"),
        ("http://localhost@dev-domain.test/open/x", "dev-domain.test"),
    ] {
        assert_eq!(edge.get(target).host("elsewhere.test").send().status, 200, "{target}");
        let seen = backend.last();
        assert_eq!(
            (seen.request_line().as_str(), seen.all("host")),
            ("GET /open/x HTTP/1.1", vec![host.to_owned()])
        );
    }
    for (target, status) in [
        ("http://elsewhere.test/open", 404),
        ("http://localhost@elsewhere.test/open", 404),
        ("http://localhost:80:80/open", 400),
        ("ftp://localhost/open", 400),
        ("http:///open", 400),
    ] {
        let before = backend.seen().len();
        let answer = edge.get(target).host("localhost").try_send().expect("an answer");
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(backend.seen().len(), before, "{target}");
    }
}

/// Headers by which some stacks move a request elsewhere after it was judged.
#[test]
fn no_header_moves_a_request() {
    let backend = Backend::plain();
    let edge = Edge::dev().with_open_route().every_backend(backend.address()).start();
    for name in
        ["x-original-url", "x-original-uri", "x-rewrite-url", "x-forwarded-prefix", "x-envoy-original-path"]
    {
        assert_eq!(edge.get("/open/x").header(name, "/internal").send().status, 200, "{name}");
        let seen = backend.last();
        assert_eq!((seen.request_line().as_str(), seen.header(name)), ("GET /open/x HTTP/1.1", None));
        assert_eq!(edge.get("/books").header(name, "/open").send().status, 401, "{name}");
        assert_eq!(edge.get("/internal").header(name, "/open").send().status, 404, "{name}");
    }
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        assert_eq!(edge.get("/open").header(name, "DELETE").send().status, 200, "{name}");
        let seen = backend.last();
        assert_eq!((seen.request_line().as_str(), seen.header(name)), ("GET /open HTTP/1.1", None));
        // A bot's right by another name.
        let trick = edge.request("POST", "/users").header(name, "GET").header("content-length", "0");
        assert_eq!(trick.token(&edge.mint().good(0)).send().status, 403, "{name}");
    }
    for name in ["x-host", "x-forwarded-host", "x-original-host", "forwarded"] {
        assert_eq!(edge.get("/books").header(name, "dev-domain.test").send().status, 401, "{name}");
    }
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    connection.write(&edge.get("/open/last").bytes()).expect("the edge reads");
    assert_eq!(connection.answer(false).expect("an answer").status, 200);
}
