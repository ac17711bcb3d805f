//! Ids are texts, compared as bytes: through Envoy, leases, sticky shares, canaries by tenant, `/decisions` and
//! revocations.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use harness::wire::{Answer, Request};
use harness::{Backend, Edge, EdgeBuilder, eventually, pause};
use serde_json::{Value, json};

const UPPER: &str = "0192D3C0-0000-7000-8000-0000000000AA";
const LOWER: &str = "0192d3c0-0000-7000-8000-0000000000aa";

/// Ids as providers write them, and what tests an edge: beyond ASCII, as long as allowed, a UUID in two letter
/// cases, what has a meaning in URLs, headers and lists.
fn ids() -> Vec<String> {
    let texts = [
        "auth0|5f7c8e",
        "Zo\u{eb} \u{c5}ngstr\u{f6}m",
        "\u{65e5}\u{672c}|\u{1f600}",
        UPPER,
        LOWER,
        "a,b;c=d&e%2Ff/?#",
        "\"q\" \\",
    ];
    let mut all: Vec<String> = texts.into_iter().map(str::to_owned).collect();
    all.push("x".repeat(255));
    all.push("\u{e9}".repeat(127));
    all
}

fn token(edge: &Edge, subject: &str, session: &str, tenant: &str) -> String {
    edge.mint().with(|claims| {
        for (name, value) in [("sub", subject), ("sid", session), ("tenantId", tenant)] {
            claims.insert(name.to_owned(), json!(value));
        }
    })
}

/// Lists every text as an active tenant, and waits until it counts.
fn list_tenants(edge: &Edge) {
    let tenants: Vec<Value> = ids().iter().map(|id| json!({ "id": id, "status": "active" })).collect();
    std::fs::write(edge.home().join("tenants.yaml"), json!({ "tenants": tenants }).to_string()).unwrap();
    let probe = token(edge, "probe", "probe", &ids()[0]);
    eventually("the tenants count", || get(edge, &probe).status == 200);
}

fn get(edge: &Edge, token: &str) -> Answer {
    edge.get("/books/1").token(token).send()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn claims(identity: &str) -> Value {
    let payload = identity.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn leased(backend: &Backend) -> EdgeBuilder {
    // A busy machine is not an outage.
    Edge::dev()
        .replace("signed-in: { kind: session }", "signed-in: { kind: session, lease: { seconds: 10 } }")
        .replace("timeout_ms: 200", "timeout_ms: 2000")
        .every_backend(backend.address())
}

#[test]
fn every_id_reaches_the_backend_as_its_bytes_checked_and_leased_and_ends_alone() {
    let backend = Backend::plain();
    let edge = leased(&backend).start();
    list_tenants(&edge);
    for id in ids() {
        let token = token(&edge, &id, &id, &id);
        // The first request is checked. Later ones are leased, which changes nothing of what the backend reads.
        for _ in 0..3 {
            assert_eq!(get(&edge, &token).status, 200, "{id}");
            let seen = backend.last();
            for name in ["x-madome-auth-sub", "x-madome-auth-sid", "x-tenant-id"] {
                assert_eq!(seen.header(name).as_deref(), Some(id.as_str()), "{name}");
            }
            let signed = claims(&seen.header("x-madome-identity").unwrap());
            assert_eq!(signed["sub"], json!(id), "{signed}");
            pause(Duration::from_millis(200), "the feed is polled");
        }
        let admin = edge.address("AUTHZ_ADMIN_ADDRESS");
        for filter in ["subject", "tenant"] {
            let path = format!("/decisions?limit=1000&{filter}={}", encoded(&id));
            let listed = Request::new(admin, "GET", &path).send();
            let listed: Value = serde_json::from_str(&listed.text()).unwrap();
            let all = listed.as_array().unwrap();
            assert!(
                !all.is_empty() && all.iter().all(|one| one[filter] == json!(id)),
                "{filter} {id}: {listed}"
            );
        }
    }
    assert!(edge.leased() > 0, "some of these were leased");
    // The end of one person's sessions is the end of that person's alone, also for a UUID in another letter case.
    edge.cutover(&["revoke", "subject", UPPER]);
    let lower = token(&edge, LOWER, "s-2", &ids()[0]);
    let old = edge.mint().with(|claims| {
        claims.insert("sub".to_owned(), json!(UPPER));
        claims.insert("tenantId".to_owned(), json!(ids()[0]));
        let issued = claims["iat"].as_u64().unwrap();
        claims.insert("iat".to_owned(), json!(issued - 30));
    });
    eventually("the person's older sessions have ended", || get(&edge, &old).status == 401);
    assert_eq!(get(&edge, &lower).status, 200, "another person");
}

#[test]
fn every_id_sticks_to_its_backend_and_canaries_know_tenants_by_their_bytes() {
    let legacy = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nlegacy");
    let users = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nusers");
    let with = |to: &str| {
        let edge = Edge::dev()
            .replace(
                "prefix: /books, policy: signed-in, to: legacy, answers: library",
                &format!("prefix: /books, policy: signed-in, {to}, answers: library"),
            )
            .stand_in("LEGACY_ADDRESS", legacy.address())
            .stand_in("USERS_ADDRESS", users.address())
            .start();
        list_tenants(&edge);
        edge
    };
    let edge = with("to: { legacy: 50, users: 50, sticky: subject }");
    for id in ids() {
        let answered: BTreeSet<String> =
            (0..8).map(|n| get(&edge, &token(&edge, &id, &format!("s-{n}"), &ids()[0])).text()).collect();
        assert_eq!(answered.len(), 1, "{id}: {answered:?}");
    }
    let chosen = [UPPER, "\u{65e5}\u{672c}|\u{1f600}"];
    let canary = |tenant: &str| format!("{{ tenant: \"{tenant}\", to: users }}");
    let edge = with(&format!("to: legacy, canary: [{}]", chosen.map(canary).join(", ")));
    for id in ids() {
        let expected = if chosen.contains(&id.as_str()) { "users" } else { "legacy" };
        assert_eq!(get(&edge, &token(&edge, "ada", "s-1", &id)).text(), expected, "{id}");
    }
}
