//! Keys and tokens as ordinary identity providers publish and issue them: one change at a time, from a token that passes.

use serde_json::{Value, json};

use crate::kit::mint::{Es256, Rsa, claims, claims_with, part};
use crate::kit::{AUDIENCE, Authz, Home, NOW, TENANT, eventually};

/// The issuer with more settings.
fn with(settings: &'static str) -> impl Fn(String) -> String {
    move |edge| edge.replacen("  leeway_seconds: 60\n", &format!("  leeway_seconds: 60\n{settings}"), 1)
}

/// The only key of the issuer is what `jwks` holds.
async fn with_keys(jwks: &Value, settings: &'static str) -> Authz {
    let home = Home::new();
    home.write("session.jwks.json", &jwks.to_string());
    Authz::start_with(home, with(settings)).await
}

#[tokio::test]
async fn tokens_of_ordinary_providers_pass() {
    let authz = Authz::start_with(Home::new(), with("  token_types: [at+jwt, JWT, absent]\n")).await;
    let key = &authz.home.session;
    let headed = |header: Value| key.sign(&header.to_string(), &claims().to_string());
    let kid = &key.kid;
    let long = |bytes: usize| key.token(&claims_with(&json!({ "groups": "g".repeat(bytes) })));
    let times = claims().to_string().replace(&format!("\"exp\":{}", NOW + 14_300), "\"exp\":1800014300.75");
    assert!(times.contains(".75"));
    let times = times.replace(&format!("\"iat\":{}", NOW - 100), "\"iat\":1.7999999005e9");
    for (what, token, status, reason) in [
        ("two audiences", key.token(&claims_with(&json!({ "aud": [AUDIENCE, "account"] }))), 200, "allowed"),
        ("no typ", headed(json!({ "alg": "ES256", "kid": kid })), 200, "allowed"),
        ("typ JWT", headed(json!({ "alg": "ES256", "kid": kid, "typ": "JWT" })), 200, "allowed"),
        ("typ jwt", headed(json!({ "alg": "ES256", "kid": kid, "typ": "jwt" })), 200, "allowed"),
        (
            "a refresh token",
            headed(json!({ "alg": "ES256", "kid": kid, "typ": "Refresh" })),
            401,
            "token_wrong_type",
        ),
        ("x5t", headed(json!({ "alg": "ES256", "kid": kid, "x5t": "qQ", "ver": "1" })), 200, "allowed"),
        ("no kid", headed(json!({ "alg": "ES256" })), 200, "allowed"),
        ("times with fractions", key.sign(&key.header().to_string(), &times), 200, "allowed"),
        ("no iat", key.token(&claims_with(&json!({ "iat": null }))), 200, "allowed"),
        ("a null claim", key.token(&claims_with(&json!({ "nbf": null, "act": null }))), 200, "allowed"),
        ("scopes in a list", key.token(&claims_with(&json!({ "scope": ["books.read"] }))), 200, "allowed"),
        ("9 KB of groups", long(9_000), 200, "allowed"),
        ("17 KB of groups", long(17_000), 401, "token_too_long"),
        (
            "many claims",
            key.token(&claims_with(&(0..150).map(|n| (format!("c{n}"), json!(n))).collect())),
            200,
            "allowed",
        ),
    ] {
        // Verified, and remembered.
        for _ in 0..2 {
            let answer = authz.ask_with(&token).await;
            assert!(answer.is(status, reason), "{what}: {} {}", answer.status, answer.reason);
        }
    }
}

#[tokio::test]
async fn the_edge_file_sets_the_audience_claim_and_the_longest_token() {
    let settings = "  audience_claim: client_id\n  max_token_bytes: 32768\n";
    let authz = Authz::start_with(Home::new(), with(settings)).await;
    let key = &authz.home.session;
    let theirs = |changes: Value| key.token(&claims_with(&changes));
    authz.ask_with(&theirs(json!({ "aud": null, "client_id": AUDIENCE }))).await.expect(200, "allowed");
    authz.ask_with(&theirs(json!({ "client_id": "x" }))).await.expect(401, "token_wrong_audience");
    authz.ask_with(&theirs(json!({}))).await.expect(401, "token_claim_missing");
    let long = json!({ "client_id": AUDIENCE, "groups": "g".repeat(20_000) });
    authz.ask_with(&theirs(long)).await.expect(200, "allowed");
}

