//! What a route for calls between services says: that they may be sent again, and whose process answers them.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use edge_config::{Edge, Faults, parse};

fn dev_with(old: &str, new: &str) -> Result<Edge, Faults> {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(dev).unwrap();
    assert!(text.contains(old), "{old}");
    parse(Path::new("edge.yaml"), &text.replacen(old, new, 1), &|_| None)
}

#[test]
fn requests_of_an_idempotent_route_may_be_sent_again() {
    let route = "policy: signed-in, to: library, answers: library }";
    let idempotent = |words: &str| {
        let edge =
            dev_with(route, &format!("policy: signed-in, to: library, answers: library{words} }}")).unwrap();
        edge.routes.iter().find(|route| route.name == "books").unwrap().idempotent
    };
    assert!(idempotent(", idempotent: true"));
    assert!(!idempotent(", idempotent: false") && !idempotent(""));
    for (words, part) in [
        (", idempotent: often", "`idempotent` of route `books`"),
        (", idempotent: true, stream: true", "`stream: true` cannot be sent again"),
        (", idempotent: true, upgrade: websocket", "`upgrade: websocket` cannot be sent again"),
    ] {
        let faults = dev_with(route, &format!("policy: signed-in, to: library, answers: library{words} }}"));
        let faults = faults.unwrap_err().to_string();
        assert!(faults.contains(part), "{words}: {faults}");
    }
}

#[test]
fn a_backend_has_the_audience_of_another_one_only_at_the_same_addresses() {
    let audience = |edge: &Edge, name: &str| edge.backends[name].audience.clone();
    let dev = dev_with("edge: dev\n", "edge: dev\n").unwrap();
    assert_eq!(audience(&dev, "users-calls"), "users");
    assert_eq!(
        (audience(&dev, "users"), audience(&dev, "legacy")),
        ("users".to_owned(), "legacy".to_owned())
    );
    let of = "audience: users, protocol";
    for (old, new) in [
        // Another process, one that does not exist, one that has another's audience itself, and no name.
        (of, "audience: library, protocol"),
        (of, "audience: other, protocol"),
        (of, "audience: library-calls, protocol"),
        (of, "audience: users-calls, protocol"),
        (of, "audience: [users], protocol"),
        (
            "  users: { address: \"${USERS_ADDRESS:-127.0.0.1:3022}\" }",
            "  users: { address: \"127.0.0.1:3999\" }",
        ),
    ] {
        let result = dev_with(old, new);
        if new.contains("users-calls") {
            // Its own name is what it would have anyway.
            assert!(result.is_ok());
            continue;
        }
        let faults = result.unwrap_err().to_string();
        assert!(faults.contains("audience") && faults.contains("users-calls"), "{new}: {faults}");
    }
}
