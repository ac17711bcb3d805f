//! The edge removes a credential once it has turned it into an identity.

use harness::{Backend, Edge, EdgeBuilder, Part};

const LEGACY: &str = "    request_headers: { x-madome-public-access: \"true\" }\n";
const LEASED: &str = "signed-in: { kind: session, lease: { seconds: 25 } }";

fn edge(backend: &Backend, legacy: &str) -> EdgeBuilder {
    Edge::dev()
        .replace(LEGACY, &format!("{LEGACY}{legacy}"))
        .replace("signed-in: { kind: session }", LEASED)
        .replace("routes:\n", "routes:\n  - { name: halves, host: api, prefix: /halves, policy: signed-in, to: { legacy: 50, users: 50, sticky: session }, answers: auth }\n")
        .with_open_route()
        .every_backend(backend.address())
}

#[test]
fn peoples_credentials_reach_the_backend_unless_it_says_otherwise() {
    let backend = Backend::plain();
    let edge = edge(&backend, "").start();
    let token = edge.mint().good(0);
    let cookie = format!("madome_access_token={token}");
    for _ in 0..3 {
        assert_eq!(edge.get("/books/1").token(&token).send().status, 200);
        assert_eq!(backend.last().all("cookie"), std::slice::from_ref(&cookie));
    }
    let bearer = edge.get("/books/1").header("authorization", format!("Bearer {token}")).send();
    assert_eq!(bearer.status, 200);
    assert_eq!(backend.last().all("authorization"), [format!("Bearer {token}")]);
}

#[test]
fn a_backend_without_credentials_gets_an_identity_alone_checked_or_leased() {
    let backend = Backend::plain();
    let edge = edge(&backend, "    credentials: remove\n").start();
    let token = edge.mint().good(0);
    for round in 0..5 {
        let bearer = edge
            .get("/books/1")
            .header("Authorization", format!("Bearer {token}"))
            .header("cookie", "other=1");
        assert_eq!(bearer.send().status, 200, "round {round}");
        let seen = backend.last();
        assert!(
            seen.all("authorization").is_empty() && seen.all("cookie").is_empty(),
            "round {round}: {seen:?}"
        );
        assert!(seen.header("x-madome-identity").is_some(), "round {round}: {seen:?}");
        assert_eq!(edge.get("/books/1").token(&token).send().status, 200, "round {round}");
        let seen = backend.last();
        assert!(seen.all("cookie").is_empty(), "round {round}: {seen:?}");
    }
    assert!(edge.leased() > 0, "no lease served anything");
    // Another backend keeps its own rule; a public route needs no decision.
    assert_eq!(edge.get("/users/@me").token(&token).send().status, 200);
    assert_eq!(backend.last().all("cookie"), [format!("madome_access_token={token}")]);
    assert_eq!(
        edge.get("/open").header("authorization", "Bearer own").header("cookie", "a=b").send().status,
        200
    );
    let seen = backend.last();
    assert_eq!(
        (seen.all("authorization"), seen.all("cookie")),
        (vec!["Bearer own".to_owned()], vec!["a=b".to_owned()])
    );
    // In a share, only the backends that are configured so.
    for round in 0..20 {
        assert_eq!(edge.get(format!("/halves/{round}")).token(&edge.mint().good(0)).send().status, 200);
        let seen = backend.last();
        let to_legacy = seen.header("x-madome-public-access").is_some();
        assert_eq!(seen.all("cookie").is_empty(), to_legacy, "{seen:?}");
    }
}

#[test]
fn an_api_key_reaches_no_backend_even_where_none_is_accepted() {
    let backend = Backend::plain();
    let edge = edge(&backend, "")
        .replace("policies:\n", "api_keys: { file: \"${CUTOVER_HOME}/api-keys.jsonl\" }\n\npolicies:\n")
        .replace(
            "bot: { kind: session, role: 2 }",
            "bot: { kind: session, accept: [session, api-key], role: 2 }",
        )
        .without(Part::Authz)
        .start();
    assert_eq!(edge.get("/open").header("X-API-Key", "ck_somebody").send().status, 200);
    assert!(backend.last().all("x-api-key").is_empty(), "{:?}", backend.last());
}
