//! Behind proxies: the client is whom a trusted proxy names, and every part of the edge sees the same one. A peer that is not
//! trusted changes nothing.

use harness::wire::{Answer, Connection, Request, h2};
use harness::{Backend, Edge, EdgeBuilder, Part, Seen, eventually, eventually_some, pause};

use crate::headers::reserved::{RESERVED, assert_only_own};

/// An address of 127.0.1.0/24, which the edges here trust.
const PROXY: &str = "127.0.1.1";
const STRANGER: &str = "127.0.2.1";

const PUBLIC: &str = "127.0.0.1:8080}\", exposure: public }";

fn builder(backend: &Backend, choices: &str) -> EdgeBuilder {
    let listener = PUBLIC.replace(" }", &format!(", {choices} }}"));
    Edge::dev().replace(PUBLIC, &listener).with_open_route().every_backend(backend.address())
}

/// An edge where nothing needs a decision.
fn edge(backend: &Backend, choices: &str) -> Edge {
    builder(backend, choices).without(Part::Authz).start()
}

const TRUSTED: &str = "trusted_proxies: [127.0.1.0/24]";

/// What the backend of a request reads about the client: address and scheme.
fn received(backend: &Backend, request: &Request) -> (String, String) {
    assert_eq!(request.send().status, 200, "{request:?}");
    let seen = backend.last();
    let one = |name: &str| {
        let all = seen.all(name);
        assert_eq!(all.len(), 1, "{name}: {all:?}");
        all.concat()
    };
    (one("x-forwarded-for"), one("x-forwarded-proto"))
}

