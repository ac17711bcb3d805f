//! Tokens as the providers of other companies write them: their subjects, tenants, sessions, roles and scopes.
//!
//! Each is signed with a key of the issuer's set and verified like any other; the answer is compared with the headers and
//! the signed identity that the backend receives.

use clock::UnixTime;
use identity::assertion::Verifier;
use identity::{Caller, Person};
use serde_json::{Value, json};

use crate::kit::check::Answer;
use crate::kit::mint::Rsa;
use crate::kit::{Authz, Home, NOW, eventually};

/// One provider: what the edge file says about it, and a token as it issues them.
struct Provider {
    name: &'static str,
    issuer: &'static str,
    /// The lines of `sessions` after `keys`.
    settings: &'static str,
    audience: &'static str,
    header: Value,
    claims: Value,
    subject: &'static str,
    tenant: Option<&'static str>,
    session: Option<&'static str>,
    roles: &'static [&'static str],
    scopes: &'static [&'static str],
}

/// Keycloak 26, an access token of a realm.
fn keycloak() -> Provider {
    Provider {
        name: "Keycloak",
        issuer: "https://login.acme.test/realms/acme",
        settings: "claims: { roles: realm_access.roles, tenant: organization, session: sid, scopes: scope }",
        audience: "acme-api",
        header: json!({ "alg": "RS256", "typ": "JWT", "kid": "key-1" }),
        claims: json!({
            "exp": NOW + 300, "iat": NOW - 1, "auth_time": NOW - 9, "jti": "onrtac:2a51", "aud": ["acme-api", "account"],
            "iss": "https://login.acme.test/realms/acme", "sub": "f3c1d5a2-8b1e-4f60-9f2f-0c6b1e0f7a11", "typ": "Bearer",
            "azp": "acme-web", "sid": "c1d7a0de-55c5-4c1a-8f4e-1f0a5b1f2e3d", "acr": "1",
            "allowed-origins": ["https://app.acme.test"], "organization": "acme-corp",
            "realm_access": { "roles": ["offline_access", "admin", "default-roles-acme"] },
            "resource_access": { "account": { "roles": ["view-profile"] } },
            "scope": "openid email profile", "email_verified": true, "preferred_username": "zoe",
        }),
        subject: "f3c1d5a2-8b1e-4f60-9f2f-0c6b1e0f7a11",
        tenant: Some("acme-corp"),
        session: Some("c1d7a0de-55c5-4c1a-8f4e-1f0a5b1f2e3d"),
        roles: &["offline_access", "admin", "default-roles-acme"],
        scopes: &["openid", "email", "profile"],
    }
}

/// Auth0, an access token for an API, with the permissions of role-based access control.
fn auth0() -> Provider {
    Provider {
        name: "Auth0",
        issuer: "https://acme.eu.auth0.test/",
        settings: "claims: { roles: permissions, tenant: org_id }\n  required: [tenant]",
        audience: "https://api.acme.test",
        header: json!({ "alg": "RS256", "typ": "JWT", "kid": "key-1", "x5t": "NjVBRjY5MDlCMUIw" }),
        claims: json!({
            "iss": "https://acme.eu.auth0.test/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
            "aud": ["https://api.acme.test", "https://acme.eu.auth0.test/userinfo"], "iat": NOW - 1, "exp": NOW + 86_400,
            "azp": "my_client_id", "scope": "openid profile email", "org_id": "org_9ybsU1dN2dKfDkBi",
            "permissions": ["read:orders", "write:orders"],
        }),
        subject: "auth0|5f7c8ec7c33c6c004bbafe82",
        tenant: Some("org_9ybsU1dN2dKfDkBi"),
        session: None,
        roles: &["read:orders", "write:orders"],
        scopes: &["openid", "profile", "email"],
    }
}

