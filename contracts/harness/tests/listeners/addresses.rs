//! IPv6 beside IPv4: which address a client has for limits, lists of addresses and backends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use harness::wire::Request;
use harness::{Backend, Edge, EdgeBuilder, Port};

const PUBLIC: &str = "public: { address: \"${EDGE_ADDRESS:-127.0.0.1:8080}\"";

/// An edge with a limit by address, whose listener `public` is at `addresses`.
fn at(backend: &Backend, addresses: &str) -> EdgeBuilder {
    Edge::dev()
        .replace(PUBLIC, &format!("public: {{ addresses: {addresses}"))
        .replace("limits:\n", "limits:\n  few: { per: address, rate: 1, seconds: 60, burst: 2 }\n")
        .replace(
            "routes:\n",
            "routes:\n  - { name: few, host: api, prefix: /few, policy: public, to: legacy, answers: auth, limits: [few] }\n",
        )
        .with_open_route()
        .every_backend(backend.address())
}

const LOOPBACK_6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const LOOPBACK_4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn ask(ip: IpAddr, port: u16, target: &str) -> harness::wire::Answer {
    Request::new(SocketAddr::new(ip, port), "GET", target).host("localhost").send()
}

#[test]
fn one_listener_serves_clients_of_both_families_by_their_own_addresses() {
    let backend = Backend::plain();
    let ports = [Port::lease(), Port::lease()];
    let [six, both] = [ports[0].number(), ports[1].number()];
    let addresses = format!("[\"[::]:{both}\", \"[::1]:{six}\", \"${{EDGE_ADDRESS:-127.0.0.1:8080}}\"]");
    let edge = at(&backend, &addresses).start();
    let first = edge.public().port();
    for (ip, port) in [(LOOPBACK_4, first), (LOOPBACK_6, six), (LOOPBACK_6, both), (LOOPBACK_4, both)] {
        let answer = ask(ip, port, "/open/x");
        assert_eq!(answer.status, 200, "{ip} {port}");
        // An IPv4 client of a socket for both has its IPv4 address.
        assert_eq!(backend.last().all("x-forwarded-for"), [ip.to_string()], "{ip} {port}");
        let line = edge.logged("/open/x", 200);
        assert!(line["client"].is_string(), "{line}");
    }
    // A limit counts an address, through whichever socket it comes.
    let statuses = |ip| {
        [first, both, both]
            .map(|port| if ip == LOOPBACK_6 { six } else { port })
            .map(|port| ask(ip, port, "/few/x").status)
    };
    assert_eq!(statuses(LOOPBACK_4), [200, 200, 429]);
    assert_eq!(statuses(LOOPBACK_6), [200, 200, 429]);
    assert_eq!(ask(LOOPBACK_6, both, "/few/x").status, 429);
    // What one socket refuses, every one does.
    for (ip, port) in [(LOOPBACK_6, six), (LOOPBACK_4, both), (LOOPBACK_6, both)] {
        assert_eq!(ask(ip, port, "/_/users/x").status, 404);
        assert_eq!(ask(ip, port, "/users/@me").status, 401);
        let forged = Request::new(SocketAddr::new(ip, port), "GET", "/open/x").host("localhost");
        assert_eq!(forged.header("x-forwarded-for", "::ffff:203.0.113.1").send().status, 200);
        assert_eq!(backend.last().all("x-forwarded-for"), [ip.to_string()]);
    }
}
