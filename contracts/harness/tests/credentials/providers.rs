//! Identity providers through Envoy: each issuer is a server of the test's own, with the metadata and the key set that such a
//! provider publishes, and the edge knows it by its name alone.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::sync::{Arc, OnceLock};

use harness::tokens::{DEMO_TENANT, now};
use harness::wire::Answer;
use harness::{Backend, Edge, eventually};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

const PERSON: &str = "0192d3c0-0000-7000-8000-0000000000aa";

/// A provider with one RSA signing key, and an encryption key beside it.
struct Provider {
    server: Backend,
    path: &'static str,
    key: EncodingKey,
}

impl Provider {
    /// A provider whose issuer ends in `path`. `publish` makes its key set from the bare signing key and another bare key.
    fn start(path: &'static str, publish: impl Fn(Value, Value) -> Value) -> Self {
        let (key, jwk) = rsa("sig-1");
        let (_, other) = rsa("enc-1");
        let keys = json!({ "keys": publish(jwk, other) }).to_string();
        let origin: Arc<OnceLock<String>> = Arc::default();
        let shared = Arc::clone(&origin);
        let server = Backend::with(move |seen| {
            let origin = shared.get().cloned().unwrap_or_default();
            let target = seen.request_line();
            let page = if target.contains(".well-known/openid-configuration") {
                json!({
                    "issuer": format!("{origin}{path}"),
                    "jwks_uri": format!("{origin}/keys"),
                    "authorization_endpoint": format!("{origin}/authorize"),
                    "response_types_supported": ["code"],
                })
                .to_string()
            } else {
                keys.clone()
            };
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{page}",
                page.len()
            )
            .into_bytes()
        });
        origin.set(format!("http://{}", server.address())).unwrap();
        Self { server, path, key }
    }

    fn issuer(&self) -> String {
        format!("http://{}{}", self.server.address(), self.path)
    }

    /// A token with good times and this issuer, the other claims and members as given.
    fn token(&self, header: &Value, claims: &Value) -> String {
        let mut all = json!({ "iss": self.issuer(), "iat": now(), "exp": now() + 3_600 });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let header: Header = serde_json::from_value(header.clone()).unwrap();
        jsonwebtoken::encode(&header, &all, &self.key).unwrap()
    }
}

fn rsa(kid: &str) -> (EncodingKey, Value) {
    let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap()).unwrap();
    jwk["kid"] = json!(kid);
    jwk.as_object_mut().unwrap().remove("alg");
    (key, jwk)
}

fn with(mut jwk: Value, members: &Value) -> Value {
    jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    jwk
}

/// The edge `dev` with `issuers` beside its own one.
fn edge_with(backend: &Backend, issuers: &[String]) -> Edge {
    let own = "  issuer: https://api.dev-domain.test/auth\n  audience: https://api.dev-domain.test\n  keys: { file: \"${CUTOVER_HOME:-.run}/keys/session.jwks.json\" }\n";
    let list = format!(
        "  issuers:\n    - {{ issuer: \"https://api.dev-domain.test/auth\", audience: \"https://api.dev-domain.test\", keys: {{ file: \"${{CUTOVER_HOME:-.run}}/keys/session.jwks.json\" }} }}\n{}",
        issuers.concat()
    );
    Edge::dev()
        .replace(own, &list)
        .replace("  leeway_seconds: 60\n", "")
        .with_open_route()
        .every_backend(backend.address())
        .start()
}

fn ask(edge: &Edge, token: &str) -> Answer {
    edge.get("/users/@me").header("authorization", format!("Bearer {token}")).send()
}

/// One shape of provider: its path, what its key set adds to the bare signing key, the edge file's settings, the header and
/// claims of its tokens, and what the backend reads.
struct Shape {
    name: &'static str,
    path: &'static str,
    key: Value,
    settings: String,
    header: Value,
    claims: Value,
    scopes: &'static str,
    session: Option<&'static str>,
}

const SESSION: &str = "3b0c6a5e-4a1c-4c59-9b2c-0d5b7d1f2a3b";

