//! Service tokens with the real edge and the real auth service: how a service gets one, and where it is accepted.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use clock::SystemClock;
use harness::tokens::{DEMO_TENANT, SUSPENDED_TENANT};
use harness::wire::Request;
use harness::{Backend, Edge, EdgeBuilder, eventually};
use service_client::{Account, TokenError, Tokens};

fn edge(backend: &Backend, permissions: &str) -> Edge {
    builder(backend, permissions).start()
}

fn builder(backend: &Backend, permissions: &str) -> EdgeBuilder {
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
}

fn account(edge: &Edge, key: &str) -> Account {
    Account {
        name: "auth".parse().unwrap(),
        key: edge.home().join("keys").join(key),
        issuer: "https://api.dev-domain.test/auth".to_owned(),
        edge_url: format!("http://{}", edge.address("EDGE_SERVICE_ADDRESS")),
        tenant: None,
    }
}

fn tokens(edge: &Edge, key: &str) -> Tokens {
    Tokens::new(&account(edge, key), Arc::new(SystemClock)).unwrap()
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
    assert_eq!(seen.header("authorization"), None, "the token counts elsewhere too, so it ends at the edge");

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
async fn each_service_has_its_limit_and_every_call_is_in_the_audit() {
    let backend = Backend::plain();
    let edge = builder(&backend, "users.read")
        .replace("limits:\n", "limits:\n  calls: { per: service, rate: 2, seconds: 3600 }\n")
        .replace("{ name: users-lookup,", "{ limits: [calls], name: users-lookup,")
        .start();
    let tokens = tokens(&edge, "auth.pem");
    let call = async |id: &str| {
        let request = tokens.get("/_/users/somebody").await.unwrap().header("x-request-id", id);
        request.send().await.unwrap()
    };
    let ids = [
        "01932c07-0000-7000-8000-00000000000a",
        "01932c07-0000-7000-8000-00000000000b",
        "01932c07-0000-7000-8000-00000000000c",
    ];
    assert_eq!(call(ids[0]).await.status().as_u16(), 200);
    assert_eq!(call(ids[1]).await.status().as_u16(), 200);
    let over = call(ids[2]).await;
    assert_eq!(over.status().as_u16(), 429);
    assert!(over.headers().contains_key("retry-after"), "{:?}", over.headers());
    assert_eq!(backend.seen().len(), 2, "one too many arrived");

    let events = || -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(edge.home().join("logs/audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let of = |id: &str| events().into_iter().find(|event| event["request_id"] == id);
    eventually("the calls are in the audit", || of(ids[2]).is_some());
    for id in &ids[..2] {
        let event = of(id).unwrap();
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (text("kind"), text("subject")),
            ("service_call".to_owned(), "auth".to_owned()),
            "{event}"
        );
        assert_eq!(
            (text("route"), text("decision")),
            ("users-lookup".to_owned(), "allow".to_owned()),
            "{event}"
        );
        assert_eq!(text("exposure"), "internal", "{event}");
    }
    let refused = of(ids[2]).unwrap();
    assert_eq!(
        (&refused["kind"], &refused["reason"]),
        (&"decision".into(), &"rate_limited".into()),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_a_tenant_carries_it_to_the_backend_while_the_tenant_is_active() {
    let backend = Backend::plain();
    let edge = builder(&backend, "users.read")
        .replace("permissions: [users.read] }\n  other", "permissions: [users.read], tenants: any }\n  other")
        .start();
    let call = async |tenant: &str| {
        let account = Account { tenant: Some(tenant.parse().unwrap()), ..account(&edge, "auth.pem") };
        let tokens = Tokens::new(&account, Arc::new(SystemClock)).unwrap();
        tokens.get("/_/users/somebody").await.unwrap().send().await.unwrap().status().as_u16()
    };
    assert_eq!(call(DEMO_TENANT).await, 200);
    assert_eq!(backend.last().all("x-tenant-id"), [DEMO_TENANT]);
    let before = backend.seen().len();
    assert_eq!(call(SUSPENDED_TENANT).await, 403);
    assert_eq!(backend.seen().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_permission_or_the_key_nothing_passes() {
    let backend = Backend::plain();
    let edge = edge(&backend, "users.write");
    let answer = tokens(&edge, "auth.pem").get("/_/users/x").await.unwrap().send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 403);
    // A key of another service proves nothing about this one.
    let strange = tokens(&edge, "identity.pem").token().await;
    assert!(matches!(strange, Err(TokenError::Refused(401))), "{strange:?}");
    assert!(backend.seen().is_empty());
}
