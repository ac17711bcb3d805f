//! A listener that redirects to https answers 308 to every request of its hosts, and nothing goes on from it.

use std::net::SocketAddr;

use harness::tls::Tunnel;
use harness::wire::{Answer, Request, h2};
use harness::{Backend, Edge, EdgeBuilder, Part, Port};

const PUBLIC: &str = "public: { address: \"${EDGE_ADDRESS:-127.0.0.1:8080}\", exposure: public }";

/// An edge whose listener `public` redirects, as `redirect` says.
fn redirecting(backend: &Backend, port: &Port, redirect: &str) -> EdgeBuilder {
    Edge::dev()
        .also_encrypted(port.address())
        .replace(
            &PUBLIC[..PUBLIC.len() - 2],
            &format!("{}, redirect: {redirect}", &PUBLIC[..PUBLIC.len() - 2]),
        )
        .replace(
            "  file: { listeners",
            "  shops: { listeners: [public, tls], names: [\"*.shop.test\"] }\n  file: { listeners",
        )
        .with_open_route()
        .every_backend(backend.address())
        .without(Part::Authz)
}

fn location(answer: &Answer) -> String {
    String::from_utf8_lossy(answer.header("location").unwrap_or_default()).into_owned()
}

/// The status and the location of the answer.
fn ask(at: SocketAddr, host: &str, target: &str) -> (u16, String) {
    let answer = Request::new(at, "GET", target).host(host).send();
    (answer.status, location(&answer))
}

#[test]
fn every_request_of_a_host_is_sent_to_the_same_place_over_https() {
    let backend = Backend::plain();
    let port = Port::lease();
    let edge = redirecting(&backend, &port, "https").start();
    let (at, own, tls) = (edge.address("EDGE_ADDRESS"), edge.address("EDGE_ADDRESS").port(), port.number());
    for target in
        ["/", "/open/a%2Fb//c?d=%20&e", "/open?", "/_/users/x", "/nowhere", "/open/..%2f_", "//evil.test/x"]
    {
        // A client that names no port came by port 80: a machine before the edge translates ports.
        for host in ["api.dev-domain.test", "api.dev-domain.test:80", "API.dev-domain.test"] {
            let name = host.trim_end_matches(":80");
            assert_eq!(ask(at, host, target), (308, format!("https://{name}{target}")), "{host}{target}");
        }
        let direct = ask(at, &format!("localhost:{own}"), target);
        assert_eq!(direct, (308, format!("https://localhost:{tls}{target}")), "{target}");
    }
    let below = ask(at, "one.shop.test", "/x");
    assert_eq!(below, (308, "https://one.shop.test/x".to_owned()), "a name below a wildcard");
    for method in ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PROPFIND"] {
        let answer = Request::new(at, method, "/open").host("localhost").body("").send();
        assert_eq!((answer.status, answer.body.len()), (308, 0), "{method}: {answer:?}");
    }
    let mut connection = h2::Connection::open(at).expect("the edge listens");
    assert_eq!(connection.ask(&h2::headers("GET", "localhost", "/open")).status(), Some(308));
    let upgrade = Request::new(at, "GET", "/open")
        .host("localhost")
        .header("Connection", "upgrade")
        .header("Upgrade", "websocket");
    assert!(upgrade.send().status != 101);
    assert!(backend.seen().is_empty(), "{:?}", backend.seen());
    let line = edge.logged("/nowhere", 308);
    assert_eq!((line["route"].as_str(), line["policy"].as_str()), (Some("redirect-to-https"), Some("none")));
    assert_eq!(line["decision"], serde_json::Value::Null, "{line}");
    // What was redirected is served where it arrives.
    let tunnel = Tunnel::to(port.address(), &edge.home().join("certs/edge.pem"));
    assert_eq!(Request::new(tunnel.address(), "GET", "/open/a").send().status, 200);
    assert_eq!(Request::new(tunnel.address(), "GET", "/_/users/x").send().status, 404);
}

#[test]
fn a_host_that_the_listener_does_not_serve_is_not_redirected() {
    let backend = Backend::plain();
    let port = Port::lease();
    let edge = redirecting(&backend, &port, "https").start();
    let at = edge.address("EDGE_ADDRESS");
    for host in [
        "evil.test",
        "shop.test",
        "localhost.evil.test",
        "evil.test#.shop.test",
        "evil.test/.shop.test",
        "evil.test\\.shop.test",
        "evil.test?.shop.test",
        "evil.test@one.shop.test",
        "one.shop.test@evil.test",
        "localhost@evil.test",
        "",
    ] {
        let answer = Request::new(at, "GET", "/x").host(host).try_send();
        let refused = answer.as_ref().is_ok_and(|answer| (400..500).contains(&answer.status));
        assert!(refused && location(answer.as_ref().expect("an answer")).is_empty(), "{host}: {answer:?}");
    }
    let absolute = Request::new(at, "GET", "http://evil.test/x").host("localhost").send();
    assert_eq!((absolute.status, location(&absolute)), (404, String::new()));
    let own = Request::new(at, "GET", "http://localhost/x?y").host("evil.test").send();
    assert_eq!((own.status, location(&own)), (308, "https://localhost/x?y".to_owned()));
}

#[test]
fn the_port_of_https_can_be_fixed_and_explain_says_where_a_request_goes() {
    let backend = Backend::plain();
    let port = Port::lease();
    let edge = redirecting(&backend, &port, "{ https: 9443 }").start();
    let at = edge.address("EDGE_ADDRESS");
    for host in [
        "localhost".to_owned(),
        "localhost:80".to_owned(),
        format!("localhost:{}", at.port()),
        "localhost:1".to_owned(),
    ] {
        assert_eq!(ask(at, &host, "/x?y"), (308, "https://localhost:9443/x?y".to_owned()), "{host}");
        let report = edge.explain(&[&format!("GET http://{host}/x?y")]);
        assert_eq!(report["answer"]["status"], 308, "{report}");
        assert_eq!(report["answer"]["location"], "https://localhost:9443/x?y", "{report}");
        assert_eq!(
            (report["listener"].as_str(), report["guard"].as_str()),
            (Some("public (public)"), Some("not reached"))
        );
    }
    assert_eq!(edge.explain(&["GET https://localhost/open"])["route"], "open");
    // A redirect begins and ends without ending a connection: the filter chain stays.
    let text = std::fs::read_to_string(edge.file()).expect("it is readable");
    std::fs::write(edge.file(), text.replace(", redirect: { https: 9443 }", "")).expect("it is writable");
    edge.render();
    harness::eventually("the listener serves", || Request::new(at, "GET", "/open/x").send().status == 200);
    assert_eq!(edge.envoy_stat("listener_manager.total_filter_chains_draining"), Some(0));
}
