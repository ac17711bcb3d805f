//! Service tokens against the real edge and the real auth service: how one is got, and where it counts.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use clock::SystemClock;
use harness::wire::Request;
use harness::{Backend, Edge};
use service_client::{Account, TokenError, Tokens};

fn edge(backend: &Backend, permissions: &str) -> Edge {
    Edge::dev()
        .stand_in("LEGACY_ADDRESS", backend.address())
        .stand_in("USERS_ADDRESS", backend.address())
        .replace(
            "keys/auth.jwks.json\" }",
            &format!("keys/auth.jwks.json\", permissions: [{permissions}] }}\n  other: {{ keys: \"${{CUTOVER_HOME}}/keys/identity.jwks.json\", permissions: [users.read] }}"),
        )
        .replace("kind: internal, services: [auth] }", "kind: internal, permissions: [users.read] }\n  token: { kind: public }")
        .replace(
            "policies:\n",
            "service_tokens: { issuer: \"https://api.dev-domain.test/auth\", keys: \"${CUTOVER_HOME}/keys/service-token.jwks.json\" }\n\npolicies:\n",
        )
        .replace(
            "routes:\n",
            "routes:\n  - { name: service-token, host: service, exact: /_/auth/service-token, methods: [POST], policy: token, to: auth, answers: auth }\n",
        )
        .start()
}

fn tokens(edge: &Edge, key: &str) -> Tokens {
    let account = Account {
        name: "auth".parse().unwrap(),
        key: edge.home().join("keys").join(key),
        issuer: "https://api.dev-domain.test/auth".to_owned(),
        edge_url: format!("http://{}", edge.address("EDGE_SERVICE_ADDRESS")),
        tenant: None,
    };
    Tokens::new(&account, Arc::new(SystemClock)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_got_through_the_edge_and_counts_on_the_service_listener_alone() {
    let backend = Backend::plain();
    let edge = edge(&backend, "users.read, users.write");
    let tokens = tokens(&edge, "auth.pem");
    let answer = tokens.get("/_/users/somebody").await.unwrap().send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let seen = backend.last();
    assert_eq!(seen.all("x-madome-auth-sub"), ["auth"]);
    assert!(seen.header("x-madome-identity").is_some());
    assert_eq!(seen.header("x-madome-public"), None);

    let token = tokens.token().await.unwrap();
    let bearer = format!("Bearer {token}");
    let before = backend.seen().len();
    let public = |target: &str| edge.get(target).header("authorization", &bearer).send().status;
    assert_eq!(public("/users/@me"), 401, "not a person's");
    assert_eq!(public("/_/users/somebody"), 404, "not from outside");
    assert_eq!(
        edge.request("POST", "/_/auth/service-token").body("").send().status,
        404,
        "no tokens outside"
    );
    let service = |bearer: &str| {
        let address = edge.address("EDGE_SERVICE_ADDRESS");
        Request::new(address, "GET", "/_/users/x").header("authorization", bearer).send().status
    };
    assert_eq!(service(&format!("{bearer}x")), 401);
    assert_eq!(
        service(&format!("Bearer {}", edge.mint().good(2))),
        401,
        "a person's token is not a service's"
    );
    assert_eq!(backend.seen().len(), before);
    for log in ["authz.log", "auth.log", "envoy.log", "access.json"] {
        let text = std::fs::read_to_string(edge.home().join("logs").join(log)).unwrap();
        assert!(!text.contains(&*token), "{log}");
    }
    let log = std::fs::read_to_string(edge.home().join("logs/auth.log")).unwrap();
    assert!(log.contains("service token issued"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_permission_or_the_key_nothing_passes() {
    let backend = Backend::plain();
    let edge = edge(&backend, "users.write");
    let answer = tokens(&edge, "auth.pem").get("/_/users/x").await.unwrap().send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 403);
    // A key of another service says nothing about this one.
    let strange = tokens(&edge, "identity.pem").token().await;
    assert!(matches!(strange, Err(TokenError::Refused(401))), "{strange:?}");
    assert!(backend.seen().is_empty());
}
