//! An edge behind a real haproxy: the PROXY protocol in both versions, and HTTP with X-Forwarded-For. The client is the one that
//! connects to haproxy, nothing forged passes, and no byte changes.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::net::SocketAddr;

use harness::tls::Tunnel;
use harness::wire::{Connection, Request, h2};
use harness::{Backend, Edge, EdgeBuilder, Haproxy, Part};

use crate::headers::reserved::{RESERVED, assert_only_own};

const PUBLIC: &str = "127.0.0.1:8080}\", exposure: public }";
/// The address of a client, as haproxy sees it.
const CLIENT: &str = "127.0.2.7";
/// haproxy connects to the edge from the one trusted address.
const FROM: &str = "source 127.0.1.1";

fn builder(backend: &Backend, choices: &str) -> EdgeBuilder {
    let choices = format!(", trusted_proxies: [127.0.1.1/32]{choices} }}");
    Edge::dev()
        .replace(PUBLIC, &PUBLIC.replace(" }", &choices))
        .with_open_route()
        .every_backend(backend.address())
        .without(Part::Authz)
}

/// What the backend of a request reads about the client: address and scheme.
fn received(backend: &Backend, request: &Request) -> (String, String) {
    assert_eq!(request.send().status, 200, "{request:?}");
    let one = |name: &str| backend.last().all(name).join("|");
    (one("x-forwarded-for"), one("x-forwarded-proto"))
}

/// The backend saw only the edge's own headers, for this client.
fn assert_clean(backend: &Backend, client: &str, scheme: &str, what: &str) {
    assert_only_own(&backend.last(), (client, scheme), what);
}

fn spoof(backend: &Backend, at: SocketAddr, scheme: &str) {
    for name in RESERVED {
        let request = Request::new(at, "GET", "/open").from(CLIENT).header(name, "forged");
        assert_eq!(request.header(name.to_uppercase(), "forged").send().status, 200, "{name}");
        assert_clean(backend, CLIENT, scheme, name);
    }
}

/// A request and an answer with everything that a proxy is tempted to change.
const ODD_REQUEST: &str = "POST /open/%7e//a/../b?x=%2F&&y HTTP/1.1\r\nHost: localhost\r\nX-Mixed-CASE: 1\r\nx-b: 2\r\n\
    X-Mixed-CASE: 3\r\nCookie: a=1; b=\"2\"\r\nAccept: */*\r\nContent-Length: 5\r\n\r\nhello";
const ODD_ANSWER: &str = "HTTP/1.1 200 Quite Fine\r\nX-Mixed-CASE: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: old\r\n\
    Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 4\r\n\r\nseen";

