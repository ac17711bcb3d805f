//! `POST /_/auth/service-token`: issued tokens, their claims, and refusals.

use std::sync::Arc;
use std::time::Duration;

use auth::service_token::{ASSERTION_TYPE, CLIENT_ASSERTION, GRANT};
use axum::Router;
use clock::{Clock as _, ManualClock};
use harness::{eventually_async as eventually, pause_async};
use identity::service_token::TokenVerifier;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kit::testing::{START, TestHome};
use serde_json::{Value, json};

use crate::app::settings;

const EDGE: &str = r#"
edge: dev
root_domain: dev-domain.test
listeners: { service: { address: "127.0.0.1:8081", exposure: internal } }
admin: "127.0.0.1:9901"
authorizer: { address: "127.0.0.1:9191" }
hosts: { service: { listener: service, names: ["*"] } }
backends: { users: { address: "127.0.0.1:3022" } }
identity: { subject: x-madome-auth-sub, tenant: x-tenant-id, signed: { header: x-madome-identity, claims: { tenant: tenantId } }, gateway: x-madome-gw }
services: { auth: { keys: "KEYS/auth.jwks.json", permissions: [users.read, users.write], tenants: [00000000-0000-7000-8000-000000000001] } }
service_tokens: { issuer: "https://auth.test", keys: "KEYS/service-token.jwks.json" }
policies: { lookup: { kind: internal } }
answers:
  plain:
    unauthenticated: { status: 401, body: "" }
    forbidden: { status: 403, body: "" }
    not_found: { status: 404, body: "" }
    unavailable: { status: 503, body: "" }
routes: [{ name: lookup, host: service, prefix: /, policy: lookup, to: users, answers: plain }]
"#;

struct Tokens {
    router: Router,
    home: TestHome,
    clock: ManualClock,
}

impl Tokens {
    async fn new(edge: &str) -> Self {
        let home = TestHome::new();
        let clock = ManualClock::at(START);
        let file = home.path().join("edge.yaml");
        let keys = home.path().join("keys").display().to_string();
        std::fs::write(&file, edge.replace("KEYS", &keys)).unwrap();
        let mut settings = settings(home.home(), "http://127.0.0.1:1".to_owned(), None);
        settings.edge_file = Some(file);
        let app = auth::app(&settings, Arc::new(clock.clone())).await.unwrap();
        Self { router: auth::routes::router(app), home, clock }
    }

    fn claims(&self) -> Value {
        let now = self.clock.now().seconds();
        let id = uuid::Uuid::now_v7().to_string();
        json!({ "iss": "auth", "sub": "auth", "aud": "https://auth.test", "iat": now, "exp": now + 60, "jti": id })
    }

    fn sign(&self, key: &str, typ: &str, claims: &Value) -> String {
        let pem = std::fs::read(self.home.key(&format!("{key}.pem"))).unwrap();
        let jwks: Value =
            serde_json::from_slice(&std::fs::read(self.home.key(&format!("{key}.jwks.json"))).unwrap())
                .unwrap();
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(typ.to_owned());
        header.kid = jwks["keys"][0]["kid"].as_str().map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_pem(&pem).unwrap()).unwrap()
    }

    fn assertion(&self, edit: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        edit(&mut claims);
        self.sign("auth", ASSERTION_TYPE, &claims)
    }

    async fn post(&self, fields: &[(&str, &str)]) -> (u16, Value) {
        use axum::body::{Body, to_bytes};
        use tower::ServiceExt as _;
        let body: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace(':', "%3A").replace(' ', "+")))
            .collect();
        let request = http::Request::post("/_/auth/service-token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body.join("&")))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        if status != 404 {
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn ask(&self, assertion: &str) -> (u16, Value) {
        self.post(&form(assertion)).await
    }
}

