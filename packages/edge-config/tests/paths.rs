//! `exact`, `path` and `prefix` of routes and internal paths, and the rule that chooses among them.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use edge_config::edge::Edge;
use edge_config::{Faults, Match, parse, route_of};

/// The dev edge with these routes before its own.
fn with(routes: &str) -> Result<Edge, Faults> {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(dev).unwrap();
    parse(Path::new("edge.yaml"), &text.replacen("routes:\n", &format!("routes:\n{routes}"), 1), &|_| None)
}

fn route(name: &str, path: &str) -> String {
    format!("  - {{ name: {name}, host: api, {path}, policy: signed-in, to: legacy, answers: auth }}\n")
}

#[test]
fn the_most_specific_route_takes_a_path() {
    let routes = [
        ("user", "path: \"/v1/users/{user}\""),
        ("me", "exact: /v1/users/me"),
        ("orders", "path: \"/v1/users/{id}/orders\""),
        ("me-posts", "prefix: /v1/users/me, methods: [POST]"),
        ("plain", "path: /v1/plain"),
        ("invoices", "prefix: \"/t/{tenant}/invoices\""),
    ];
    let text: String = routes.iter().map(|(name, path)| route(name, path)).collect();
    let edge = with(&text).unwrap();
    for (method, path, expected) in [
        ("GET", "/v1/users/7", "user"),
        ("GET", "/v1/users/me", "me"),
        ("GET", "/v1/users/Me", "user"),
        ("GET", "/v1/users/7/orders", "orders"),
        ("GET", "/v1/users/me/orders", "orders"),
        ("POST", "/v1/users/me/orders", "me-posts"),
        ("POST", "/v1/users/me", "me"),
        ("GET", "/v1/users/7/", "api-rest"),
        ("GET", "/v1/users/", "api-rest"),
        ("GET", "/v1/users//orders", "api-rest"),
        ("GET", "/v1/plain", "plain"),
        ("GET", "/v1/plain/x", "api-rest"),
        ("GET", "/t/a/invoices/7/lines", "invoices"),
        ("GET", "/t/a/invoicesx", "api-rest"),
    ] {
        let Match::Route(taken) = route_of(&edge, "public", "localhost", method, path) else {
            unreachable!()
        };
        assert_eq!(taken.name, expected, "{method} {path}");
    }
}

#[test]
fn each_of_these_is_a_fault_of_a_path_with_its_line_and_mend() {
    let two = |one: &str, other: &str| route("one", one) + &route("two", other);
    let many: String = (0..9).map(|n| format!("/{{p{n}}}")).collect();
    for (routes, expected) in [
        (route("x", "path: \"/a/{}\""), "give each parameter a name"),
        (route("x", "path: \"/a/{b}/{b}\""), "`{b}` is there twice"),
        (route("x", "path: \"/a/{b}c\""), "a parameter is a whole segment, and `{b}c` is only partly one"),
        (route("x", "path: \"/a/b-{c}\""), "a parameter is a whole segment"),
        (route("x", "path: \"/a/{b\""), "a parameter is a whole segment"),
        (route("x", "path: \"/a/b}\""), "a parameter is a whole segment"),
        (route("x", "path: \"/a/{b c}\""), "visible ASCII"),
        (route("x", "path: \"/a/{b.c}\""), "letters, digits, `-` and `_`"),
        (route("x", "path: \"/a/{b=**}\""), "name a parameter for a whole segment"),
        (route("x", "path: \"/a/*/b\""), "such as `/users/{user}`"),
        (route("x", "path: \"a/{b}\""), "begin it with `/`"),
        (route("x", "path: \"/a//{b}\""), "without empty"),
        (route("x", "exact: \"/a/{b}\""), "write `path: \"/a/{b}\"`"),
        (route("x", "prefix: \"/a/{b}/\""), "leave the slash out"),
        (route("x", &format!("path: \"{many}\"")), "at most 8 parameters"),
        (route("x", &format!("path: \"{}\"", "/a".repeat(65))), "at most 64 segments"),
        (route("x", "path: /a, prefix: /a"), "needs one of `exact`, `prefix` and `path`"),
        (route("x", "methods: [GET]"), "needs one of `exact`, `prefix` and `path`"),
        (two("path: \"/u/{a}/x\"", "path: \"/u/{b}/x\""), "`/u/{b}/x` and `/u/{a}/x` are one"),
        (two("exact: /u", "path: /u"), "both take the same path"),
        (two("path: \"/u/{a}\", methods: [GET]", "path: \"/u/{b}\", methods: [GET]"), "both take GET"),
        (route("x", "path: \"/internal/{x}\""), "opens the internal path /internal"),
    ] {
        let message = with(&routes).unwrap_err().to_string();
        assert!(message.contains(expected), "{routes} should say {expected:?}:\n{message}");
        assert!(
            message.contains("name: x") || message.contains("name: two"),
            "the line is shown:\n{message}"
        );
    }
    assert!(with(&two("path: \"/u/{a}\"", "path: /u/me")).is_ok(), "the literal wins");
    assert!(with(&two("path: \"/u/{a}\", methods: [GET]", "path: \"/u/{b}\", methods: [PUT]")).is_ok());
}
