//! TLS at the edge, and the paths that scrapers may read.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use harness::tls::handshake;
use harness::wire::Request;
use harness::{Backend, Edge, EdgeBuilder, Part, Port, eventually, eventually_some};

fn encrypted(backend: &Backend) -> EdgeBuilder {
    let tls = "exposure: public, tls: { certificate: \"${CUTOVER_HOME:-.run}/certs/edge.pem\", key: \"${CUTOVER_HOME:-.run}/certs/edge.key\" } }";
    Edge::dev()
        .replace("exposure: public }", tls)
        .with_open_route()
        .every_backend(backend.address())
        .without(Part::Authz)
}

/// The first record that comes back for a ClientHello of `version` (0x0301 TLS 1.0, 0x0302 TLS 1.1).
fn alert_for(edge: &Edge, version: u8) -> Vec<u8> {
    let ciphers = [0xc0_u8, 0x13, 0xc0, 0x14, 0x00, 0x2f, 0x00, 0x35];
    let mut body = vec![0x03, version];
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 8]);
    body.extend(ciphers);
    body.extend([1, 0]);
    // supported_groups: x25519, P-256; ec_point_formats: uncompressed.
    let extensions = [0, 10, 0, 6, 0, 4, 0, 29, 0, 23, 0, 11, 0, 2, 1, 0];
    body.extend([0, 16]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).expect("it is short");
    let mut hello = vec![0x16, 0x03, 0x01, 0, length + 4, 1, 0, 0, length];
    hello.extend(body);
    let mut stream = TcpStream::connect(edge.address("EDGE_ADDRESS")).expect("the edge listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("it can be set");
    stream.write_all(&hello).expect("the edge reads");
    let mut answer = vec![0; 7];
    stream.read_exact(&mut answer).expect("the edge answers");
    answer
}

#[test]
fn only_tls_of_this_decade_with_h2_and_http_1_1() {
    let backend = Backend::plain();
    let edge = encrypted(&backend).start();
    assert_eq!(edge.get("/open/a?b").send().text(), "seen");
    assert_eq!(backend.last().header("x-forwarded-proto").as_deref(), Some("https"));
    let certificate = edge.home().join("certs/edge.pem");
    let agreed = |offered: &[&str]| {
        handshake(edge.address("EDGE_ADDRESS"), &certificate, offered).expect("a handshake").protocol
    };
    assert_eq!(agreed(&["h2", "http/1.1"]).as_deref(), Some("h2"));
    assert_eq!(agreed(&["http/1.1"]).as_deref(), Some("http/1.1"));
    assert_eq!(agreed(&[]), None);
    for version in [0x01, 0x02] {
        // Alert, fatal, protocol_version (RFC 8446 §6.2).
        let answer = alert_for(&edge, version);
        assert_eq!((answer[0], &answer[5..]), (0x15, [2, 70].as_slice()), "TLS 1.{}", version - 1);
    }
    // Plain HTTP gets nothing: neither an answer nor a redirect.
    let clear = Request::new(edge.address("EDGE_ADDRESS"), "GET", "/open").try_send();
    assert!(clear.is_err(), "{clear:?}");
}

/// A guard that serves by a lease before Envoy sets `x-forwarded-proto` must set it itself.
#[test]
fn a_leased_request_carries_the_scheme_like_any_other() {
    let backend = Backend::plain();
    let tls = "exposure: public, tls: { certificate: \"${CUTOVER_HOME:-.run}/certs/edge.pem\", key: \"${CUTOVER_HOME:-.run}/certs/edge.key\" } }";
    let edge = Edge::dev()
        .replace("exposure: public }", tls)
        .replace("signed-in: { kind: session }", "signed-in: { kind: session, lease: {} }")
        .every_backend(backend.address())
        .start();
    let token = edge.mint().good(0);
    eventually("a lease serves", || {
        assert_eq!(edge.get("/books/1").token(&token).send().status, 200);
        edge.leased() > 0
    });
    for seen in backend.seen() {
        assert_eq!(seen.all("x-forwarded-proto"), ["https"]);
    }
}

#[test]
fn a_new_certificate_is_shown_without_a_restart_and_open_connections_go_on() {
    let backend = Backend::plain();
    let edge = encrypted(&backend).start();
    let certificate = edge.home().join("certs/edge.pem");
    let mut open = harness::wire::Connection::open(edge.public()).expect("the tunnel listens");
    let request = edge.get("/open/kept").bytes();
    open.write(&request).expect("the edge reads");
    assert_eq!(open.answer(false).expect("an answer").status, 200);
    let first = handshake(edge.address("EDGE_ADDRESS"), &certificate, &[]).expect("a handshake").certificate;

    edge.cutover(&["certs", "--name", "localhost", "--renew"]);
    let second = eventually_some("the edge presents the new certificate", || {
        handshake(edge.address("EDGE_ADDRESS"), &certificate, &[]).ok().map(|shown| shown.certificate)
    });
    assert_ne!(first, second);
    open.write(&request).expect("the edge reads");
    assert_eq!(open.answer(false).expect("an answer").status, 200);
}

#[test]
fn scrapers_read_two_paths_and_no_client_reaches_the_admin() {
    let backend = Backend::plain();
    let stats = Port::lease();
    let section = format!(
        "admin: \"${{ENVOY_ADMIN_ADDRESS:-127.0.0.1:9901}}\"\nstats: {{ address: \"{}\" }}",
        stats.address()
    );
    let _edge = Edge::dev()
        .replace("admin: \"${ENVOY_ADMIN_ADDRESS:-127.0.0.1:9901}\"", &section)
        .every_backend(backend.address())
        .without(Part::Authz)
        .start();
    let ask = |method: &str, path: &str| Request::new(stats.address(), method, path).send();
    assert_eq!(ask("GET", "/ready").text().trim(), "LIVE");
    let metrics = ask("GET", "/stats/prometheus");
    assert_eq!(metrics.status, 200);
    assert!(metrics.text().contains("envoy_cluster_upstream_rq_total"), "{}", metrics.text());
    let closed = [
        "/",
        "/stats",
        "/stats/",
        "/stats/prometheus/",
        "/stats/recentlookups",
        "/config_dump",
        "/clusters",
        "/certs",
        "/ready/",
        "/server_info",
        "/quitquitquit",
        "/healthcheck/fail",
        "/logging",
        "/help",
        "/memory",
        "/stats/prometheus/../../quitquitquit",
        "/%71uitquitquit",
        "//config_dump",
        "/drain_listeners",
        "/runtime",
        "/listeners",
        "/contention",
    ];
    for path in closed {
        for method in ["GET", "POST"] {
            assert_eq!(ask(method, path).status, 404, "{method} {path}");
        }
    }
    for method in ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"] {
        for path in ["/ready", "/stats/prometheus"] {
            assert_eq!(ask(method, path).status, 404, "{method} {path}");
        }
    }
    assert_eq!(ask("GET", "/ready").text().trim(), "LIVE", "it is still there");
}