#[test]
fn the_client_is_whom_a_trusted_proxy_names() {
    let backend = Backend::plain();
    let edge = edge(&backend, TRUSTED);
    let of = |source: &str, value: &str| {
        let request = edge.get("/open").from(source).header("X-Forwarded-For", value);
        received(&backend, &request).0
    };
    for (value, client) in [
        ("198.51.100.7", "198.51.100.7"),
        ("10.9.9.9, 198.51.100.7, 127.0.1.9", "198.51.100.7"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("127.0.1.3, 127.0.1.2", "127.0.1.3"),
        ("1.2.3.4, unknown", PROXY),
        ("1.2.3.4, evil\"", PROXY),
        ("", PROXY),
    ] {
        assert_eq!(of(PROXY, value), client, "{value}");
        assert_eq!(of(STRANGER, value), STRANGER, "a stranger wrote {value}");
    }
    assert_eq!(received(&backend, &edge.get("/open").from(PROXY)).0, PROXY, "the proxy asks for itself");
    // Several lines are one list.
    let lines = edge.get("/open").from(PROXY).header("x-forwarded-for", "1.2.3.4");
    assert_eq!(received(&backend, &lines.header("X-Forwarded-For", "198.51.100.7")).0, "198.51.100.7");
    // `Forwarded` does not count here.
    let other = edge.get("/open").from(PROXY).header("forwarded", "for=198.51.100.7;proto=https");
    assert_eq!(received(&backend, &other), (PROXY.to_owned(), "http".to_owned()));
    // The log knows the client and the peer, of refused requests, too.
    let request = |target: &str, source: &str| {
        edge.get(target).from(source).header("x-forwarded-for", "1.2.3.4, 198.51.100.7")
    };
    assert_eq!(request("/internal/by-proxy", PROXY).send().status, 404);
    let line = edge.logged("/internal/by-proxy", 404);
    assert_eq!((&line["client"], &line["peer"]), (&"198.51.100.7".into(), &PROXY.into()));
    assert_eq!(request("/internal/by-stranger", STRANGER).send().status, 404);
    let line = edge.logged("/internal/by-stranger", 404);
    assert_eq!((&line["client"], &line["peer"]), (&STRANGER.into(), &STRANGER.into()));
    // What Envoy refuses before the guard has the peer as its client, whatever a header says.
    assert_eq!(request("/open/early", PROXY).header("x_y", "1").send().status, 400);
    eventually("the log has the refusal", || {
        let lines = edge.access_log(1);
        let line = lines.iter().find(|line| line["status"] == 400);
        line.is_some_and(|line| line["client"] == PROXY && line["peer"] == PROXY)
    });
}

#[test]
fn forwarded_is_read_where_it_is_the_chosen_header() {
    let backend = Backend::plain();
    let choice = "trusted_proxies: { addresses: [127.0.1.0/24], header: forwarded, host: pass }";
    let edge = edge(&backend, choice);
    for (value, client, scheme, host) in [
        ("for=198.51.100.7;proto=https", "198.51.100.7", "https", None),
        (
            r#"for=1.2.3.4, For="[2001:db8::7]:80";Proto=HTTPS;host=shop.test"#,
            "2001:db8::7",
            "https",
            Some("shop.test"),
        ),
        (
            "for=198.51.100.7;proto=https;host=shop.test, for=127.0.1.9;proto=http",
            "198.51.100.7",
            "https",
            Some("shop.test"),
        ),
        (r#"for="1.2.3.4, for=198.51.100.7"#, "198.51.100.7", "http", None),
        ("for=1.2.3.4, for=unknown", PROXY, "http", None),
        ("for=1.2.3.4;host=evil.test, for=_gazonk;proto=https", PROXY, "https", None),
        ("for=198.51.100.7;host=\"evil.test/x\"", "198.51.100.7", "http", None),
    ] {
        let request = |source: &str| {
            let request = edge.get("/open").from(source).header("Forwarded", value);
            request.header("x-forwarded-for", "203.0.113.1").header("x-forwarded-host", "evil.test")
        };
        assert_eq!(received(&backend, &request(PROXY)), (client.to_owned(), scheme.to_owned()), "{value}");
        let seen = backend.last();
        assert_eq!(seen.header("x-forwarded-host").as_deref(), host, "{value}");
        assert_eq!(seen.header("forwarded"), None);
        assert_eq!(
            received(&backend, &request(STRANGER)),
            (STRANGER.to_owned(), "http".to_owned()),
            "{value}"
        );
        assert_eq!(backend.last().header("x-forwarded-host"), None);
    }
    // Lines are read in their order.
    let lines = edge.get("/open").from(PROXY).header("forwarded", "for=1.2.3.4");
    assert_eq!(received(&backend, &lines.header("forwarded", "for=198.51.100.7")).0, "198.51.100.7");
}

#[test]
fn the_scheme_is_that_of_the_client_over_http_1_and_http_2() {
    let backend = Backend::plain();
    let edge = edge(&backend, TRUSTED);
    for (value, scheme) in
        [("https", "https"), ("HTTPS", "https"), ("http", "http"), ("ftp", "http"), ("", "http")]
    {
        let request = |source: &str| edge.get("/open").from(source).header("x-forwarded-proto", value);
        assert_eq!(received(&backend, &request(PROXY)), (PROXY.to_owned(), scheme.to_owned()), "{value}");
        assert_eq!(
            received(&backend, &request(STRANGER)),
            (STRANGER.to_owned(), "http".to_owned()),
            "{value}"
        );
        let mut lines = h2::headers("GET", "localhost", "/open");
        lines.push((b"x-forwarded-proto".to_vec(), value.as_bytes().to_vec()));
        lines.push((b"x-forwarded-for".to_vec(), b"198.51.100.7".to_vec()));
        for (source, received) in [(PROXY, ("198.51.100.7", scheme)), (STRANGER, (STRANGER, "http"))] {
            let source = source.parse().expect("it is an address");
            let mut connection = h2::Connection::open_from(source, edge.public()).expect("the edge listens");
            assert_eq!(connection.ask(&lines).status(), Some(200), "{value}");
            let seen = backend.last();
            assert_eq!(seen.all("x-forwarded-proto"), [received.1], "{value} from {source}");
            assert_eq!(seen.all("x-forwarded-for"), [received.0], "{value} from {source}");
        }
    }
}

#[test]
fn hops_count_proxies_whose_addresses_are_not_known() {
    let backend = Backend::plain();
    let edge = edge(&backend, "trusted_proxies: { addresses: [127.0.1.0/24], hops: 2 }");
    let of = |source: &str, value: &str| {
        received(&backend, &edge.get("/open").from(source).header("x-forwarded-for", value)).0
    };
    assert_eq!(of(PROXY, "1.2.3.4, 198.51.100.7, 192.0.2.1"), "198.51.100.7");
    assert_eq!(of(PROXY, "192.0.2.1"), "192.0.2.1", "a shorter way has no further hop");
    assert_eq!(of(STRANGER, "198.51.100.7, 192.0.2.1"), STRANGER);
}

/// The spoofing suite of tests/headers.rs, from a stranger and from a proxy whose client forges everything.
#[test]
fn nothing_forged_arrives_from_a_stranger_or_through_a_proxy() {
    let backend = Backend::plain();
    let edge = edge(&backend, TRUSTED);
    // As a proxy adds the address of its client, and another name for everything else that counts.
    let through = |seen: &Seen, what: &str| assert_only_own(seen, ("198.51.100.7", "http"), what);
    for name in RESERVED {
        for spelling in [name.to_owned(), name.to_uppercase(), name.replacen('-', ".", 2)] {
            let forged = |source: &str, last: &str| {
                let request = edge.get("/open").from(source).header(&spelling, "forged");
                let request = if last.is_empty() { request } else { request.header("X-Forwarded-For", last) };
                let request = if last.is_empty() || !name.ends_with("-proto") {
                    request
                } else {
                    request.header("X-Forwarded-Proto", "http")
                };
                assert_eq!(request.send().status, 200, "{spelling} from {source}");
                backend.last()
            };
            assert_only_own(&forged("127.0.0.1", ""), ("127.0.0.1", "http"), &spelling);
            assert_only_own(&forged("127.0.0.1", "198.51.100.7"), ("127.0.0.1", "http"), &spelling);
            through(&forged(PROXY, "198.51.100.7"), &spelling);
        }
    }
    let everything = RESERVED.iter().fold(edge.get("/open").from(PROXY), |r, name| r.header(name, "forged"));
    let everything = everything.header("x-forwarded-for", "forged, 198.51.100.7");
    assert_eq!(everything.header("x-forwarded-proto", "http").send().status, 200);
    through(&backend.last(), "everything at once");
}

#[test]
fn limits_and_decisions_see_the_client_that_the_backend_sees() {
    let backend = Backend::plain();
    let edge = builder(&backend, TRUSTED)
        .replace("limits:\n", "limits:\n  few: { per: address, rate: 1, seconds: 3600, burst: 2 }\n")
        .replace(
            "routes:\n",
            "routes:\n  - { name: few, host: api, exact: /few, policy: public, to: legacy, answers: auth, limits: [few] }\n",
        )
        .start();
    let ask = |source: &str, client: &str| {
        edge.get("/few").from(source).header("x-forwarded-for", format!("1.2.3.4, {client}")).send().status
    };
    for client in ["198.51.100.7", "198.51.100.8"] {
        assert_eq!([ask(PROXY, client), ask(PROXY, client), ask(PROXY, client)], [200, 200, 429], "{client}");
    }
    // A stranger is counted as itself, under whatever name it asks.
    let strangers: Vec<u16> = (10..14).map(|last| ask(STRANGER, &format!("198.51.100.{last}"))).collect();
    assert_eq!(strangers, [200, 200, 429, 429]);
    assert_eq!(ask(PROXY, "198.51.100.9"), 200, "another client has its own share");
    let line = eventually_some("the log has the last one", || {
        edge.access_log(1).into_iter().find(|line| line["client"] == "198.51.100.9")
    });
    let id = line["request_id"].as_str().expect("it has an id").to_owned();
    let decision = edge.cutover(&["explain", "--id", &id, "--json"]);
    assert!(decision.contains("\"198.51.100.9\""), "{decision}");
    // Beforehand, the same: `--client` is the peer.
    let explained = |client: &str| {
        let arguments =
            ["GET http://localhost/few", "--client", client, "-H", "x-forwarded-for: 1.2.3.4, 198.51.100.9"];
        edge.explain(&arguments)["client"].as_str().expect("it knows the client").to_owned()
    };
    assert_eq!(explained(PROXY), "198.51.100.9, http (named by a trusted proxy)");
    assert_eq!(explained(STRANGER), "127.0.2.1, http (the peer of the connection)");
}

#[test]
fn a_leased_request_has_its_client_too() {
    let backend = Backend::plain();
    let edge = builder(&backend, TRUSTED)
        .replace("signed-in: { kind: session }", "signed-in: { kind: session, lease: {} }")
        .replace("timeout_ms: 200", "timeout_ms: 2000")
        .start();
    let token = edge.mint().good(0);
    let ask = |source: &str, client: &str| -> Answer {
        let request = edge.get("/books/1").from(source).token(&token);
        request.header("x-forwarded-for", client).header("x-forwarded-proto", "https").send()
    };
    eventually("leases serve", || {
        assert_eq!(ask(PROXY, "198.51.100.1").status, 200);
        pause(std::time::Duration::from_millis(500), "two polls of the feed have passed");
        let before = edge.leased();
        assert_eq!(ask(PROXY, "198.51.100.1").status, 200);
        edge.leased() > before
    });
    for (source, client, scheme) in
        [(PROXY, "198.51.100.7", "https"), (PROXY, "2001:db8::7", "https"), (STRANGER, STRANGER, "http")]
    {
        let before = edge.leased();
        assert_eq!(ask(source, if source == STRANGER { "198.51.100.7" } else { client }).status, 200);
        assert!(edge.leased() > before, "{client}: a lease served it");
        let seen = backend.last();
        assert_eq!(seen.all("x-forwarded-for"), [client]);
        assert_eq!(seen.all("x-forwarded-proto"), [scheme]);
        assert!(seen.names().iter().all(|name| !name.starts_with(':') && !name.contains('_')), "{seen:?}");
        eventually("the log has it", || {
            let lines = edge.access_log(1);
            let line = lines.last().cloned().unwrap_or_default();
            line["client"] == client && line["decision"] == "lease" && line["peer"] == source
        });
    }
}

#[test]
fn http_1_0_is_answered_from_trusted_proxies_alone_where_the_listener_says_so() {
    let backend = Backend::plain();
    let edge = edge(&backend, &format!("{TRUSTED}, http_1_0: trusted"));
    let ask = |source: &str| {
        let source = source.parse().expect("it is an address");
        let mut connection = Connection::open_from(source, edge.public()).expect("the edge listens");
        let request = b"GET /open/1 HTTP/1.0\r\nhost: localhost\r\nx-forwarded-for: 198.51.100.7\r\n\r\n";
        connection.write(request).expect("the edge reads");
        connection.answers().iter().map(|answer| answer.status).collect::<Vec<_>>()
    };
    assert_eq!(ask(PROXY), [200]);
    assert_eq!(backend.last().header("x-forwarded-for").as_deref(), Some("198.51.100.7"));
    assert_eq!(ask(STRANGER), [426]);
}

#[test]
fn the_id_of_a_trusted_proxy_is_kept_in_any_form_and_any_other_is_logged_beside_ours() {
    let backend = Backend::plain();
    let edge = builder(&backend, TRUSTED).start();
    let longest = "x".repeat(128);
    let token = edge.mint().good(0);
    let ids = [
        "1",
        "0123456789abcdef0123456789abcdef",
        "Root=1-67891233-abc;Self=\"1\"",
        "a/b?c#d%20e\\f,g",
        &longest,
    ];
    for (number, id) in ids.into_iter().enumerate() {
        let path = format!("/books/{number}");
        let ask = |source: &str| {
            let request = edge.get(&path).from(source).token(&token).header("X-Request-Id", id);
            assert_eq!(request.send().status, 200, "{id}");
            backend.last().all("x-request-id")
        };
        assert_eq!(ask(PROXY), [id], "kept byte for byte");
        let line = edge.logged(&path, 200);
        assert_eq!(
            (&line["request_id"], &line["received_request_id"]),
            (&id.into(), &serde_json::Value::Null)
        );
        // The authorizer has it, too.
        let decision: serde_json::Value =
            serde_json::from_str(&edge.cutover(&["explain", "--id", id, "--json"])).expect("it is JSON");
        assert_eq!((&decision["request_id"], &decision["route"]), (&id.into(), &"books".into()), "{id}");

        let path = format!("/books/{number}/again");
        let request = edge.get(&path).from(STRANGER).token(&token).header("X-Request-Id", id);
        assert_eq!(request.send().status, 200, "{id}");
        let ours = backend.last().all("x-request-id").concat();
        assert!(uuid::Uuid::parse_str(&ours).is_ok(), "{ours}");
        let line = edge.logged(&path, 200);
        assert_eq!((&line["request_id"], &line["received_request_id"]), (&ours.into(), &id.into()));
    }
    for (number, id, shown) in [
        (0, "a b".to_owned(), "a b".to_owned()),
        (1, "y".repeat(5_000), "y".repeat(128)),
        (
            2,
            "00000000-0000-0000-0000-000000000000".to_owned(),
            "00000000-0000-0000-0000-000000000000".to_owned(),
        ),
        (3, "\u{e9}".to_owned(), "\\xc3\\xa9".to_owned()),
    ] {
        let path = format!("/open/{number}");
        for source in [PROXY, STRANGER] {
            let request = edge.get(&path).from(source).header("X-Request-Id", &id);
            assert_eq!(request.send().status, 200, "{id}");
            let ours = backend.last().all("x-request-id").concat();
            assert!(uuid::Uuid::parse_str(&ours).is_ok(), "{ours}");
            eventually("the log has both", || {
                let lines = edge.access_log(1);
                lines.iter().any(|line| line["request_id"] == ours && line["received_request_id"] == shown)
            });
        }
    }
    // A valid id of anyone is kept, and a request without one has none to show.
    let id = "01932c07-0000-7000-8000-000000000001";
    assert_eq!(edge.get("/open/valid").from(STRANGER).header("x-request-id", id).send().status, 200);
    let line = edge.logged("/open/valid", 200);
    assert_eq!((&line["request_id"], &line["received_request_id"]), (&id.into(), &serde_json::Value::Null));
}

/// The list of proxies is a rule of the guard: a change of it ends no connection, and counts for open ones.
#[test]
fn another_list_of_proxies_counts_at_once_and_ends_no_connection() {
    let backend = Backend::plain();
    let edge = edge(&backend, TRUSTED);
    let source = STRANGER.parse().expect("it is an address");
    let mut open = Connection::open_from(source, edge.public()).expect("the edge listens");
    let mut ask = || {
        open.write(&edge.get("/open").header("x-forwarded-for", "198.51.100.7").bytes())
            .expect("the edge reads");
        assert_eq!(open.answer(false).expect("an answer").status, 200);
        backend.last().all("x-forwarded-for").concat()
    };
    assert_eq!(ask(), STRANGER);
    let text = std::fs::read_to_string(edge.file()).expect("the edge file is readable");
    let text = text.replace("[127.0.1.0/24]", "[127.0.1.0/24, 127.0.2.0/24]");
    std::fs::write(edge.file(), text).expect("it is writable");
    edge.render();
    eventually("the new list counts on the open connection", || ask() == "198.51.100.7");
    assert_eq!(edge.envoy_stat("listener_manager.total_filter_chains_draining"), Some(0));
}
