//! Strict-Transport-Security: on every answer over https where the edge file says so, and nowhere else.

use std::net::SocketAddr;

use harness::tls::Tunnel;
use harness::wire::{Answer, Request};
use harness::{Backend, Edge, EdgeBuilder, Port};

const PROMISE: &str = "max-age=31536000; includeSubDomains";

/// An edge on a listener in the clear and one with TLS that says `hsts`; the host `web` has its own.
fn edge(backend: &Backend, port: &Port) -> EdgeBuilder {
    let key = "key: \"${CUTOVER_HOME:-.run}/certs/edge.key\" } }";
    let hsts = key.replace(" } }", " }, hsts: { max_age_seconds: 31536000, include_subdomains: true } }");
    Edge::dev()
        .also_encrypted(port.address())
        .replace(key, &hsts)
        .replace(
            "web: { listeners: [public, tls],",
            "web: { listeners: [public, tls], hsts: { max_age_seconds: 300 },",
        )
        .with_open_route()
        .every_backend(backend.address())
}

fn said(answer: &Answer) -> Vec<String> {
    answer.all("strict-transport-security")
}

#[test]
fn every_answer_over_https_promises_it_refusals_too_and_none_in_the_clear() {
    let backend = Backend::plain();
    let port = Port::lease();
    let mut edge = edge(&backend, &port).start();
    let tunnel = Tunnel::to(port.address(), &edge.home().join("certs/edge.pem"));
    let token = edge.mint().good(0);
    let cases = |at: SocketAddr| {
        let ask = |method: &str, target: &str| Request::new(at, method, target).host("localhost");
        [
            ("a backend's answer", 200, ask("GET", "/open/x")),
            ("an answer after a decision", 200, ask("GET", "/users/@me").token(&token)),
            ("the authorizer's refusal", 401, ask("GET", "/users/@me")),
            ("the guard's refusal of a path", 404, ask("GET", "/open/..%2f_/users/x")),
            (
                "the guard's refusal of a page",
                403,
                ask("POST", "/users").token(&token).header("Origin", "https://evil.example").body(""),
            ),
            ("an internal path", 404, ask("GET", "/_/users/x")),
            ("no route", 404, ask("GET", "/nowhere/at/all").host("file.dev-domain.test").token("x")),
            ("no such method", 405, ask("TRACE", "/open")),
            (
                "an upgrade",
                403,
                ask("GET", "/open").header("Connection", "upgrade").header("Upgrade", "websocket"),
            ),
        ]
    };
    for (what, status, request) in cases(tunnel.address()) {
        let answer = request.send();
        if what != "no route" {
            assert_eq!(answer.status, status, "{what}: {answer:?}");
        }
        assert_eq!(said(&answer), [PROMISE], "{what}: {answer:?}");
    }
    for (what, _, request) in cases(edge.public()) {
        assert_eq!(said(&request.send()), Vec::<String>::new(), "{what}");
    }
    let own = Request::new(tunnel.address(), "GET", "/").host("dev-domain.test").send();
    assert_eq!(said(&own), ["max-age=300"], "a host's own promise: {own:?}");
    edge.stop(harness::Part::Authz, harness::Signal::Kill);
    harness::eventually("the authorizer is missed", || {
        let answer = Request::new(tunnel.address(), "GET", "/users/@me").token(&token).send();
        assert_eq!(said(&answer), [PROMISE], "{answer:?}");
        answer.status == 503
    });
}

/// A balancer ends TLS, and the edge listens in the clear.
#[test]
fn behind_a_trusted_proxy_the_clients_that_came_by_https_receive_it_and_no_others() {
    const PUBLIC: &str = "127.0.0.1:8080}\", exposure: public }";
    const PROXY: &str = "127.0.1.1";
    const STRANGER: &str = "127.0.2.1";
    let backend = Backend::plain();
    let choices =
        ", trusted_proxies: [127.0.1.0/24], hsts: { max_age_seconds: 31536000, include_subdomains: true } }";
    let mut edge = Edge::dev()
        .replace(PUBLIC, &PUBLIC.replace(" }", choices))
        .with_open_route()
        .every_backend(backend.address())
        .start();
    let token = edge.mint().good(0);
    let ask = |source: &str, proto: &str, method: &str, target: &str, token: &str| {
        let request = edge.request(method, target).from(source).host("localhost");
        let request = request.header("x-forwarded-proto", proto);
        if token.is_empty() { request.send() } else { request.token(token).send() }
    };
    let cases = [
        ("a backend's answer", 200, "GET", "/open/x", ""),
        ("an answer after a decision", 200, "GET", "/users/@me", token.as_str()),
        ("the authorizer's refusal", 401, "GET", "/users/@me", ""),
        ("the guard's refusal", 404, "GET", "/open/..%2f_/users/x", ""),
        ("an internal path", 404, "GET", "/_/users/x", ""),
        ("no such method", 405, "TRACE", "/open", ""),
    ];
    for (what, status, method, target, token) in cases {
        for (source, proto, expected) in
            [(PROXY, "https", vec![PROMISE.to_owned()]), (PROXY, "http", vec![]), (STRANGER, "https", vec![])]
        {
            let answer = ask(source, proto, method, target, token);
            assert_eq!(answer.status, status, "{what}: {answer:?}");
            assert_eq!(said(&answer), expected, "{what} from {source} by {proto}: {answer:?}");
        }
    }
    edge.stop(harness::Part::Authz, harness::Signal::Kill);
    let at = edge.public();
    harness::eventually("the authorizer is missed", || {
        let request = Request::new(at, "GET", "/users/@me").token(&token).from(PROXY);
        let answer = request.header("x-forwarded-proto", "https").send();
        assert_eq!(said(&answer), [PROMISE], "{answer:?}");
        answer.status == 503
    });
}

#[test]
fn a_backends_own_header_wins_and_a_dead_backend_changes_nothing() {
    let backend = Backend::with(|seen| match seen.request_line().as_str() {
        "GET /open/own HTTP/1.1" => {
            b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\ncontent-length: 0\r\n\r\n".to_vec()
        }
        // No answer at all.
        "GET /open/dead HTTP/1.1" => Vec::new(),
        _ => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
    });
    let port = Port::lease();
    let edge = edge(&backend, &port).without(harness::Part::Authz).start();
    let tunnel = Tunnel::to(port.address(), &edge.home().join("certs/edge.pem"));
    let ask = |target: &str| Request::new(tunnel.address(), "GET", target).send();
    assert_eq!(said(&ask("/open/own")), ["max-age=1"]);
    assert_eq!(said(&ask("/open/none")), [PROMISE]);
    let dead = ask("/open/dead");
    assert_eq!(dead.status, 503, "{dead:?}");
    assert_eq!(said(&dead), [PROMISE]);
    assert_eq!(edge.get("/open/own").send().header("strict-transport-security"), Some(&b"max-age=1"[..]));
    // Another time is in force without ending a connection.
    let text = std::fs::read_to_string(edge.file()).unwrap_or_default();
    assert!(std::fs::write(edge.file(), text.replace("31536000", "60")).is_ok());
    edge.render();
    harness::eventually("the other time is in force", || {
        said(&ask("/open/none")) == ["max-age=60; includeSubDomains"]
    });
    assert_eq!(edge.envoy_stat("listener_manager.total_filter_chains_draining"), Some(0));
}