fn form(assertion: &str) -> [(&str, &str); 3] {
    [("grant_type", GRANT), ("client_assertion_type", CLIENT_ASSERTION), ("client_assertion", assertion)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_list_of_services_counts_without_a_restart() {
    let tokens = Tokens::new(EDGE).await;
    let scope = async || {
        let assertion = tokens.assertion(|_| {});
        let (status, answer) = tokens.ask(&assertion).await;
        (status, answer["scope"].as_str().map(str::to_owned))
    };
    assert_eq!(scope().await, (200, Some("users.read users.write".to_owned())));
    let file = tokens.home.path().join("edge.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let write = |text: &str| {
        let next = file.with_extension("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(&next, &file).unwrap();
    };
    write(&text.replace("users.read, users.write", "users.read"));
    eventually("the permission is removed", async || scope().await == (200, Some("users.read".to_owned())))
        .await;

    // An invalid file changes nothing.
    write(&text.replace("policies:", "polices:"));
    pause_async(Duration::from_millis(2_500), "the file is looked at once a second").await;
    assert_eq!(scope().await, (200, Some("users.read".to_owned())));

    // A new key for the same service: the old one is no longer valid.
    write(&text);
    eventually("both permissions are back", async || {
        scope().await.1.is_some_and(|scope| scope.contains("write"))
    })
    .await;
    let other = std::fs::read(tokens.home.key("service-token.jwks.json")).unwrap();
    std::fs::write(tokens.home.key("auth.jwks.json"), other).unwrap();
    eventually("the old key is refused", async || scope().await.0 == 401).await;

    let without: String = text
        .lines()
        .filter(|line| !line.starts_with("service_tokens"))
        .map(|line| format!("{line}\n"))
        .collect();
    write(&without);
    eventually("no service gets a token", async || scope().await.0 == 401).await;
}

#[tokio::test]
async fn a_token_is_for_the_requested_tenant_or_is_not_issued() {
    let tokens = Tokens::new(EDGE).await;
    let listed = "00000000-0000-7000-8000-000000000001";
    let ask = async |tenant: &[&str]| {
        let assertion = tokens.assertion(|_| {});
        let mut fields = form(&assertion).to_vec();
        fields.extend(tenant.iter().map(|tenant| ("tenant_id", *tenant)));
        tokens.post(&fields).await
    };
    let keys = tokens.home.key("service-token.jwks.json");
    let verifier = TokenVerifier::from_file("https://auth.test", "dev", &keys).unwrap();
    let of = |answer: &Value| {
        verifier.verify(answer["access_token"].as_str().unwrap(), tokens.clock.now()).unwrap().tenant
    };
    let (status, answer) = ask(&[listed]).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(of(&answer), Some(listed.parse().unwrap()));
    let (status, answer) = ask(&[]).await;
    assert_eq!((status, of(&answer)), (200, None));
    // Never a token for the platform instead of the requested tenant.
    for (tenant, error) in [
        (&["00000000-0000-7000-8000-000000000002"][..], "invalid_scope"),
        (&["demo"], "invalid_scope"),
        (&["a\nb"], "invalid_request"),
        (&[""], "invalid_request"),
        (&[listed, listed], "invalid_request"),
    ] {
        let (status, answer) = ask(tenant).await;
        assert_eq!((status, answer["error"].as_str()), (400, Some(error)), "{tenant:?}");
    }
}

#[tokio::test]
async fn a_service_gets_a_token_that_the_edge_accepts() {
    let tokens = Tokens::new(EDGE).await;
    let (status, answer) = tokens.ask(&tokens.assertion(|_| {})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(600)));
    assert_eq!(answer["scope"], "users.read users.write");
    let path = tokens.home.key("service-token.jwks.json");
    let verifier = TokenVerifier::from_file("https://auth.test", "dev", &path).unwrap();
    let token = answer["access_token"].as_str().unwrap();
    let said = verifier.verify(token, START).unwrap();
    assert_eq!((said.service.as_str(), said.permissions.len()), ("auth", 2));
    assert!(verifier.verify(token, START.plus(Duration::from_secs(606))).is_err());

    let assertion = tokens.assertion(|_| {});
    let mut fields = form(&assertion).to_vec();
    fields.push(("scope", "users.write"));
    let (status, answer) = tokens.post(&fields).await;
    assert_eq!((status, &answer["scope"]), (200, &json!("users.write")));
}

#[tokio::test]
async fn an_assertion_counts_once_and_only_as_it_must_be() {
    let tokens = Tokens::new(EDGE).await;
    let refused = (401, json!({ "error": "invalid_client" }));
    let once = tokens.assertion(|_| {});
    assert_eq!(tokens.ask(&once).await.0, 200);
    assert_eq!(tokens.ask(&once).await, refused, "used twice");

    let now = START.seconds();
    for (name, value) in [
        ("iss", json!("sync")),
        ("sub", json!("sync")),
        ("sub", Value::Null),
        ("aud", json!("https://other.test")),
        ("aud", json!(["https://auth.test"])),
        ("aud", Value::Null),
        ("exp", json!(now - 6)),
        ("exp", json!(now + 301)),
        ("exp", json!(now * 1_000)),
        ("exp", Value::Null),
        ("exp", json!(-1)),
        ("iat", json!(now + 6)),
        ("iat", json!(now + 60)),
        ("iat", Value::Null),
        ("jti", json!("short")),
        ("jti", json!("x".repeat(129))),
        ("jti", Value::Null),
        ("role", json!(2)),
    ] {
        let assertion = tokens.assertion(|claims| {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        });
        assert_eq!(tokens.ask(&assertion).await, refused, "{name} {value}");
    }
    for (name, value) in [("exp", json!(now + 300)), ("exp", json!(now + 1)), ("iat", json!(now + 5))] {
        assert_eq!(
            tokens.ask(&tokens.assertion(|claims| claims[name] = value.clone())).await.0,
            200,
            "{name} {value}"
        );
    }
    // Other keys, other kinds of token, and no token at all.
    let claims = tokens.claims();
    for (key, typ) in [
        ("identity", ASSERTION_TYPE),
        ("service-token", ASSERTION_TYPE),
        ("auth", "JWT"),
        ("auth", "identity+jwt"),
        ("auth", "at+jwt"),
    ] {
        assert_eq!(tokens.ask(&tokens.sign(key, typ, &claims)).await, refused, "{key} {typ}");
    }
    for text in ["", "a.b.c", &"a".repeat(5_000)] {
        assert_eq!(tokens.ask(text).await, refused);
    }
    assert_eq!(
        tokens.ask(&tokens.sign("auth", ASSERTION_TYPE, &claims)).await.0,
        200,
        "no refusal used it up"
    );
}

#[tokio::test]
async fn a_wrong_form_is_refused_with_its_reason_and_uses_up_no_assertion() {
    let tokens = Tokens::new(EDGE).await;
    let assertion = tokens.assertion(|_| {});
    let good = form(&assertion);
    let with = |extra: (&'static str, &'static str)| [&good[..], &[extra]].concat();
    let error = |code: &str| (400, json!({ "error": code }));
    for (fields, expected) in [
        (good[1..].to_vec(), error("invalid_request")),
        (good[..2].to_vec(), error("invalid_request")),
        (vec![good[0], good[2]], error("invalid_request")),
        (with(("grant_type", GRANT)), error("invalid_request")),
        (with(("client_assertion", "x")), error("invalid_request")),
        (vec![("grant_type", "password"), good[1], good[2]], error("unsupported_grant_type")),
        (with(("scope", "users.delete")), error("invalid_scope")),
        (with(("scope", "users.read  users.write")), error("invalid_scope")),
    ] {
        assert_eq!(tokens.post(&fields).await, expected, "{fields:?}");
    }
    assert_eq!(tokens.post(&good).await.0, 200);
}

#[tokio::test]
async fn an_edge_without_service_tokens_issues_none() {
    let without: String = EDGE
        .lines()
        .filter(|line| !line.starts_with("service_tokens"))
        .map(|line| format!("{line}\n"))
        .collect();
    let tokens = Tokens::new(&without).await;
    assert_eq!(tokens.ask(&tokens.assertion(|_| {})).await.0, 404);
}
