//! The edge alone verifies credentials. The services behind it take the identity that it signed, and nothing else: a token by
//! itself opens nothing, and beside a signed identity no service looks at it. `cutover agreement` shows on the traffic of every
//! kind of caller that they refuse no request that the edge let pass.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use clock::{Clock as _, SystemClock};
use harness::tokens::{DEMO_TENANT, Mint, SUSPENDED_TENANT, now};
use harness::wire::Request;
use harness::{Edge, eventually_some};
use identity::assertion::Signer;
use serde_json::{Value, json};

const DEMO: &str = "00000000-0000-7000-8000-0000000000a0";

/// The new services, each with a path of a session policy, its variable, and the host of the path. The auth service is not among
/// them: it issues tokens, and answers about its own sessions.
const SERVICES: [(&str, &str, &str, &str); 4] = [
    ("users", "USERS_ADDRESS", "localhost", "/users/@me"),
    ("users", "USERS_ADDRESS", "localhost", "/users/@me/histories"),
    ("library", "LIBRARY_ADDRESS", "localhost", "/books/1"),
    ("image", "IMAGE_ADDRESS", "file.dev-domain.test", "/image/library/1/1.png"),
];

/// Tokens that the edge refuses.
fn refused(mint: &Mint) -> Vec<String> {
    let with = |claim: &str, value: Value| {
        mint.with(|claims| {
            claims.insert(claim.to_owned(), value);
        })
    };
    let good = mint.good(0);
    vec![
        "x".to_owned(),
        good.chars().rev().collect(),
        with("exp", json!(now() - 7_200)),
        with("nbf", json!(now() + 7_200)),
        with("aud", json!("https://elsewhere.test")),
        with("iss", json!("https://elsewhere.test")),
        with("tenantId", json!(SUSPENDED_TENANT)),
    ]
}

/// The identity that the edge signs for `service`.
fn signed(edge: &Edge, service: &str) -> String {
    let form = identity::Form { tenant: "tenantId".to_owned(), ..identity::Form::default() };
    let key = edge.home().join("keys/identity.pem");
    let signer = Signer::from_file("dev", &key).expect("a key").in_form(form);
    let caller = identity::Caller::Person(identity::Person {
        subject: DEMO.parse().expect("an id"),
        tenant: Some(DEMO_TENANT.parse().expect("an id")),
        roles: Vec::new(),
        session: Some("00000000-0000-7000-8000-00000000005e".parse().expect("an id")),
        role: Some(identity::Role::NORMAL),
        scopes: Vec::new(),
    });
    signer.sign(&caller, service, SystemClock.now()).expect("a signature")
}

/// What a service answers to a request that did not come through the edge.
fn direct(address: SocketAddr, path: &str, identity: Option<&str>, token: Option<&str>) -> u16 {
    let mut request = Request::new(address, "GET", path);
    if let Some(token) = token {
        request = request.token(token).header("authorization", format!("Bearer {token}"));
    }
    if let Some(identity) = identity {
        request = request.header("x-madome-identity", identity).header("x-tenant-id", DEMO_TENANT);
    }
    request.send().status
}

/// The counts of every route, once the log has all of the requests.
fn agreement(edge: &Edge, requests: u64) -> Vec<Value> {
    let log = edge.home().join("logs/access.json").display().to_string();
    eventually_some("Envoy has logged every request", || {
        let shown =
            edge.cutover_program().args(["agreement", "--log", &log, "--least", "1", "--json"]).output();
        let shown: Value = serde_json::from_slice(&shown.expect("it runs").stdout).ok()?;
        let rows = shown.get("routes")?.as_array()?.clone();
        let counted: u64 = rows.iter().filter_map(|row| row.get("requests")?.as_u64()).sum();
        (counted >= requests).then_some(rows)
    })
}

#[test]
fn the_services_trust_the_signed_identity_and_agree_with_the_edge() {
    let edge = Edge::shipped("dev").start();
    let mint = edge.mint();
    let good = || {
        mint.with(|claims| {
            claims.insert("sub".to_owned(), json!(DEMO));
        })
    };
    let others = refused(&mint);
    for (service, variable, _, path) in SERVICES {
        let address = edge.address(variable);
        assert_eq!(direct(address, path, None, None), 401, "{service} {path}");
        assert_eq!(direct(address, path, None, Some(&good())), 401, "{service} {path}: a token by itself");
        let identity = signed(&edge, service);
        assert_eq!(direct(address, path, Some(&identity), None), 200, "{service} {path}");
        for token in &others {
            assert_eq!(direct(address, path, Some(&identity), Some(token)), 200, "{service} {path}: {token}");
        }
    }

    let mut requests = 0;
    for (_, _, host, path) in SERVICES {
        let mut send = |token: Option<&str>| {
            requests += 1;
            let request = edge.get(path).host(host);
            token.map_or_else(|| request.clone(), |token| request.clone().token(token)).send().status
        };
        for _ in 0..3 {
            assert_eq!(send(Some(&good())), 200, "{path}");
        }
        assert_eq!(send(None), 401, "{path}");
        for token in &others {
            assert!([401, 403].contains(&send(Some(token))), "{path}: {token}");
        }
    }
    let rows = agreement(&edge, requests);
    assert!(rows.len() >= 4, "{rows:?}");
    for row in rows {
        let refuses = row.get("backend_refuses").and_then(Value::as_object).expect("counts");
        assert!(refuses.is_empty(), "a service refuses a caller whom the edge admitted: {row}");
        assert!(row.get("both_allow").and_then(Value::as_u64) >= Some(3), "{row}");
    }
}