fn assert_bytes(backend: &Backend, at: SocketAddr) {
    let mut connection = Connection::open(at).expect("haproxy listens");
    connection.write(ODD_REQUEST.as_bytes()).expect("haproxy reads");
    let answer = connection.answer(false).expect("an answer");
    assert_eq!(answer.status_line, b"HTTP/1.1 200 Quite Fine");
    let lines: Vec<String> = answer
        .headers
        .iter()
        .map(|(name, value)| {
            format!("{}: {}\r\n", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        })
        .collect();
    assert_eq!(ODD_ANSWER, format!("HTTP/1.1 200 Quite Fine\r\n{}\r\n{}", lines.concat(), answer.text()));
    let seen = backend.last();
    let head = String::from_utf8_lossy(&seen.head).into_owned();
    let sent: Vec<&str> = ODD_REQUEST.split("\r\n\r\n").next().unwrap_or_default().split("\r\n").collect();
    assert_eq!(head.split("\r\n").take(sent.len()).collect::<Vec<_>>(), sent);
    assert_eq!(seen.body, b"hello");
}

#[test]
fn behind_a_haproxy_that_speaks_the_proxy_protocol() {
    let backend = Backend::answering(ODD_ANSWER);
    let edge = builder(&backend, ", proxy_protocol: required").start();
    for version in ["send-proxy", "send-proxy-v2"] {
        let haproxy = Haproxy::start(edge.public(), "", &format!("{FROM} {version}"), &["mode tcp"]);
        let ask = || Request::new(haproxy.address(), "GET", "/open").from(CLIENT);
        assert_eq!(received(&backend, &ask()), (CLIENT.to_owned(), "http".to_owned()), "{version}");
        // haproxy passes on bytes: what they say about a client is that client's own word.
        let forged = ask().header("x-forwarded-for", "1.2.3.4").header("x-forwarded-proto", "https");
        assert_eq!(received(&backend, &forged), (CLIENT.to_owned(), "http".to_owned()), "{version}");
        spoof(&backend, haproxy.address(), "http");
        assert_bytes(&backend, haproxy.address());
        let mut connection = h2::Connection::open(haproxy.address()).expect("haproxy listens");
        assert_eq!(connection.ask(&h2::headers("GET", "localhost", "/open")).status(), Some(200));
    }
    assert!(edge.get("/open").from(CLIENT).try_send().is_err(), "past haproxy there is no way");
    let line = edge.access_log(1).into_iter().find(|line| line["client"] == CLIENT).expect("it is logged");
    assert_eq!(line["peer"], "127.0.1.1");
}

#[test]
fn behind_a_haproxy_that_ends_tls_and_says_so() {
    let backend = Backend::answering(ODD_ANSWER);
    let edge = builder(&backend, ", proxy_protocol: required").start();
    edge.cutover(&["certs", "--name", "localhost"]);
    let certs = edge.home().join("certs");
    let read = |name: &str| std::fs::read_to_string(certs.join(name)).expect("it was made");
    let pair = certs.join("haproxy.pem");
    std::fs::write(&pair, read("edge.pem") + &read("edge.key")).expect("the home is writable");
    let bind = format!("ssl crt {}", pair.display());
    let haproxy = Haproxy::start(edge.public(), &bind, &format!("{FROM} send-proxy-v2-ssl"), &["mode tcp"]);
    let tunnel = Tunnel::to(haproxy.address(), &certs.join("edge.pem"));
    let request = Request::new(tunnel.address(), "GET", "/open").header("x-forwarded-proto", "http");
    assert_eq!(received(&backend, &request), ("127.0.0.1".to_owned(), "https".to_owned()));
}

#[test]
fn behind_a_haproxy_that_passes_tls_and_http_2_on() {
    let backend = Backend::answering(ODD_ANSWER);
    let tls = "tls: { certificate: \"${CUTOVER_HOME:-.run}/certs/edge.pem\", key: \"${CUTOVER_HOME:-.run}/certs/edge.key\" }";
    let edge = builder(&backend, &format!(", proxy_protocol: required, {tls}")).start();
    let certificate = edge.home().join("certs/edge.pem");
    for version in ["send-proxy", "send-proxy-v2"] {
        let server = format!("{FROM} {version}");
        let haproxy = Haproxy::start(edge.address("EDGE_ADDRESS"), "", &server, &["mode tcp"]);
        let tunnel = Tunnel::to(haproxy.address(), &certificate);
        let ask = || Request::new(tunnel.address(), "GET", "/open");
        assert_eq!(received(&backend, &ask()), ("127.0.0.1".to_owned(), "https".to_owned()), "{version}");
        for name in RESERVED {
            assert_eq!(ask().header(name, "forged").send().status, 200, "{name}");
            assert_clean(&backend, "127.0.0.1", "https", name);
            let mut lines = h2::headers("GET", "localhost", "/open");
            lines.push((name.into(), b"forged".to_vec()));
            let mut connection = h2::Connection::open(tunnel.address()).expect("haproxy listens");
            assert_eq!(connection.ask(&lines).status(), Some(200), "{name} over HTTP/2");
            assert_clean(&backend, "127.0.0.1", "https", name);
        }
        assert_bytes(&backend, tunnel.address());
    }
}

#[test]
fn behind_a_haproxy_that_writes_x_forwarded_for() {
    let backend = Backend::answering(ODD_ANSWER);
    let edge = builder(&backend, "").start();
    let rules = [
        "mode http",
        "option forwardfor",
        "http-request set-header X-Forwarded-Proto https",
        "http-request set-header X-Request-Id req:1/%[rand(1000000)]",
    ];
    let haproxy = Haproxy::start(edge.public(), "", FROM, &rules);
    let ask = || Request::new(haproxy.address(), "GET", "/open").from(CLIENT);
    let expected = (CLIENT.to_owned(), "https".to_owned());
    assert_eq!(received(&backend, &ask()), expected);
    let id = backend.last().all("x-request-id").concat();
    assert!(id.starts_with("req:1/"), "{id}");
    let forged = ask().header("x-forwarded-for", "1.2.3.4, 127.0.1.1").header("x-forwarded-proto", "http");
    assert_eq!(received(&backend, &forged.header("forwarded", "for=1.2.3.4")), expected);
    spoof(&backend, haproxy.address(), "https");
    let line = edge.access_log(1).into_iter().find(|line| line["client"] == CLIENT).expect("it is logged");
    assert_eq!(line["peer"], "127.0.1.1");
    // Past haproxy the same client is itself, and its headers are gone.
    let past = edge.get("/open").from(CLIENT).header("x-forwarded-for", "1.2.3.4");
    assert_eq!(received(&backend, &past), (CLIENT.to_owned(), "http".to_owned()));
}
