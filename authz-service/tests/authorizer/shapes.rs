//! Tokens as the providers of other companies write them: their subjects, tenants, sessions, roles and scopes.
//!
//! Each is signed with a key of the issuer's set and verified like any other; the answer is compared with the headers and
//! the signed identity that the backend receives.

mod provider;

use clock::UnixTime;
use identity::assertion::Verifier;
use identity::{Caller, Person};
use serde_json::{Value, json};

use provider::{Provider, auth0, cognito, entra, google, keycloak, okta};

use crate::kit::check::Answer;
use crate::kit::mint::Rsa;
use crate::kit::{Authz, Home, NOW, eventually};

/// An authorizer for `provider` alone, with `more` edits of the edge file.
async fn serving(key: &Rsa, provider: &Provider, more: impl Fn(String) -> String) -> Authz {
    let home = Home::new();
    // An encryption key beside the signing key, and none with an `alg`.
    let set = json!({ "keys": [
        Rsa::generate("enc-1").jwk_with(&json!({ "alg": "RSA-OAEP", "use": "enc" })),
        key.jwk_with(&json!({ "use": "sig", "x5t": "qQ" })),
    ]});
    home.write("session.jwks.json", &set.to_string());
    home.write(
        "tenants.yaml",
        "tenants:\n  - { id: acme-corp, status: active }\n  - { id: org_9ybsU1dN2dKfDkBi, status: active }\n  - { id: 72f988bf-86f1-41af-91ab-2d7cd011db47, status: active }\n  - { id: acme, status: active }\n  - { id: acme.test, status: active }\n  - { id: former, status: suspended }\n",
    );
    let edit = |edge: String| {
        let edge = edge
            .replacen("  issuer: https://api.test/auth\n", &format!("  issuer: \"{}\"\n", provider.issuer), 1)
            .replacen(
                "  audience: https://api.test\n",
                &format!("  audience: \"{}\"\n", provider.audience),
                1,
            )
            .replacen(
                "  leeway_seconds: 60\n",
                &format!("  leeway_seconds: 60\n  {}\n", provider.settings),
                1,
            );
        more(edge)
    };
    Authz::start_with(home, edit).await
}

/// The person that the backend `users` receives with `answer`.
fn person_in(authz: &Authz, answer: &Answer) -> Person {
    let keys = authz.home.at("identity.jwks.json");
    let verifier = Verifier::new("users").trust_file("test", &keys).unwrap();
    let signed = answer.headers.get("x-auth-identity").unwrap();
    let caller = verifier.verify(signed, UnixTime::from_seconds(NOW)).unwrap();
    let Caller::Person(person) = caller else { panic!("{caller:?}") };
    person
}

fn laid_over(mut claims: Value, changes: &Value) -> Value {
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims
}

#[tokio::test]
async fn tokens_of_six_providers_say_who_calls() {
    for provider in [keycloak(), auth0(), entra(), okta(), cognito(), google()] {
        let key = Rsa::generate("key-1");
        let authz = serving(&key, &provider, |edge| edge).await;
        let token = key.sign(&provider.header, &provider.claims);
        let name = provider.name;
        // Verified, and remembered.
        for _ in 0..2 {
            let answer = authz.ask_with(&token).await;
            assert!(answer.is(200, "allowed"), "{name}: {} {}", answer.status, answer.reason);
            let person = person_in(&authz, &answer);
            assert_eq!(person.subject.to_string(), provider.subject, "{name}");
            assert_eq!(person.tenant.as_ref().map(ToString::to_string).as_deref(), provider.tenant, "{name}");
            assert_eq!(
                person.session.as_ref().map(ToString::to_string).as_deref(),
                provider.session,
                "{name}"
            );
            assert_eq!(
                (person.roles.as_slice(), person.scopes.as_slice()),
                (
                    &provider.roles.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>()[..],
                    &provider.scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>()[..],
                ),
                "{name}"
            );
            let header = |name: &str| answer.headers.get(name).map(String::as_str);
            assert_eq!(header("x-auth-subject"), Some(provider.subject), "{name}");
            assert_eq!(header("x-tenant-id"), provider.tenant, "{name}");
            assert_eq!(header("x-auth-session"), provider.session, "{name}");
            assert_eq!(answer.metadata.get("subject").map(String::as_str), Some(provider.subject), "{name}");
        }
        // The same key signs for another audience, another issuer, and a token that has ended.
        let now = |changes: Value| key.sign(&provider.header, &laid_over(provider.claims.clone(), &changes));
        authz.ask_with(&now(json!({ "iat": NOW - 999, "exp": NOW - 61 }))).await.expect(401, "token_expired");
        let other = if name == "Cognito" { json!({ "client_id": "x" }) } else { json!({ "aud": ["x"] }) };
        authz.ask_with(&now(other)).await.expect(401, "token_wrong_audience");
        let forged = Rsa::generate("key-1").sign(&provider.header, &provider.claims);
        authz.ask_with(&forged).await.expect(401, "token_bad_signature");
    }
}

