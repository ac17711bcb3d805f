//! What `to` and `shadow` of a route may say.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use edge_config::edge::{Destination, Edge, Route, Share, Sticky};
use edge_config::{Faults, parse};

const BOOKS: &str = "prefix: /books, policy: signed-in, to: legacy, answers: library";

/// The dev edge with other words for the route `books`.
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

fn shares(shares: &[(&str, u8)]) -> Vec<Share> {
    shares.iter().map(|(backend, weight)| Share { backend: (*backend).to_owned(), weight: *weight }).collect()
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
    assert_eq!((two.destination.weight_of("users"), two.destination.weight_of("auth")), (10, 0));

    // Nothing yet, or everything: the words for both stay while a ramp walks from one to the other.
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
fn what_no_edge_could_do_is_a_fault_on_its_line() {
    let signed_in = |to: &str| format!("prefix: /books, policy: signed-in, to: {to}, answers: library");
    let public =
        |to: &str| format!("prefix: /books, methods: [POST], policy: public, to: {to}, answers: library");
    let cases = [
        (signed_in("{ legacy: 90, users: 9 }"), "add up to 99"),
        (signed_in("{ legacy: 100, users: 100 }"), "add up to 200"),
        (signed_in("{ legacy: 0, users: 0 }"), "add up to 0"),
        (signed_in("{ legacy: 101 }"), "write a whole number from 0 to 100"),
        (signed_in("{ legacy: -1, users: 101 }"), "write a whole number from 0 to 100"),
        (signed_in("{ legacy: 99.5, users: 0.5 }"), "write a whole number from 0 to 100"),
        (signed_in("{ legacy: 90, userz: 10 }"), "did you mean `users`?"),
        (signed_in("{}"), "names 0 backends"),
        (signed_in("{ sticky: session }"), "names 0 backends"),
        (signed_in("[legacy]"), "write a mapping"),
        (signed_in("{ legacy: 90, users: 10, sticky: sesion }"), "did you mean `session`?"),
        (signed_in("{ legacy: 90, users: 10, sticky: cookie }"), "names no cookie"),
        (signed_in("{ legacy: 90, users: 10, sticky: { cookie: 'a b' } }"), "write a token"),
        (public("{ legacy: 90, users: 10, sticky: session }"), "have no session"),
        (public("{ legacy: 90, users: 10, sticky: tenant }"), "have no tenant"),
        (public("legacy, shadow: users"), "takes neither GET nor HEAD"),
        (signed_in("legacy, shadow: legacy"), "answers its requests already"),
        (signed_in("legacy, shadow: userz"), "did you mean `users`?"),
    ];
    for (words, expected) in cases {
        let message = books(&words).expect_err("the file should be refused").to_string();
        assert!(message.contains(expected), "{words:?} should say {expected:?}:\n{message}");
        assert!(message.contains("name: books"), "the line is shown:\n{message}");
    }
}