/// Microsoft Entra ID, a version 2 access token; its keys have no `alg`.
fn entra() -> Provider {
    Provider {
        name: "Entra",
        issuer: "https://login.microsoftonline.test/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
        settings: "claims: { tenant: tid, session: sid, scopes: scp, roles: roles }\n  algorithms: [RS256]",
        audience: "6e74172b-be56-4843-9ff4-e66a39bb12e3",
        header: json!({ "typ": "JWT", "alg": "RS256", "kid": "key-1", "x5t": "i6lGk3FZzxRcUb2C3nEQ7syHJlY" }),
        claims: json!({
            "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
            "iss": "https://login.microsoftonline.test/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
            "iat": NOW - 1, "nbf": NOW - 1, "exp": NOW + 3_600, "aio": "AXQAi/8IAAAA", "azpacr": "0", "name": "Zoë",
            "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "preferred_username": "zoe@acme.test", "rh": "I",
            "scp": "access_as_user", "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
            "tid": "72f988bf-86f1-41af-91ab-2d7cd011db47", "uti": "fqiBqXLPj0eQa82S-IYFAA", "ver": "2.0",
            "roles": ["Orders.Read.All"],
        }),
        subject: "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
        tenant: Some("72f988bf-86f1-41af-91ab-2d7cd011db47"),
        session: None,
        roles: &["Orders.Read.All"],
        scopes: &["access_as_user"],
    }
}

/// Okta, an access token of a custom authorization server: scopes as a list, groups as a claim, and no `typ`.
fn okta() -> Provider {
    Provider {
        name: "Okta",
        issuer: "https://acme.okta.test/oauth2/default",
        settings: "claims: { subject: uid, scopes: scp, roles: groups, tenant: { constant: acme } }",
        audience: "api://default",
        header: json!({ "kid": "key-1", "alg": "RS256" }),
        claims: json!({
            "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": "https://acme.okta.test/oauth2/default",
            "aud": "api://default", "iat": NOW - 1, "exp": NOW + 3_600, "cid": "nmdP1fcyvdVO11AL7ECm",
            "uid": "00ulthapbErVUwVJy4x6", "scp": ["openid", "orders.write"], "sub": "zoë@acme.test",
            "groups": ["Everyone", "Power Users"],
        }),
        subject: "00ulthapbErVUwVJy4x6",
        tenant: Some("acme"),
        session: None,
        roles: &["Everyone", "Power Users"],
        scopes: &["openid", "orders.write"],
    }
}

/// Amazon Cognito, an access token of a user pool: no `aud`.
fn cognito() -> Provider {
    Provider {
        name: "Cognito",
        issuer: "https://cognito-idp.eu-central-1.amazonaws.test/eu-central-1_Ab12Cd34E",
        settings: "audience_claim: client_id\n  claims: { session: origin_jti, roles: \"cognito:groups\" }\n  required: [roles]",
        audience: "xxxxxxxxxxxxexample",
        header: json!({ "kid": "key-1", "alg": "RS256" }),
        claims: json!({
            "sub": "aaaaaaaa-bbbb-4ccc-dddd-eeeeeeeeeeee", "device_key": "eu-central-1_x", "cognito:groups": ["admin"],
            "token_use": "access", "scope": "aws.cognito.signin.user.admin", "auth_time": NOW - 9,
            "iss": "https://cognito-idp.eu-central-1.amazonaws.test/eu-central-1_Ab12Cd34E", "exp": NOW + 3_600,
            "iat": NOW - 1, "version": 2, "jti": "j", "origin_jti": "o-1:2", "client_id": "xxxxxxxxxxxxexample",
            "username": "zoe",
        }),
        subject: "aaaaaaaa-bbbb-4ccc-dddd-eeeeeeeeeeee",
        tenant: None,
        session: Some("o-1:2"),
        roles: &["admin"],
        scopes: &["aws.cognito.signin.user.admin"],
    }
}

/// Google, an ID token for a client: a numeric subject, the hosted domain as tenant.
fn google() -> Provider {
    Provider {
        name: "Google",
        issuer: "https://accounts.google.test",
        settings: "claims: { tenant: hd }",
        audience: "1234987819200.apps.googleusercontent.test",
        header: json!({ "alg": "RS256", "kid": "key-1", "typ": "JWT" }),
        claims: json!({
            "iss": "https://accounts.google.test", "azp": "1234987819200.apps.googleusercontent.test",
            "aud": "1234987819200.apps.googleusercontent.test", "sub": "110169484474386276334",
            "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "hd": "acme.test", "email": "zoe@acme.test", "email_verified": true,
            "iat": NOW - 1, "exp": NOW + 3_600, "nonce": "0394852-3190485-2490358",
        }),
        subject: "110169484474386276334",
        tenant: Some("acme.test"),
        session: None,
        roles: &[],
        scopes: &[],
    }
}

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