/// Each single change of a token, and what comes of it.
#[tokio::test]
async fn each_shape_of_a_claim_has_its_answer() {
    let key = Rsa::generate("key-1");
    let provider = Provider {
        settings: "claims: { roles: realm_access.roles, tenant: \"https://acme.test/tenant\", session: sid, scopes: scope, role: level }",
        ..keycloak()
    };
    let authz = serving(&key, &provider, |edge| edge).await;
    let groups: Vec<String> = (0..200).map(|n| format!("00000000-0000-4000-8000-{n:012}")).collect();
    let nine_kb: Vec<String> = (0..300).map(|n| format!("a-role-of-the-company-{n:08}")).collect();
    let (longest, too_long) = ("s".repeat(255), "s".repeat(256));
    let too_many: Vec<String> = (0..513).map(|n| n.to_string()).collect();
    let ok = (200, "allowed", "");
    let wrong = |claim: &'static str| (401, "token_claim_invalid", claim);
    let roles = |names: Value| json!({ "realm_access": { "roles": names } });
    for (changes, (status, reason, claim)) in [
        (json!({ "sub": "auth0|5f7c8e1f2a3b4c0069d1e2f3" }), ok),
        (json!({ "sub": "110169484474386276334" }), ok),
        (json!({ "sub": "zoe@example.com" }), ok),
        (json!({ "sub": "zoë@exämple.com" }), ok),
        (json!({ "sub": longest }), ok),
        (json!({ "sub": too_long }), wrong("subject")),
        (json!({ "sub": "" }), wrong("subject")),
        (json!({ "sub": " zoe" }), wrong("subject")),
        (json!({ "sub": "zoe\r\nx-tenant-id: other" }), wrong("subject")),
        (json!({ "sub": "zoe\u{0}" }), wrong("subject")),
        (json!({ "sub": 110_169_484 }), wrong("subject")),
        (json!({ "sub": ["zoe"] }), wrong("subject")),
        (json!({ "sub": null }), (401, "token_claim_missing", "subject")),
        (json!({ "aud": ["account", "acme-api"] }), ok),
        (json!({ "aud": "acme-api" }), ok),
        (json!({ "aud": ["account"] }), (401, "token_wrong_audience", "audience")),
        (json!({ "aud": 7 }), wrong("audience")),
        (json!({ "sid": null }), ok),
        (json!({ "sid": "s-1" }), ok),
        (json!({ "sid": 1 }), wrong("session")),
        (json!({ "https://acme.test/tenant": "acme-corp" }), ok),
        (json!({ "https://acme.test/tenant": "unheard-of" }), (403, "tenant_unknown", "")),
        (json!({ "https://acme.test/tenant": "former" }), (403, "tenant_suspended", "")),
        (json!({ "https://acme.test/tenant": ["acme-corp"] }), wrong("tenant")),
        (json!({ "https://acme.test/tenant": "a\tb" }), wrong("tenant")),
        (json!({ "level": 2 }), ok),
        (json!({ "level": "2" }), wrong("role")),
        (roles(json!(["admin"])), ok),
        (roles(json!("admin")), ok),
        (roles(json!([])), ok),
        (roles(json!(groups)), ok),
        (roles(json!(nine_kb)), ok),
        (roles(json!(too_many)), wrong("roles")),
        (roles(json!(["reader,admin"])), wrong("roles")),
        (roles(json!(["a\nb"])), wrong("roles")),
        (roles(json!([" admin"])), wrong("roles")),
        (roles(json!([""])), wrong("roles")),
        (roles(json!([7])), wrong("roles")),
        (roles(json!({ "admin": true })), wrong("roles")),
        (json!({ "realm_access": null }), ok),
        (json!({ "scope": ["openid", "email"] }), ok),
        (json!({ "scope": "openid  email" }), wrong("scopes")),
        (json!({ "exp": 1_800_000_300.75 }), ok),
        (json!({ "iat": null }), ok),
    ] {
        let token = key.sign(&provider.header, &laid_over(provider.claims.clone(), &changes));
        let answer = authz.ask_with(&token).await;
        let shown: String = changes.to_string().chars().take(120).collect();
        assert!(answer.is(status, reason), "{shown}: {} {}", answer.status, answer.reason);
        let (_, recent) = authz.get("/decisions?limit=1").await;
        if !claim.is_empty() {
            assert!(recent.contains(&format!("\"claim\":\"{claim}\"")), "{shown}: {recent}");
        }
        if status == 200
            && let Some(sub) = changes.get("sub")
        {
            assert_eq!(answer.headers.get("x-auth-subject").map(String::as_str), sub.as_str());
        }
    }
    for (header, reason) in [
        (json!({ "alg": "RS256", "kid": "key-1", "typ": "jwt" }), "allowed"),
        (json!({ "alg": "RS256", "kid": "key-1" }), "allowed"),
        (json!({ "alg": "RS256", "kid": "key-1", "x5t": "qQ", "nonce": "1" }), "allowed"),
        (json!({ "alg": "RS256", "kid": "key-1", "crit": ["exp"] }), "token_malformed"),
        (json!({ "alg": "none", "kid": "key-1" }), "token_wrong_algorithm"),
    ] {
        assert_eq!(authz.ask_with(&key.sign(&header, &provider.claims)).await.reason, reason, "{header}");
    }
}