fn shapes() -> Vec<Shape> {
    let constant = format!("tenant: {{ constant: {DEMO_TENANT} }}");
    vec![
        Shape {
            name: "Keycloak",
            path: "/realms/acme",
            key: json!({ "use": "sig", "alg": "RS256", "x5c": ["AAAA"], "x5t": "qQ", "x5t#S256": "qQ" }),
            settings: "audience: acme-api, claims: { tenant: \"https://acme.test/tenant\", session: sid, scopes: realm_access.roles }".to_owned(),
            header: json!({ "alg": "RS256", "typ": "JWT", "kid": "sig-1" }),
            claims: json!({
                "aud": ["acme-api", "account"], "sub": PERSON, "typ": "Bearer", "azp": "acme-app", "sid": SESSION,
                "realm_access": { "roles": ["orders.read", "offline_access"] }, "acr": "1",
                "resource_access": { "account": { "roles": ["manage-account"] } },
                "scope": "openid profile", "https://acme.test/tenant": DEMO_TENANT, "email_verified": true,
            }),
            scopes: "orders.read offline_access",
            session: Some(SESSION),
        },
        Shape {
            name: "Entra",
            path: "/5f7c/v2.0",
            key: json!({ "use": "sig", "x5t": "sig-1", "x5c": ["AAAA"] }),
            settings: format!("audience: \"api://acme\", claims: {{ subject: oid, {constant}, scopes: scp }}"),
            header: json!({ "alg": "RS256", "typ": "JWT", "kid": "sig-1", "x5t": "sig-1" }),
            claims: json!({
                "aud": "api://acme", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "oid": PERSON, "ver": "2.0",
                "tid": "72f988bf-86f1-41af-91ab-2d7cd011db47", "scp": "orders.read orders.write", "aio": "AXQA",
            }),
            scopes: "orders.read orders.write",
            session: None,
        },
        Shape {
            name: "Cognito",
            path: "/eu-west-1_Ab12",
            key: json!({ "use": "sig", "alg": "RS256" }),
            settings: format!(
                "audience: 7lk3, audience_claim: client_id, claims: {{ {constant}, scopes: \"cognito:groups\" }}, required: [scopes]"
            ),
            header: json!({ "alg": "RS256", "kid": "sig-1" }),
            claims: json!({
                "sub": PERSON, "client_id": "7lk3", "token_use": "access", "cognito:groups": ["orders.read"],
                "scope": "aws.cognito.signin.user.admin", "origin_jti": "a", "username": "ada", "version": 2,
            }),
            scopes: "orders.read",
            session: None,
        },
        Shape {
            name: "Auth0",
            path: "/",
            key: json!({ "use": "sig", "alg": "RS256", "x5t": "qQ", "x5c": ["AAAA"] }),
            settings: format!(
                "audience: \"https://api.acme.test\", claims: {{ subject: \"https://acme.test/person\", {constant}, scopes: permissions }}"
            ),
            header: json!({ "alg": "RS256", "typ": "JWT", "kid": "sig-1" }),
            claims: json!({
                "aud": ["https://api.acme.test", "https://acme.eu.auth0.test/userinfo"], "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
                "https://acme.test/person": PERSON, "azp": "x", "scope": "openid", "permissions": ["orders.read"], "org_id": "org_9",
            }),
            scopes: "orders.read",
            session: None,
        },
        Shape {
            name: "Okta",
            path: "/oauth2/default",
            key: json!({ "use": "sig", "alg": "RS256" }),
            settings: format!(
                "audience: \"api://default\", claims: {{ subject: person_id, {constant}, scopes: scp }}"
            ),
            header: json!({ "alg": "RS256", "kid": "sig-1" }),
            claims: json!({
                "aud": "api://default", "sub": "ada@acme.test", "uid": "00uid4BxXw6I6TV4m0g3", "ver": 1, "cid": "0oa",
                "scp": ["orders.read", "openid"], "person_id": PERSON, "auth_time": 1,
            }),
            scopes: "orders.read openid",
            session: None,
        },
    ]
}

