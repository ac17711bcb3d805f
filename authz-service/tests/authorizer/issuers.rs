//! Several issuers side by side (ATTACKS A, across two issuers).

use serde_json::json;

use crate::kit::mint::{Es256, claims, claims_with};
use crate::kit::{AUDIENCE, Authz, Home, ISSUER, NOW};

const OTHER: &str = "https://login.partner.test";

fn two_issuers(home: &Home) -> impl Fn(String) -> String + use<> {
    let path = home.path().to_str().unwrap().to_owned();
    move |edge: String| {
        let flat = format!(
            "  issuer: {ISSUER}\n  audience: {AUDIENCE}\n  keys: {{ file: \"{path}/session.jwks.json\" }}\n  leeway_seconds: 60\n"
        );
        assert!(edge.contains(&flat));
        let list = format!(
            "  issuers:\n    - {{ issuer: {ISSUER}, audience: {AUDIENCE}, keys: {{ file: \"{path}/session.jwks.json\" }}, leeway_seconds: 60 }}\n    - {{ issuer: {OTHER}, audience: [{AUDIENCE}, https://mobile.test], token_type: JWT, algorithms: [ES256], keys: {{ pem: \"{path}/other.pem\", kid: session-1, algorithm: ES256 }}, leeway_seconds: 0 }}\n"
        );
        edge.replace(&flat, &list)
    }
}

/// The public half of `key` as other issuers publish it.
fn public_pem(key: &Es256) -> String {
    use base64::Engine as _;
    // SubjectPublicKeyInfo of P-256 up to the point (RFC 5480).
    let head = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let der = [head.to_vec(), key.public_point()].concat();
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &body[..64], &body[64..])
}

async fn start() -> (Authz, Es256) {
    let home = Home::new();
    // The same `kid` as the first issuer's key, on purpose.
    let other = Es256::generate("session-1");
    home.write("other.pem", &public_pem(&other));
    let edit = two_issuers(&home);
    (Authz::start_with(home, edit).await, other)
}

fn header() -> String {
    json!({ "typ": "JWT", "alg": "ES256", "kid": "session-1" }).to_string()
}

#[tokio::test]
async fn each_issuer_is_trusted_with_its_own_keys_and_rules_only() {
    let (authz, other) = start().await;
    let theirs = |changes| {
        let mut all = claims_with(&json!({ "iss": OTHER }));
        all.as_object_mut()
            .unwrap()
            .extend(serde_json::Map::clone(serde_json::Value::as_object(&changes).unwrap()));
        all.to_string()
    };
    // Twice each: verified, and remembered.
    for _ in 0..2 {
        authz.ask_with(&authz.token()).await.expect(200, "allowed");
        authz.ask_with(&other.sign(&header(), &theirs(json!({})))).await.expect(200, "allowed");
    }
    let own = authz.home.session.header().to_string();
    for (what, token, reason) in [
        (
            "its other audience",
            other.sign(&header(), &theirs(json!({"aud": "https://mobile.test"}))),
            "allowed",
        ),
        (
            "a foreign audience",
            other.sign(&header(), &theirs(json!({"aud": "https://x.test"}))),
            "token_wrong_audience",
        ),
        (
            "the first one's key under the second's name",
            authz.home.session.sign(&header(), &theirs(json!({}))),
            "token_bad_signature",
        ),
        (
            "the second one's key under the first's name",
            other.sign(&own, &claims().to_string()),
            "token_bad_signature",
        ),
        ("the first one's type", other.sign(&own, &theirs(json!({}))), "token_wrong_type"),
        (
            "the second one's type",
            authz.home.session.sign(&header(), &claims().to_string()),
            "token_wrong_type",
        ),
        (
            "an audience of the second for the first",
            authz.home.session.token(&claims_with(&json!({"aud": "https://mobile.test"}))),
            "token_wrong_audience",
        ),
        ("nobody", other.sign(&header(), &theirs(json!({"iss": "https://evil.test"}))), "token_wrong_issuer"),
        (
            "a beginning of the name",
            other.sign(&header(), &theirs(json!({"iss": "https://login.partner"}))),
            "token_wrong_issuer",
        ),
        (
            "no issuer",
            other.sign(&header(), &claims_with(&json!({"iss": null})).to_string()),
            "token_claim_missing",
        ),
        (
            "two issuers",
            other.sign(&header(), &theirs(json!({})).replacen('{', &format!("{{\"iss\":\"{ISSUER}\","), 1)),
            "token_wrong_claims",
        ),
        (
            "an issuer that is not a text",
            other.sign(&header(), &theirs(json!({"iss": [OTHER]}))),
            "token_claim_invalid",
        ),
        (
            "another kid",
            other.sign(&header().replace("session-1", "session-2"), &theirs(json!({}))),
            "token_unknown_key",
        ),
        (
            "another algorithm",
            other.sign(&header().replace("ES256", "HS256"), &theirs(json!({}))),
            "token_wrong_algorithm",
        ),
        (
            "no algorithm",
            other.sign(&header().replace("ES256", "none"), &theirs(json!({}))),
            "token_wrong_algorithm",
        ),
        (
            "expired by its own leeway",
            other.sign(&header(), &theirs(json!({"exp": NOW - 1}))),
            "token_expired",
        ),
        (
            "valid with the first one's leeway",
            authz.home.session.token(&claims_with(&json!({"exp": NOW - 1}))),
            "allowed",
        ),
        ("not before now", other.sign(&header(), &theirs(json!({"nbf": NOW}))), "allowed"),
        (
            "not before a second from now",
            other.sign(&header(), &theirs(json!({"nbf": NOW + 1}))),
            "token_not_yet_valid",
        ),
    ] {
        let answer = authz.ask_with(&token).await;
        assert_eq!(answer.reason, reason, "{what}");
        assert_eq!(answer.status, if reason == "allowed" { 200 } else { 401 }, "{what}");
    }
}

#[tokio::test]
async fn one_issuer_without_keys_affects_no_other() {
    let home = Home::new();
    let edit = two_issuers(&home);
    let authz = Authz::start_with(home, edit).await;
    let other = Es256::generate("session-1");
    let theirs = other.sign(&header(), &claims_with(&json!({ "iss": OTHER })).to_string());
    authz.ask_with(&authz.token()).await.expect(200, "allowed");
    authz.ask_with(&theirs).await.expect(503, "keys_unavailable");
    assert_eq!(authz.get("/readyz").await.0, 200, "the second issuer's keys were tried");

    // A private key, a key of another kind, rubbish: refused when loaded, and named.
    for (content, needle) in [
        (std::fs::read_to_string(authz.home.at("identity.pem")).unwrap(), "private key"),
        ("rubbish".to_owned(), "PEM"),
        (
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
                .to_owned(),
            "does not match the algorithm ES256",
        ),
    ] {
        authz.home.write("other.pem", &content);
        crate::kit::eventually(needle, || async { authz.get("/readyz").await.1.contains(needle) }).await;
    }
    authz.home.write("other.pem", &public_pem(&other));
    crate::kit::eventually("the keys are there", || async {
        authz.ask_with(&theirs).await.is(200, "allowed")
    })
    .await;
}
