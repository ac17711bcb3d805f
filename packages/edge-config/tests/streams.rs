//! What ends open requests, in an edge file.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;
use std::time::Duration;

use edge_config::edge::{EndsWith, Streams};
use edge_config::{Edge, Faults};

#[expect(clippy::expect_used, reason = "a test without the development edge has nothing to test")]
fn dev_with(routes: &str, more: &str) -> Result<Edge, Faults> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(&file).expect("the development edge is there");
    let text = text.replacen("\nroutes:\n", &format!("\n{more}\nroutes:\n{routes}"), 1);
    edge_config::parse(&file, &text, &|_| None)
}

fn route(fields: &str) -> String {
    format!("  - {{ name: mine, host: api, prefix: /mine, to: legacy, answers: library, {fields} }}\n")
}

fn of(fields: &str) -> EndsWith {
    let edge = dev_with(&route(fields), "").unwrap();
    let mine = edge.routes.iter().find(|route| route.name == "mine").unwrap();
    edge.ends_with(mine)
}

#[test]
fn streams_of_a_session_end_with_the_credential_and_all_else_with_nothing_unless_the_route_says_so() {
    assert_eq!(of("policy: signed-in"), EndsWith::Nothing);
    assert_eq!(of("policy: signed-in, stream: true"), EndsWith::Credential);
    assert_eq!(of("policy: signed-in, upgrade: websocket"), EndsWith::Credential);
    assert_eq!(of("policy: signed-in, stream: true, ends_with: session"), EndsWith::Session);
    assert_eq!(of("policy: signed-in, stream: true, ends_with: nothing"), EndsWith::Nothing);
    assert_eq!(of("policy: signed-in, ends_with: credential"), EndsWith::Credential, "a long upload");
    assert_eq!(of("policy: public, stream: true"), EndsWith::Nothing);
    assert_eq!(of("policy: public, stream: true, ends_with: nothing"), EndsWith::Nothing);
}

#[test]
fn a_stream_that_ends_with_its_session_is_checked_and_never_leased() {
    let leased = |fields: &str| {
        let text = route(&format!("policy: leased, {fields}"));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
        let dev = std::fs::read_to_string(&file).unwrap();
        let dev = dev
            .replacen("\npolicies:\n", "\npolicies:\n  leased: { kind: session, lease: {} }\n", 1)
            .replacen("\nroutes:\n", &format!("\nroutes:\n{text}"), 1);
        let edge = edge_config::parse(&file, &dev, &|_| None).unwrap();
        let mine = edge.routes.iter().find(|route| route.name == "mine").unwrap();
        edge.lease_of(mine).is_some()
    };
    assert!(leased("stream: false"));
    assert!(!leased("stream: true"));
    assert!(leased("stream: true, ends_with: nothing"));
    assert!(!leased("ends_with: session"));
}

#[test]
fn the_bounds_have_defaults_and_limits() {
    assert_eq!(dev_with("", "").unwrap().streams, Streams::default());
    let edge = dev_with("", "streams: { most: 8, unjudged_seconds: 3600 }").unwrap();
    assert_eq!(edge.streams, Streams { most: 8, unjudged: Duration::from_secs(3_600) });
    for (streams, part) in [
        ("streams: { most: 7 }", "`most` of `streams`"),
        ("streams: { most: many }", "`most` of `streams`"),
        ("streams: { unjudged_seconds: 0 }", "`unjudged_seconds` of `streams`"),
        ("streams: { unjudged_seconds: 3601 }", "`unjudged_seconds` of `streams`"),
        ("streams: { seconds: 1 }", "has no field `seconds`"),
        ("streams: 8", "`streams`"),
    ] {
        let faults = dev_with("", streams).unwrap_err().to_string();
        assert!(faults.contains(part), "{streams}: {faults}");
    }
}

#[test]
fn a_route_without_a_session_cannot_end_with_one() {
    for (fields, part) in [
        ("policy: public, stream: true, ends_with: session", "its policy `public` is of kind `public`"),
        ("policy: public, ends_with: credential", "where no session can end"),
        ("policy: signed-in, ends_with: logout", "`ends_with` of route `mine`"),
        ("policy: signed-in, ends_with: [session]", "`ends_with` of route `mine`"),
    ] {
        let faults = dev_with(&route(fields), "").unwrap_err().to_string();
        assert!(faults.contains(part), "{fields}: {faults}");
    }
}