#[test]
fn tokens_shaped_as_those_of_known_providers_pass_with_a_mapping() {
    let shapes = shapes();
    let providers: Vec<Provider> = shapes
        .iter()
        .map(|shape| {
            let members = shape.key.clone();
            Provider::start(shape.path, move |signing, encryption| {
                let encryption = with(encryption, &json!({ "use": "enc", "alg": "RSA-OAEP" }));
                json!([encryption, with(signing, &members)])
            })
        })
        .collect();
    let issuer = |(shape, provider): (&Shape, &Provider)| {
        format!("    - {{ issuer: \"{}\", {} }}\n", provider.issuer(), shape.settings)
    };
    let issuers: Vec<String> = shapes.iter().zip(&providers).map(issuer).collect();
    let backend = Backend::plain();
    let edge = edge_with(&backend, &issuers);
    for (shape, provider) in shapes.iter().zip(&providers) {
        let name = shape.name;
        let token = provider.token(&shape.header, &shape.claims);
        eventually(&format!("a token shaped as those of {name} passes"), || ask(&edge, &token).status == 200);
        let seen = backend.last();
        assert_eq!(seen.header("x-madome-auth-sub").as_deref(), Some(PERSON), "{name}");
        assert_eq!(seen.header("x-madome-auth-scope").as_deref(), Some(shape.scopes), "{name}");
        assert_eq!(seen.header("x-madome-auth-sid").as_deref(), shape.session, "{name}");
        assert_eq!(seen.header("x-tenant-id").as_deref(), Some(DEMO_TENANT), "{name}");
        assert_eq!(seen.header("x-madome-auth-role"), None, "{name}");
        // No other issuer's key signs for this one, and an audience that is not listed is another product's.
        let forger = providers.iter().find(|other| other.issuer() != provider.issuer()).unwrap();
        let forged = with(shape.claims.clone(), &json!({ "iss": provider.issuer() }));
        assert_eq!(ask(&edge, &forger.token(&shape.header, &forged)).status, 401, "{name}");
        let elsewhere = with(shape.claims.clone(), &json!({ "aud": "elsewhere", "client_id": "elsewhere" }));
        assert_eq!(ask(&edge, &provider.token(&shape.header, &elsewhere)).status, 401, "{name}");
    }
}

/// Each check of a token can be read, also those behind the first that refuses it.
#[test]
fn explain_names_every_check_of_a_token() {
    let provider = Provider::start("/realms/acme", |signing, _| json!([signing]));
    let backend = Backend::plain();
    let settings = "audience: acme-api, claims: { tenant: org_id, session: sid }, required: [tenant]";
    let edge = edge_with(&backend, &[format!("    - {{ issuer: \"{}\", {settings} }}\n", provider.issuer())]);
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "sig-1" });
    let file = edge.home().join("token");
    std::fs::write(&file, provider.token(&header, &json!({ "aud": "acme-api", "sub": PERSON, "sid": 7 })))
        .unwrap();
    let file = file.to_string_lossy().into_owned();
    let explained =
        edge.explain(&["GET http://api.dev-domain.test/users/@me", "--token-file", &file, "--fetch"]);
    let outcome = |check: &str| {
        let all = explained["token"].as_array().unwrap();
        all.iter().find(|one| one["check"] == check).map(|one| one["outcome"].clone()).unwrap_or_default()
    };
    for (check, expected) in [
        ("form", "passed"),
        ("size", "passed"),
        ("typ", "passed"),
        ("key", "passed"),
        ("signature", "passed"),
        ("issuer", "passed"),
        ("audience", "passed"),
        ("exp", "passed"),
        ("nbf", "absent"),
        ("subject", "passed"),
        ("tenant", "token_claim_missing"),
        ("session", "token_claim_invalid"),
        ("role", "absent"),
    ] {
        assert_eq!(outcome(check), expected, "{check}: {explained}");
    }
    let tenant = explained["token"].as_array().unwrap().iter().find(|one| one["check"] == "tenant").unwrap();
    assert_eq!((&tenant["claim"], &explained["claim"]), (&json!("org_id"), &json!("tenant")), "{explained}");
    assert!(!explained.to_string().contains(PERSON), "a refused token shows no value: {explained}");
}

/// A token with 9 KB of roles, as large directories write it: Envoy, guard and authorizer read it, and the backend
/// gets each role in the signed identity.
#[test]
fn nine_kilobytes_of_roles_reach_the_backend_signed() {
    use base64::Engine as _;
    let provider = Provider::start("/realms/acme", |signing, _| json!([signing]));
    let backend = Backend::plain();
    let settings = format!(
        "audience: acme-api, claims: {{ tenant: {{ constant: {DEMO_TENANT} }}, roles: realm_access.roles }}"
    );
    let edge = edge_with(&backend, &[format!("    - {{ issuer: \"{}\", {settings} }}\n", provider.issuer())]);
    let roles: Vec<String> = (0..320).map(|number| format!("department-{number:04}-administrator")).collect();
    assert!(roles.concat().len() > 9_000);
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "sig-1" });
    let claims = json!({ "aud": "acme-api", "sub": PERSON, "realm_access": { "roles": roles } });
    let token = provider.token(&header, &claims);
    eventually("the token passes", || ask(&edge, &token).status == 200);
    let identity = backend.last().header("x-madome-identity").unwrap();
    let payload = identity.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    let said: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(said["roles"], json!(roles));
}
