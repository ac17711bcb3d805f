//! API keys through the whole edge: which keys pass, what the backend receives, and how soon a revoked key is refused.
#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use harness::tokens::{DEMO_TENANT, SUSPENDED_TENANT};
use harness::wire::{Answer, Request};
use harness::{Backend, Edge, Part, eventually_some, within};
use serde_json::Value;

/// The stated time from a revocation to the first refusal.
const REVOKED_WITHIN: Duration = Duration::from_secs(1);

fn edge(backend: &Backend) -> Edge {
    let mut edge = Edge::dev()
        .without(Part::Authz)
        .every_backend(backend.address())
        .replace(
            "policies:\n",
            "api_keys: { file: \"${CUTOVER_HOME}/api-keys.jsonl\" }

policies:
  either: { kind: session, accept: [session, api-key] }
  writers: { kind: session, accept: [api-key], role: 2, scopes: [books.write] }
",
        )
        .replace(
            "routes:\n",
            "routes:
  - { name: either, host: api, prefix: /either, policy: either, to: users, answers: users }
  - { name: writers, host: api, prefix: /writers, policy: writers, to: users, answers: users }
",
        )
        .start();
    // A replica without the file is not ready: the first key is there before it.
    make(&edge, &[]);
    edge.start(Part::Authz);
    edge.wait_until_ready();
    edge
}

/// Makes a key with `cutover apikey new`: its id, and its text.
fn make(edge: &Edge, more: &[&str]) -> (String, String) {
    let arguments =
        [&["apikey", "--json", "new", "--client", "nightly", "--tenant", DEMO_TENANT], more].concat();
    let made: Value = serde_json::from_str(&edge.cutover(&arguments)).expect("it prints JSON");
    let text = |name: &str| made[name].as_str().expect("a key has an id and a text").to_owned();
    (text("id"), text("key"))
}

fn with(edge: &Edge, path: &str, key: &str) -> Request {
    edge.get(path).header("x-api-key", key)
}

fn until_it_passes(edge: &Edge, key: &str) -> Answer {
    eventually_some("the key is in force", || {
        Some(with(edge, "/either", key).send()).filter(|answer| answer.status == 200)
    })
}

#[test]
fn a_client_passes_as_itself_until_its_key_is_revoked() {
    let backend = Backend::plain();
    let edge = edge(&backend);
    let (id, key) = make(&edge, &["--scope", "books.write", "--role", "2"]);
    let (_, other) = make(&edge, &[]);
    until_it_passes(&edge, &other);
    until_it_passes(&edge, &key);
    let seen = backend.last();
    assert_eq!(seen.all("x-madome-auth-sub"), ["nightly"]);
    assert_eq!(seen.all("x-tenant-id"), [DEMO_TENANT]);
    assert_eq!(seen.all("x-madome-auth-role"), ["2"]);
    assert_eq!(seen.all("x-madome-auth-scope"), ["books.write"]);
    assert_eq!(seen.header("x-api-key"), None, "no backend learns a key");
    assert_eq!(seen.header("x-madome-auth-sid"), None, "a client has no session");
    assert!(seen.header("x-madome-identity").is_some());
    assert_eq!(with(&edge, "/writers", &key).send().status, 200);
    assert_eq!(with(&edge, "/writers", &other).send().status, 403, "a key without role and scope");

    // Only the exact key in the exact place counts as a key.
    let before = backend.seen().len();
    for wrong in [
        key.to_uppercase(),
        format!("{key} "),
        format!("x{key}"),
        key.get(..key.len() - 1).expect("a key is ASCII").to_owned(),
        format!("{key}, {key}"),
        String::new(),
    ] {
        // Spaces around a value are not part of it (RFC 9110 §5.5).
        let expected = if wrong.trim() == key { 200 } else { 401 };
        assert_eq!(with(&edge, "/either", &wrong).send().status, expected, "{wrong:?}");
    }
    assert_eq!(with(&edge, "/either", &key).header("x-api-key", &key).send().status, 401, "twice");
    assert_eq!(edge.get(format!("/either?x-api-key={key}")).send().status, 401, "in the query");
    assert_eq!(edge.get("/either").header("authorization", format!("Bearer {key}")).send().status, 401);
    assert_eq!(with(&edge, "/users/@me", &key).send().status, 401, "where only sessions count");
    let session = edge.mint().good(0);
    assert_eq!(with(&edge, "/either", &key).token(&session).send().status, 401, "two callers at once");
    assert_eq!(edge.get("/either").token(&session).send().status, 200, "a session by itself");
    assert_eq!(backend.seen().len(), before + 2);

    edge.cutover(&["apikey", "revoke", &id]);
    let refused =
        within(REVOKED_WITHIN, || (with(&edge, "/either", &key).send().status == 401).then_some(()));
    assert!(refused.is_some(), "a revoked key is accepted");
    let decisions =
        Request::new(edge.address("AUTHZ_ADMIN_ADDRESS"), "GET", "/decisions?limit=1").send().text();
    assert!(decisions.contains("api_key_revoked"), "{decisions}");
    assert_eq!(with(&edge, "/either", &other).send().status, 200, "its other key goes on");
    for log in ["authz.log", "access.json", "envoy.log", "audit.jsonl"] {
        let text = std::fs::read_to_string(edge.home().join("logs").join(log)).unwrap_or_default();
        assert!(!text.contains(key.rsplit('_').next().unwrap_or_default()), "a key is in {log}");
    }
}

#[test]
fn a_key_of_a_suspended_tenant_passes_nowhere() {
    let backend = Backend::plain();
    let edge = edge(&backend);
    let arguments = ["apikey", "--json", "new", "--client", "nightly", "--tenant", SUSPENDED_TENANT];
    let made: Value = serde_json::from_str(&edge.cutover(&arguments)).expect("it prints JSON");
    let key = made["key"].as_str().expect("a key has a text");
    let (_, good) = make(&edge, &[]);
    until_it_passes(&edge, &good);
    let before = backend.seen().len();
    assert_eq!(with(&edge, "/either", key).send().status, 403);
    assert_eq!(backend.seen().len(), before);
}
