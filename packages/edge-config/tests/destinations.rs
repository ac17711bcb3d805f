//! `to` and `shadow` of a route.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use edge_config::edge::{Destination, Edge, Percent, Route, Share, Sticky};
use edge_config::{Faults, parse};

const BOOKS: &str = "prefix: /books, policy: signed-in, to: library, answers: library";

/// The dev edge with another text for the route `books`.
fn books(words: &str) -> Result<Edge, Faults> {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(dev).unwrap();
    assert!(text.contains(BOOKS));
    parse(Path::new("edge.yaml"), &text.replacen(BOOKS, words, 1), &|_| None)
}

fn route(words: &str) -> Route {
    let edge = books(words).unwrap_or_else(|faults| fail(&faults));
    edge.routes.into_iter().find(|route| route.name == "books").unwrap()
}

#[expect(clippy::panic, reason = "tests fail by panicking")]
fn fail(faults: &Faults) -> Edge {
    panic!("{faults}")
}

fn percent(number: u8) -> Percent {
    Percent::whole(number).unwrap()
}

fn shares(shares: &[(&str, u8)]) -> Vec<Share> {
    let share =
        |(backend, weight): &(&str, u8)| Share { backend: (*backend).to_owned(), weight: percent(*weight) };
    shares.iter().map(share).collect()
}

#[test]
fn a_destination_is_a_name_or_shares() {
    let one = route("prefix: /books, policy: signed-in, to: legacy, answers: library");
    assert_eq!((one.destination, one.shadow), (Destination::whole("legacy"), None));

    let two = route(
        "prefix: /books, policy: signed-in, to: { legacy: 90, users: 10, sticky: session }, shadow: auth, answers: library",
    );
    assert_eq!(two.destination.shares, shares(&[("legacy", 90), ("users", 10)]));
    assert_eq!(two.destination.sticky, Some(Sticky::Session));
    assert_eq!(two.shadow.as_deref(), Some("auth"));
    assert_eq!(two.backends(), ["legacy", "users"]);
    assert_eq!(two.destination.to_string(), "legacy 90 %, users 10 %");
    assert_eq!(
        (two.destination.weight_of("users"), two.destination.weight_of("auth")),
        (percent(10), Percent::ZERO)
    );

    // Decimals, which add up exactly although their binary forms do not.
    let few = route(
        "prefix: /books, policy: signed-in, to: { legacy: 99.5, users: 0.3, auth: 0.2 }, answers: library",
    );
    assert_eq!(few.destination.to_string(), "legacy 99.5 %, users 0.3 %, auth 0.2 %");
    assert_eq!(few.destination.weight_of("users").thousandths(), 300);

    // Nothing yet, or everything: a ramp keeps both backends in the list while it moves shares.
    let none = route(
        "prefix: /books, policy: signed-in, to: { legacy: 100, users: 0, sticky: tenant }, answers: library",
    );
    assert_eq!(none.destination.shares, shares(&[("legacy", 100), ("users", 0)]));
    assert_eq!(none.destination.sticky, Some(Sticky::Tenant));
    let cookie = route(
        "prefix: /books, methods: [GET], policy: public, to: { legacy: 50, users: 50, sticky: { cookie: device } }, shadow: users, answers: library",
    );
    assert_eq!(cookie.destination.sticky, Some(Sticky::Cookie("device".to_owned())));
}