#[tokio::test]
async fn a_suspended_tenant_with_a_text_ends_within_a_second_and_a_person_by_their_text() {
    let key = Rsa::generate("key-1");
    let authz = serving(&key, &auth0(), |edge| edge).await;
    let of = |subject: &str, tenant: &str| {
        let changes = json!({ "sub": subject, "org_id": tenant });
        key.sign(&auth0().header, &laid_over(auth0().claims, &changes))
    };
    let (zoe, max) = (of("auth0|zoe", "acme-corp"), of("auth0|max", "acme"));
    authz.ask_with(&zoe).await.expect(200, "allowed");
    authz.ask_with(&max).await.expect(200, "allowed");
    authz.home.write(
        "tenants.yaml",
        "tenants:\n  - { id: acme-corp, status: suspended }\n  - { id: acme, status: active }\n",
    );
    eventually("suspended", async || authz.ask_with(&zoe).await.is(403, "tenant_suspended")).await;
    authz.ask_with(&max).await.expect(200, "allowed");
    // A quote and a backslash in a text break no line of the file.
    let odd = of("auth0|\"\\x", "acme");
    authz.ask_with(&odd).await.expect(200, "allowed");
    let line = json!({ "sub": "auth0|\"\\x", "before": NOW + 1, "until": NOW + 1_000 });
    std::fs::write(authz.home.at("revoked.jsonl"), format!("{line}\n")).unwrap();
    eventually("ended", async || authz.ask_with(&odd).await.is(401, "session_revoked")).await;
    authz.ask_with(&max).await.expect(200, "allowed");
}

#[tokio::test]
async fn a_tenant_may_be_absent_and_a_policy_that_compares_it_refuses() {
    let key = Rsa::generate("key-1");
    let own = |edge: String| {
        edge.replacen("policies:\n", "policies:\n  own-tenant: { kind: session, tenant: { path_segment: 2 } }\n", 1).replacen(
            "routes:\n",
            "routes:\n  - { name: workspace, host: api, prefix: /t, policy: own-tenant, to: users, answers: users }\n",
            1,
        )
    };
    let provider = Provider { settings: "claims: { tenant: org_id }", ..auth0() };
    let authz = serving(&key, &provider, own).await;
    let of =
        |tenant: Value| key.sign(&provider.header, &laid_over(auth0().claims, &json!({ "org_id": tenant })));
    let bare = authz.ask_with(&of(json!(null))).await;
    bare.expect(200, "allowed");
    assert_eq!(bare.headers.get("x-tenant-id"), None);
    assert!(bare.removed.iter().any(|name| name == "x-tenant-id"), "a client's own must not arrive");
    assert_eq!(person_in(&authz, &bare).tenant, None);
    for (tenant, target, reason) in [
        (json!("acme-corp"), "/t/acme-corp/orders", "allowed"),
        (json!("acme-corp"), "/t/acme%2Dcorp", "allowed"),
        (json!("acme-corp"), "/t/ACME-corp", "tenant_mismatch"),
        (json!("acme-corp"), "/t/acme%252Dcorp", "tenant_mismatch"),
        (json!("acme-corp"), "/t/acme-corp;x", "tenant_mismatch"),
        (json!("acme-corp"), "/t/", "tenant_mismatch"),
        (json!(null), "/t/acme-corp", "tenant_missing"),
    ] {
        let check = authz.check("workspace").target(target).session(&of(tenant));
        assert_eq!(authz.ask(check).await.reason, reason, "{target}");
    }
    let (_, recent) = authz.get("/decisions?limit=1").await;
    assert!(recent.contains("that path segment 2 names"), "{recent}");
    // Where it is required, its absence is a fault of the token.
    let strict = serving(&key, &auth0(), own).await;
    strict.ask_with(&of(json!(null))).await.expect(401, "token_claim_missing");
    // Without the section, tenants are not looked up.
    let without = serving(&key, &provider, |edge| {
        let begin = edge.find("tenants: { file").unwrap();
        let end = begin + edge[begin..].find('\n').unwrap() + 1;
        [&edge[..begin], &edge[end..]].concat()
    })
    .await;
    let answer = without.ask_with(&of(json!("unheard-of"))).await;
    answer.expect(200, "allowed");
    assert_eq!(answer.headers.get("x-tenant-id").map(String::as_str), Some("unheard-of"));
}

