//! The neighbours of what providers write: one step beside each shape that is known to occur. The right answer is an accepted
//! token, or a refusal that names its claim; for a key, its use or the reason to pass it over.

use serde_json::{Value, json};

use crate::kit::mint::{Es256, Rsa, claims, claims_with, part};
use crate::kit::{AUDIENCE, Authz, Home, NOW};

/// The issuer of the test edge with more settings.
fn with(settings: &str) -> impl Fn(String) -> String {
    let lines = format!("  leeway_seconds: 60\n{settings}");
    move |edge| edge.replacen("  leeway_seconds: 60\n", &lines, 1)
}

/// That `token` is answered with `status` and `reason`, and the record names `claim`.
async fn expect(authz: &Authz, what: &str, token: &str, (status, reason, claim): (u16, &str, &str)) {
    let answer = authz.ask_with(token).await;
    assert!(answer.is(status, reason), "{what}: {} {}", answer.status, answer.reason);
    if !claim.is_empty() {
        let (_, recent) = authz.get("/decisions?limit=1").await;
        assert!(recent.contains(&format!("\"claim\":\"{claim}\"")), "{what}: {recent}");
    }
}

#[tokio::test]
async fn audiences_and_times_one_step_beside_the_usual_ones() {
    let authz = Authz::start().await;
    let key = &authz.home.session;
    let ok = (200, "allowed", "");
    let invalid = |claim| (401, "token_claim_invalid", claim);
    for (changes, expected) in [
        (json!({ "aud": null }), (401, "token_claim_missing", "audience")),
        (json!({ "aud": [] }), (401, "token_wrong_audience", "audience")),
        (json!({ "aud": "" }), (401, "token_wrong_audience", "audience")),
        (json!({ "aud": 7 }), invalid("audience")),
        (json!({ "aud": [[AUDIENCE]] }), invalid("audience")),
        (json!({ "aud": format!("{AUDIENCE}/") }), (401, "token_wrong_audience", "audience")),
        (json!({ "aud": AUDIENCE.to_uppercase() }), (401, "token_wrong_audience", "audience")),
        (
            json!({ "aud": (0..40).map(|n| format!("a-{n}")).chain([AUDIENCE.to_owned()]).collect::<Vec<_>>() }),
            ok,
        ),
        // The last second of the year 9999.
        (json!({ "exp": 253_402_300_799_u64 }), ok),
        (json!({ "exp": "1800014300" }), invalid("exp")),
        (json!({ "exp": -1 }), invalid("exp")),
        (json!({ "exp": true }), invalid("exp")),
        // In some libraries 0 stands for no end at all.
        (json!({ "exp": 0 }), invalid("exp")),
        (json!({ "exp": NOW - 61 }), (401, "token_expired", "exp")),
        (json!({ "nbf": NOW + 61 }), (401, "token_not_yet_valid", "nbf")),
        (json!({ "iat": NOW + 61 }), (401, "token_not_yet_valid", "iat")),
        (json!({ "nbf": NOW + 60 }), ok),
    ] {
        let shown: String = changes.to_string().chars().take(80).collect();
        expect(&authz, &shown, &key.token(&claims_with(&changes)), expected).await;
    }
}

#[tokio::test]
async fn names_of_claims_with_dots_slashes_and_paths_through_lists() {
    let settings = "  claims: { subject: sub, session: sid, tenant: '\"https://acme.test/v1.0/tenant\"', roles: 'resource_access.\"shop.api\".roles', scopes: '\"scp/v2\"', role: orgs.level }\n";
    let authz = Authz::start_with(Home::new(), with(settings)).await;
    let key = &authz.home.session;
    let good = json!({
        "tenantId": null, "scope": null, "role": null,
        "https://acme.test/v1.0/tenant": crate::kit::TENANT,
        "resource_access": { "shop.api": { "roles": ["reader"] } },
        "scp/v2": "books.read",
    });
    let token = |changes: Value| {
        let mut all = good.clone();
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        key.token(&claims_with(&all))
    };
    for (changes, expected) in [
        (json!({}), (200, "allowed", "")),
        // Another claim whose nested spelling looks alike is not read.
        (json!({ "https://acme": { "test/v1": { "0/tenant": "other" } } }), (200, "allowed", "")),
        (json!({ "resource_access": { "shop": { "api": { "roles": [7] } } } }), (200, "allowed", "")),
        (json!({ "resource_access": { "shop.api": { "roles": 7 } } }), (401, "token_claim_invalid", "roles")),
        (json!({ "resource_access": ["shop.api"] }), (200, "allowed", "")),
        (json!({ "resource_access": 7 }), (200, "allowed", "")),
        (json!({ "scp/v2": 7 }), (401, "token_claim_invalid", "scopes")),
        (json!({ "https://acme.test/v1.0/tenant": 7 }), (401, "token_claim_invalid", "tenant")),
        // A path leads through objects: a list on the way has no such member, and the level is absent.
        (json!({ "orgs": [{ "level": 9 }] }), (200, "allowed", "")),
        (json!({ "orgs": { "level": "9" } }), (401, "token_claim_invalid", "role")),
    ] {
        expect(&authz, &changes.to_string(), &token(changes.clone()), expected).await;
    }
    // The level behind the list does not count.
    let through = authz.check("create").session(&token(json!({ "orgs": [{ "level": 9 }] })));
    authz.ask(through).await.expect(403, "role_too_low");
}