#[test]
fn an_invalid_destination_is_a_fault_on_its_line() {
    let signed_in = |to: &str| format!("prefix: /books, policy: signed-in, to: {to}, answers: library");
    let public =
        |to: &str| format!("prefix: /books, methods: [POST], policy: public, to: {to}, answers: library");
    let cases = [
        (signed_in("{ legacy: 90, users: 9 }"), "add up to 99"),
        (signed_in("{ legacy: 100, users: 100 }"), "add up to 200"),
        (signed_in("{ legacy: 0, users: 0 }"), "add up to 0"),
        (signed_in("{ legacy: 101 }"), "write a percentage from 0 to 100"),
        (signed_in("{ legacy: -1, users: 101 }"), "write a percentage from 0 to 100"),
        (signed_in("{ legacy: 99.9995, users: 0.0005 }"), "at most three decimals"),
        (signed_in("{ legacy: 99.5, users: 0.499 }"), "add up to 99.999"),
        (signed_in("{ legacy: 90, userz: 10 }"), "did you mean `users`?"),
        (signed_in("{}"), "names 0 backends"),
        (signed_in("{ sticky: session }"), "names 0 backends"),
        (signed_in("[legacy]"), "write a mapping"),
        (signed_in("{ legacy: 90, users: 10, sticky: sesion }"), "did you mean `session`?"),
        (signed_in("{ legacy: 90, users: 10, sticky: cookie }"), "names no cookie"),
        (signed_in("{ legacy: 90, users: 10, sticky: { cookie: 'a b' } }"), "write a token"),
        (public("{ legacy: 90, users: 10, sticky: session }"), "have no session"),
        (public("{ legacy: 90, users: 10, sticky: subject }"), "have no subject"),
        (public("{ legacy: 90, users: 10, sticky: tenant }"), "have no tenant"),
        (public("legacy, shadow: users"), "takes neither GET nor HEAD"),
        (signed_in("legacy, shadow: legacy"), "already answers its requests"),
        (signed_in("legacy, shadow: userz"), "did you mean `users`?"),
    ];
    for (words, expected) in cases {
        let message = books(&words).expect_err("the file should be refused").to_string();
        assert!(message.contains(expected), "{words:?} should say {expected:?}:\n{message}");
        assert!(message.contains("name: books"), "the line is shown:\n{message}");
    }
}

/// The dev edge with `old` replaced.
fn edited(old: &str, new: &str) -> Result<Edge, Faults> {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(dev).unwrap();
    assert!(text.contains(old));
    parse(Path::new("edge.yaml"), &text.replacen(old, new, 1), &|_| None)
}

const AUTH: &str = "auth: { address: \"${AUTH_ADDRESS:-127.0.0.1:3021}\" }";
const PUBLIC: &str = "exposure: public }";

