//! One host on several listeners: the same routes, refusals and guard on each, and the scheme of each.

use std::net::SocketAddr;

use harness::tls::Tunnel;
use harness::wire::{Answer, Request, h2};
use harness::{Backend, Edge, IN_FORCE_WITHIN, Port, SESSION_COOKIE, eventually, pause};

/// An edge whose clients' hosts are on a listener in the clear and on one with TLS, and the addresses of both.
fn both(backend: &Backend) -> (Edge, [(&'static str, SocketAddr); 2], Tunnel) {
    let port = Port::lease();
    let edge = Edge::dev()
        .also_encrypted(port.address())
        .replace("signed-in: { kind: session }", "signed-in: { kind: session, lease: {} }")
        .with_open_route()
        .every_backend(backend.address())
        .start();
    let tunnel = Tunnel::to(port.address(), &edge.home().join("certs/edge.pem"));
    let addresses = [("http", edge.public()), ("https", tunnel.address())];
    (edge, addresses, tunnel)
}

/// An answer without what differs between two requests.
fn shown(mut answer: Answer) -> Answer {
    answer.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(b"date"));
    answer
}

#[test]
fn a_host_has_its_routes_its_refusals_and_its_guard_on_both_listeners() {
    let backend = Backend::plain();
    let (edge, addresses, _tunnel) = both(&backend);
    let token = edge.mint().good(0);
    let ask = |method: &str, target: &str, host: &str| {
        addresses.map(|(_, to)| shown(Request::new(to, method, target).host(host).send()))
    };
    for (method, target, host, status) in [
        ("GET", "/open/a?b", "localhost", 200),
        ("GET", "/users/@me", "localhost", 401),
        ("GET", "/_/users/x", "localhost", 404),
        ("GET", "/open/..%2f_/users/x", "localhost", 404),
        ("GET", "/open/", "elsewhere.test", 404),
        ("GET", "/", "file.dev-domain.test", 401),
        ("TRACE", "/open", "localhost", 405),
    ] {
        let [clear, encrypted] = ask(method, target, host);
        assert_eq!(clear.status, status, "{method} {host}{target}: {clear:?}");
        assert_eq!(clear, encrypted, "{method} {host}{target}");
    }
    for (scheme, to) in addresses {
        let forged = Request::new(to, "GET", "/users/@me")
            .token(&token)
            .header("X-Madome-Auth-Sub", "forged")
            .header("x-forwarded-proto", "ftp")
            .header("x-forwarded-for", "203.0.113.9");
        assert_eq!(forged.send().status, 200, "{scheme}");
        let seen = backend.last();
        assert_eq!(seen.all("x-forwarded-proto"), [scheme]);
        assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"], "{scheme}");
        let subject = seen.all("x-madome-auth-sub");
        assert!(subject.len() == 1 && subject[0] != "forged", "{scheme}: {subject:?}");
        let mut connection = h2::Connection::open(to).expect("the edge listens");
        let mut lines = h2::headers("GET", "localhost", "/users/@me");
        lines.push((b"cookie".to_vec(), format!("{SESSION_COOKIE}={token}").into_bytes()));
        lines.push((b"x-madome-auth-sub".to_vec(), b"forged".to_vec()));
        assert_eq!(connection.ask(&lines).status(), Some(200), "{scheme} over HTTP/2");
        assert_ne!(backend.last().all("x-madome-auth-sub"), ["forged"], "{scheme} over HTTP/2");
    }
    // The service listener has none of these hosts' routes.
    let service = Request::new(edge.address("EDGE_SERVICE_ADDRESS"), "GET", "/open/x").send();
    assert_eq!(service.status, 404);
}

/// A page of a host's own origin may send to it on either listener, and a page of another site on none.
#[test]
fn the_origin_check_knows_a_host_on_both_listeners() {
    let backend = Backend::plain();
    let (edge, addresses, _tunnel) = both(&backend);
    let token = edge.mint().good(2);
    for (_, to) in addresses {
        for (origin, status) in [
            ("http://localhost:8080", 200),
            ("https://localhost", 200),
            ("https://api.dev-domain.test", 200),
            ("https://evil.example", 403),
        ] {
            let post = Request::new(to, "POST", "/users/x").token(&token).header("Origin", origin).body("");
            assert_eq!(post.send().status, status, "{origin} at {to}");
        }
    }
}

/// Each listener has leases of its own, and the end of a session ends them on both.
#[test]
fn a_lease_serves_on_each_listener_and_ends_on_both() {
    let backend = Backend::plain();
    let (edge, addresses, _tunnel) = both(&backend);
    let token = edge.mint().good(0);
    let status = |to| Request::new(to, "GET", "/books/1").token(&token).send().status;
    for (scheme, to) in addresses {
        let before = edge.leased();
        eventually(&format!("a lease serves over {scheme}"), || {
            assert_eq!(status(to), 200);
            edge.leased() > before
        });
    }
    let tenants = edge.home().join("tenants.yaml");
    let text = std::fs::read_to_string(&tenants).expect("the tenants are readable");
    std::fs::write(&tenants, text.replacen("active", "suspended", 1)).expect("the tenants are writable");
    pause(IN_FORCE_WITHIN, "a suspension is in force within this time");
    for (scheme, to) in addresses {
        assert_ne!(status(to), 200, "{scheme}");
    }
}

#[test]
fn explain_takes_the_listener_of_the_url_and_names_the_others() {
    let backend = Backend::plain();
    let (edge, _, _tunnel) = both(&backend);
    for (url, listener, other) in
        [("http://localhost/open", "public", "tls"), ("https://localhost/open", "tls", "public")]
    {
        let report = edge.explain(&[&format!("GET {url}")]);
        assert_eq!(report["listener"], format!("{listener} (public)"), "{report}");
        assert_eq!(report["also_on"], serde_json::json!([other]), "{report}");
        assert_eq!(report["route"], "open");
    }
    let named = edge.explain(&["GET https://localhost/open", "--listener", "public"]);
    assert_eq!(named["listener"], "public (public)");
}