#[tokio::test]
async fn a_refusal_names_its_claim_in_the_record_alone() {
    let authz = Authz::start().await;
    let key = &authz.home.session;
    for (changes, reason, claim) in [
        (json!({ "tenantId": null }), "token_claim_missing", "tenant"),
        (json!({ "sid": 7 }), "token_claim_invalid", "session"),
        (json!({ "exp": null }), "token_claim_missing", "exp"),
        (json!({ "aud": "https://other.test" }), "token_wrong_audience", "audience"),
    ] {
        authz.ask_with(&key.token(&claims_with(&changes))).await.expect(401, reason);
        let (_, recent) = authz.get("/decisions?limit=1").await;
        assert!(recent.contains(&format!("\"claim\":\"{claim}\"")), "{changes}: {recent}");
    }
}

#[tokio::test]
async fn an_encryption_key_beside_the_signing_key_is_passed_over() {
    let (signing, encryption) = (Rsa::generate("sig-1"), Rsa::generate("enc-1"));
    let set = json!({ "keys": [
        encryption.jwk_with(&json!({ "alg": "RSA-OAEP", "use": "enc", "x5c": ["AAAA"], "x5t": "qQ" })),
        signing.jwk_with(&json!({ "alg": "RS256", "use": "sig", "x5c": ["AAAA"], "x5t": "qQ" })),
        { "kty": "oct", "kid": "shared", "alg": "HS256", "k": "AAAA" },
        { "kty": "AKP", "kid": "next", "alg": "ML-DSA-44", "pub": "AAAA" },
        "no key",
    ]});
    let authz = with_keys(&set, "").await;
    authz.ask_with(&signing.token("RS256", &claims())).await.expect(200, "allowed");
    authz.ask_with(&encryption.token("RS256", &claims())).await.expect(401, "token_unknown_key");
    let (status, ready) = authz.get("/readyz").await;
    assert_eq!(status, 200, "{ready}");
    assert!(ready.contains("1 loaded, 4 passed over") && ready.contains("enc-1"), "{ready}");
    let (_, metrics) = authz.get("/metrics").await;
    for (state, count) in [("used", 1), ("passed_over", 4)] {
        let line =
            format!("authz_session_keys{{issuer=\"https://api.test/auth\",state=\"{state}\"}} {count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn a_key_without_alg_serves_one_family_of_algorithms() {
    let key = Rsa::generate("entra-1");
    let set = json!({ "keys": [key.jwk_with(&json!({ "use": "sig", "x5t": "qQ", "x5c": ["AAAA"] }))] });
    for (settings, allowed) in [
        ("", &["RS256"][..]),
        ("  algorithms: [PS256]\n", &["PS256"]),
        ("  algorithms: [RS512]\n", &["RS512"]),
        ("  algorithms: [RS256, RS512]\n", &["RS256", "RS512"]),
        ("  algorithms: [ES256, RS256, PS256]\n", &["RS256"]),
    ] {
        let authz = with_keys(&set, settings).await;
        for alg in ["RS256", "RS512", "PS256"] {
            let answer = authz.ask_with(&key.token(alg, &claims())).await;
            let expected = if allowed.contains(&alg) { "allowed" } else { "token_wrong_algorithm" };
            assert_eq!(answer.reason, expected, "{settings} {alg}");
        }
    }
    // Without one that fits, no key is usable.
    let authz = with_keys(&set, "  algorithms: [ES256]\n").await;
    authz.ask_with(&key.token("RS256", &claims())).await.expect(503, "keys_unavailable");
    assert!(authz.get("/readyz").await.1.contains("entra-1"));
}

#[tokio::test]
async fn one_key_is_never_of_two_families() {
    let key = Rsa::generate("a");
    let twice = json!({ "keys": [
        key.jwk_with(&json!({ "alg": "RS256" })),
        key.jwk_with(&json!({ "alg": "PS256", "kid": "b" })),
    ]});
    let authz = with_keys(&twice, "").await;
    for alg in ["RS256", "PS256"] {
        authz.ask_with(&key.token(alg, &claims())).await.expect(503, "keys_unavailable");
    }
    // Two kinds of key may share a name (RFC 7517 §4.5).
    let other = Es256::generate("a");
    let shared = json!({ "keys": [key.jwk(), other.jwk()] });
    let authz = with_keys(&shared, "").await;
    authz.ask_with(&key.token("RS256", &claims())).await.expect(200, "allowed");
    authz.ask_with(&other.token(&claims())).await.expect(200, "allowed");
    let unnamed = |alg: &str| key.sign(&json!({ "typ": "at+jwt", "alg": alg }), &claims());
    authz.ask_with(&unnamed("RS256")).await.expect(200, "allowed");
    authz.ask_with(&unnamed("PS256")).await.expect(401, "token_wrong_algorithm");
}

#[tokio::test]
async fn keys_without_a_name() {
    let (one, two) = (Rsa::generate("one"), Rsa::generate("two"));
    let unnamed = |key: &Rsa| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    };
    let named = one.token("RS256", &claims());
    let bare = |key: &Rsa| key.sign(&json!({ "typ": "at+jwt", "alg": "RS256" }), &claims());
    // The only key serves every token.
    let authz = with_keys(&json!({ "keys": [unnamed(&one)] }), "").await;
    authz.ask_with(&named).await.expect(200, "allowed");
    authz.ask_with(&bare(&one)).await.expect(200, "allowed");
    authz.ask_with(&two.token("RS256", &claims())).await.expect(401, "token_unknown_key");
    authz.ask_with(&bare(&two)).await.expect(401, "token_bad_signature");
    // Of several, none is guessed.
    let authz = with_keys(&json!({ "keys": [unnamed(&one), unnamed(&two)] }), "").await;
    authz.ask_with(&named).await.expect(401, "token_unknown_key");
    authz.ask_with(&bare(&one)).await.expect(401, "token_unknown_key");
}

#[tokio::test]
async fn a_short_rsa_key_is_passed_over_with_its_reason() {
    let good = Rsa::generate("long");
    let mut short = Rsa::generate("short").jwk();
    let mut modulus = vec![0xff; 128];
    modulus[127] = 0x0d;
    short["n"] = json!(part(&modulus));
    let authz = with_keys(&json!({ "keys": [short, good.jwk()] }), "").await;
    authz.ask_with(&good.token("RS256", &claims())).await.expect(200, "allowed");
    let (_, ready) = authz.get("/readyz").await;
    assert!(ready.contains("its RSA key has 1024 bits, and 2048 are the least"), "{ready}");
    // A sign byte of the provider's library is not a bit of the key.
    let mut padded = good.jwk();
    let n = base64_of(&good.jwk()["n"]);
    padded["n"] = json!(part([vec![0], n].concat()));
    let authz = with_keys(&json!({ "keys": [padded] }), "").await;
    authz.ask_with(&good.token("RS256", &claims())).await.expect(200, "allowed");
}

fn base64_of(text: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn an_unknown_key_in_a_rotation_delays_nothing() {
    let (old, new) = (Rsa::generate("old"), Rsa::generate("new"));
    let authz = with_keys(&json!({ "keys": [old.jwk()] }), "").await;
    authz.ask_with(&old.token("RS256", &claims())).await.expect(200, "allowed");
    let next = json!({ "keys": [old.jwk(), new.jwk(), { "kty": "AKP", "kid": "x", "alg": "ML-DSA-44" }] });
    authz.home.write("session.jwks.json", &next.to_string());
    let token = new.token("RS256", &claims());
    eventually("the new key", async || authz.ask_with(&token).await.is(200, "allowed")).await;
    authz.ask_with(&old.token("RS256", &claims())).await.expect(200, "allowed");
    authz.clock.advance_seconds(3_700);
    let late = new.token("RS256", &claims_with(&json!({ "exp": NOW + 90_000 })));
    authz.ask_with(&late).await.expect(200, "allowed");
}

const PERSON: &str = "0192d3c0-0000-7000-8000-0000000000aa";

/// Settings with a mapping, and claims that fit it.
const MAPPED: &str = r#"  claims: { subject: oid, tenant: '"https://acme.test/app".tenant', session: sid, role: level, scopes: realm_access.roles }
  required: [tenant, session, scopes]
"#;

fn mapped() -> Value {
    json!({
        "sub": "auth0|5f7c", "oid": PERSON, "tenantId": "not this one", "role": "nor this",
        "https://acme.test/app": { "tenant": TENANT }, "level": 2,
        "realm_access": { "roles": ["books.read", "books.list"] },
    })
}

#[tokio::test]
async fn claims_are_read_where_the_edge_file_maps_them() {
    let authz = Authz::start_with(Home::new(), with(MAPPED)).await;
    let key = &authz.home.session;
    let token = |changes: Value| {
        let mut all = mapped();
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        key.token(&claims_with(&all))
    };
    // Who has the mapped role and scopes passes; the names of the platform's own claims mean nothing here.
    for route in ["me", "create", "shelf"] {
        let answer = authz.ask(authz.check(route).session(&token(json!({})))).await;
        assert!(answer.is(200, "allowed"), "{route}: {} {}", answer.status, answer.reason);
    }
    let low = authz.ask(authz.check("create").session(&token(json!({ "level": null })))).await;
    low.expect(403, "role_too_low");
    for (changes, reason, claim) in [
        (json!({ "oid": null }), "token_claim_missing", "subject"),
        (json!({ "oid": "x".repeat(256) }), "token_claim_invalid", "subject"),
        (json!({ "https://acme.test/app": null }), "token_claim_missing", "tenant"),
        (json!({ "https://acme.test/app": { "tenant": null } }), "token_claim_missing", "tenant"),
        (json!({ "https://acme.test/app": TENANT }), "token_claim_missing", "tenant"),
        (json!({ "https://acme.test/app": { "tenant": 7 } }), "token_claim_invalid", "tenant"),
        (json!({ "sid": null }), "token_claim_missing", "session"),
        (json!({ "realm_access": null }), "token_claim_missing", "scopes"),
        (json!({ "realm_access": { "roles": [7] } }), "token_claim_invalid", "scopes"),
        (json!({ "level": "2" }), "token_claim_invalid", "role"),
        (json!({ "level": 300 }), "token_claim_invalid", "role"),
    ] {
        authz.ask_with(&token(changes.clone())).await.expect(401, reason);
        let (_, recent) = authz.get("/decisions?limit=1").await;
        assert!(recent.contains(&format!("\"claim\":\"{claim}\"")), "{changes}: {recent}");
    }
}

#[tokio::test]
async fn an_absent_optional_claim_is_absent_for_the_backend() {
    let settings = "  claims: { tenant: { constant: 00000000-0000-7000-8000-000000000001 }, session: sid, role: role, scopes: scp }\n";
    let authz = Authz::start_with(Home::new(), with(settings)).await;
    let key = &authz.home.session;
    let none = json!({ "tenantId": null, "sid": null, "role": null, "scope": null });
    let bare = key.token(&claims_with(&none));
    let answer = authz.ask_with(&bare).await;
    answer.expect(200, "allowed");
    assert_eq!(answer.headers.get("x-auth-subject").map(String::as_str), Some(PERSON));
    assert_eq!(answer.headers.get("x-tenant-id").map(String::as_str), Some(TENANT));
    for name in ["x-auth-session", "x-auth-role", "x-auth-scopes"] {
        assert_eq!(answer.headers.get(name), None, "{name}");
        assert!(answer.removed.iter().any(|removed| removed == name), "{name} is not removed");
    }
    // A role that is not there is lower than any.
    authz.ask(authz.check("create").session(&bare)).await.expect(403, "role_too_low");
    // A token without a session still ends with its tenant.
    authz.home.list_tenant("suspended");
    eventually("suspended", async || authz.ask_with(&bare).await.is(403, "tenant_suspended")).await;
    authz.home.list_tenant("active");
    let scopes = json!({ "tenantId": null, "scope": null, "scp": ["books.read", "books.list"] });
    let token = key.token(&claims_with(&scopes));
    eventually("active", async || authz.ask_with(&token).await.is(200, "allowed")).await;
    authz.ask(authz.check("shelf").session(&token)).await.expect(200, "allowed");
    // `JWT` and no type are usual where claims are mapped.
    for header in [json!({ "alg": "ES256", "typ": "JWT" }), json!({ "alg": "ES256" })] {
        let token = key.sign(&header.to_string(), &claims_with(&scopes).to_string());
        authz.ask_with(&token).await.expect(200, "allowed");
    }
}