#[test]
fn invalid_backends_streams_and_listeners_are_faults() {
    let address = "address: 127.0.0.1:1";
    let cases = [
        (AUTH, "auth: { addresses: [] }".to_owned(), "has no address"),
        (AUTH, format!("auth: {{ {address}, addresses: [127.0.0.1:2] }}"), "both `address` and `addresses`"),
        (AUTH, "auth: { addresses: [127.0.0.1:2, 127.0.0.1:2] }".to_owned(), "twice"),
        (AUTH, format!("auth: {{ {address}, protocol: http3 }}"), "did you mean"),
        (
            AUTH,
            format!("auth: {{ {address}, connect_timeout_ms: 20000 }}"),
            "longer to connect than to answer",
        ),
        (AUTH, format!("auth: {{ {address}, circuit: {{ requests: 0 }} }}"), "from 1 to 65535"),
        (AUTH, format!("auth: {{ {address}, retries: {{ attempts: 9 }} }}"), "from 0 to 3"),
        (AUTH, format!("auth: {{ {address}, retries: {{ budget_percent: 0 }} }}"), "from 1 to 100"),
        (AUTH, format!("auth: {{ {address}, retries: {{ backoff_ms: 900 }} }}"), "shorter than the first"),
        (AUTH, format!("auth: {{ {address}, ejection: {{ most_percent: 101 }} }}"), "from 1 to 100"),
        (AUTH, format!("auth: {{ {address}, health: {{ }} }}"), "has no `path`"),
        (
            AUTH,
            format!("auth: {{ {address}, health: {{ path: /x, timeout_ms: 6000 }} }}"),
            "until the next check",
        ),
        (
            AUTH,
            format!("auth: {{ {address}, protocol: grpc, health: {{ path: /x }} }}"),
            "grpc.health.v1.Health",
        ),
        (AUTH, format!("auth: {{ {address}, lb: ring }}"), "has no field `lb`"),
        (PUBLIC, "exposure: public, tls: { certificate: a.pem } }".to_owned(), "has no `key`"),
        (
            "admin:",
            "stats: { address: 127.0.0.1:9901 }\nadmin:".to_owned(),
            "`admin` and `stats` are both at",
        ),
        ("  public: {", "  stats: {".to_owned(), "the listener for scrapers"),
    ];
    for (old, new, expected) in cases {
        let message = edited(old, &new).expect_err("the file should be refused").to_string();
        assert!(message.contains(expected), "{new:?} should say {expected:?}:\n{message}");
    }
    let words =
        |words: &str| format!("prefix: /books, policy: signed-in, to: legacy, {words}, answers: library");
    let tenant = "00000000-0000-7000-8000-000000000001";
    let cases = [
        (words("upgrade: webtransport"), "`upgrade`"),
        (words("stream: true, shadow: users"), "no whole answer to compare"),
        (words("methods: [POST], upgrade: websocket"), "does not take GET"),
        (words("canary: [{ to: users }]"), "one of `tenant`, `header`, `cookie` and `query`"),
        (words("canary: [{ tenant: \"\", to: users }]"), "write the tenant's id"),
        (words("canary: [{ header: x-beta, value: 1, to: users }]"), "a client could"),
        (words("canary: [{ header: cookie, value: a, to: users }]"), "a client could"),
        (words(&format!("canary: [{{ tenant: {tenant}, to: userz }}]")), "did you mean `users`?"),
        (words("canary: [{ cookie: try-new, value: '1', to: users }]"), "add `chosen_by: client`"),
        (words("canary: [{ header: x-beta, value: '1', to: users }]"), "add `chosen_by: client`"),
        (words("canary: [{ cookie: try-new, value: 'a;b', to: users, chosen_by: client }]"), "no cookie has"),
        (words("canary: [{ cookie: 'a b', value: '1', to: users, chosen_by: client }]"), "write a token"),
        (
            words("canary: [{ cookie: a, header: b, value: '1', to: users, chosen_by: client }]"),
            "exactly one",
        ),
        (words("canary: [{ query: v, value: '2', to: users }]"), "add `chosen_by: client`"),
        (
            words("canary: [{ query: 'a=b', value: '2', to: users, chosen_by: client }]"),
            "names are not decoded",
        ),
        (words("canary: [{ query: v, value: 'a&b', to: users, chosen_by: client }]"), "write `&` as %26"),
        (words("canary: [{ query: v, cookie: c, value: '1', to: users, chosen_by: client }]"), "exactly one"),
        (words("canary: [{ cookie: a, value: '1', to: users, chosen_by: us }]"), "`chosen_by`"),
        (words("canary: [{ header: cookie, value: '1', to: users, chosen_by: client }]"), "name the cookie"),
        (
            words("canary: [{ header: x-tenant-id, value: '1', to: users, chosen_by: client }]"),
            "leave out `chosen_by`",
        ),
        (
            words("canary: [{ header: x-forwarded-beta, value: '1', to: users, chosen_by: client }]"),
            "does not reserve",
        ),
        (
            words(&format!("canary: [{{ tenant: {tenant}, to: users, chosen_by: client }}]")),
            "leave out `chosen_by`",
        ),
        (
            words(&format!("canary: [{{ tenant: {tenant}, to: users }}]")).replace("signed-in", "public"),
            "are not identified",
        ),
    ];
    for (new, expected) in cases {
        let message = books(&new).expect_err("the file should be refused").to_string();
        assert!(message.contains(expected), "{new:?} should say {expected:?}:\n{message}");
    }
}