#[tokio::test]
async fn a_host_name_stands_for_a_tenant() {
    let key = Rsa::generate("key-1");
    let hosted = |host: &'static str| Provider { settings: host, ..auth0() };
    let provider = hosted("claims: { tenant: { host: \"*.shop.acme.test\" } }");
    let authz = serving(&key, &provider, |edge| {
        edge.replacen(
            "signed-in: { kind: session }",
            "signed-in: { kind: session, lease: { seconds: 10, uses: 10 } }",
            1,
        )
    })
    .await;
    let token = key.sign(&provider.header, &provider.claims);
    let at = async |host: &str| authz.ask(authz.check("me").request("GET", host, "/").session(&token)).await;
    for (host, tenant, status) in [
        ("acme.shop.acme.test", Some("acme"), 200),
        ("ACME-corp.shop.acme.test:8443", Some("acme-corp"), 200),
        ("former.shop.acme.test", None, 403),
        ("unheard-of.shop.acme.test", None, 403),
        ("a.b.shop.acme.test", None, 200),
        ("api.example.test", None, 200),
    ] {
        let answer = at(host).await;
        assert_eq!(answer.status, status, "{host}: {}", answer.reason);
        assert_eq!(answer.headers.get("x-tenant-id").map(String::as_str), tenant, "{host}");
        assert_eq!(answer.grant(), None, "a lease would serve the other hosts of its route too");
    }
    let strict = hosted("claims: { tenant: { host: { shop.acme.test: acme } } }\n  required: [tenant]");
    let authz = serving(&key, &strict, |edge| edge).await;
    let at = async |host: &str| authz.ask(authz.check("me").request("GET", host, "/").session(&token)).await;
    at("shop.acme.test").await.expect(200, "allowed");
    at("api.example.test").await.expect(401, "token_claim_missing");
}

#[tokio::test]
async fn roles_are_names_of_which_one_or_all_are_needed() {
    let key = Rsa::generate("key-1");
    let policy = |roles: &'static str| {
        move |edge: String| {
            edge.replacen(
                "bot: { kind: session, role: 2 }",
                &format!("bot: {{ kind: session, roles: {roles} }}"),
                1,
            )
        }
    };
    let any = serving(&key, &keycloak(), policy("{ any: [admin, support] }")).await;
    let all = serving(&key, &keycloak(), policy("{ all: [admin, support] }")).await;
    for (roles, with_any, with_all) in [
        (json!(["admin"]), "allowed", "role_missing"),
        (json!(["support", "x", "admin"]), "allowed", "allowed"),
        (json!("admin,support"), "allowed", "allowed"),
        (json!("admin"), "allowed", "role_missing"),
        (json!(["Admin"]), "role_missing", "role_missing"),
        (json!(["admin support"]), "role_missing", "role_missing"),
        (json!([]), "role_missing", "role_missing"),
    ] {
        let changes = json!({ "realm_access": { "roles": roles } });
        let token = key.sign(&keycloak().header, &laid_over(keycloak().claims, &changes));
        for (authz, reason) in [(&any, with_any), (&all, with_all)] {
            let answer = authz.ask(authz.check("create").session(&token)).await;
            assert_eq!(answer.reason, reason, "{changes}");
        }
    }
    let (_, recent) = any.get("/decisions?limit=3").await;
    assert!(recent.contains("\"had\":[\"role admin support\"]"), "{recent}");
    assert!(recent.contains("\"needed\":[\"one of: role admin\",\"one of: role support\"]"), "{recent}");
}