#[tokio::test]
async fn the_longest_token_has_exactly_its_bytes() {
    let authz = Authz::start().await;
    let key = &authz.home.session;
    let of = |filling: usize| key.token(&claims_with(&json!({ "x": "g".repeat(filling) })));
    // Three bytes of JSON are four of a token.
    let (mut filling, least) = (12_000 - of(0).len() * 3 / 4, of(0).len());
    assert!(least < 4_096);
    while of(filling).len() < 16_384 {
        filling += 1;
    }
    let (longest, longer) = (of(filling), of(filling + 2));
    assert_eq!(longest.len(), 16_384, "a length that a token can have");
    assert!(longer.len() > 16_384);
    expect(&authz, "16,384 bytes", &longest, (200, "allowed", "")).await;
    expect(&authz, "more", &longer, (401, "token_too_long", "")).await;
}

/// Each set has one good key beside the odd one: the good one serves, and `/readyz` says why the other does not.
#[tokio::test]
async fn keys_one_step_beside_the_usual_ones() {
    let (good, other) = (Es256::generate("good"), Rsa::generate("odd"));
    let rsa = |changes: Value| other.jwk_with(&changes);
    let without = |name: &str| {
        let mut jwk = other.jwk();
        jwk.as_object_mut().unwrap().remove(name);
        jwk
    };
    let x5c_only = json!({ "kty": "RSA", "kid": "odd", "use": "sig", "x5c": ["MIIB"], "x5t": "qQ" });
    for (what, odd, why) in [
        ("for encryption", rsa(json!({ "use": "enc" })), "its `use` is \"enc\""),
        ("key_ops", rsa(json!({ "key_ops": ["wrapKey"] })), "`key_ops` does not list \"verify\""),
        (
            "key_ops of a private key",
            rsa(json!({ "key_ops": ["sign"] })),
            "`key_ops` does not list \"verify\"",
        ),
        ("a certificate alone", x5c_only, "it has no `n`"),
        ("no exponent", without("e"), "it has no `e`"),
        (
            "P-521",
            json!({ "kty": "EC", "crv": "P-521", "kid": "odd", "x": part([1; 66]), "y": part([1; 66]) }),
            "its curve \"P-521\" is not one of this edge",
        ),
        (
            "a curve of a currency",
            json!({ "kty": "EC", "crv": "secp256k1", "kid": "odd", "x": part([1; 32]), "y": part([1; 32]) }),
            "its curve \"secp256k1\"",
        ),
        (
            "X25519",
            json!({ "kty": "OKP", "crv": "X25519", "kid": "odd", "x": part([1; 32]) }),
            "its curve \"X25519\"",
        ),
        (
            "Ed448",
            json!({ "kty": "OKP", "crv": "Ed448", "kid": "odd", "x": part([1; 57]) }),
            "its curve \"Ed448\"",
        ),
        ("a number as its name", rsa(json!({ "kid": 7 })), "its `kid` is not text"),
        ("key agreement", rsa(json!({ "alg": "ECDH-ES" })), "its `alg` \"ECDH-ES\""),
        ("null as its use", rsa(json!({ "use": null })), "its `use` is not text"),
    ] {
        for keys in [json!([odd, good.jwk()]), json!([good.jwk(), odd])] {
            let home = Home::new();
            home.write("session.jwks.json", &json!({ "keys": keys }).to_string());
            let authz = Authz::start_with(home, |edge| edge).await;
            authz.ask_with(&good.token(&claims())).await.expect(200, "allowed");
            let (status, ready) = authz.get("/readyz").await;
            let ready = ready.replace("\\\"", "\"");
            assert!(status == 200 && ready.contains(why), "{what}: {ready}");
        }
    }
    // A key that verifies and does more is one, and so is one whose certificate comes along.
    for more in [
        json!({ "key_ops": ["verify", "sign"] }),
        json!({ "x5c": ["MIIB"], "x5t#S256": "qQ", "nbf": 1, "exp": 2, "iss": "x" }),
        json!({ "use": "sig", "key_ops": ["verify"] }),
    ] {
        let home = Home::new();
        home.write("session.jwks.json", &json!({ "keys": [rsa(more.clone())] }).to_string());
        let authz = Authz::start_with(home, |edge| edge).await;
        let answer = authz.ask_with(&other.token("RS256", &claims())).await;
        assert!(answer.is(200, "allowed"), "{more}: {}", answer.reason);
    }
}
