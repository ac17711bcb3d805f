//! ATTACKS.md A, as far as it concerns the authorizer.

mod forged;

use clock::UnixTime;
use serde_json::json;

use crate::kit::mint::{claims, claims_with};
use crate::kit::{AUDIENCE, Authz, NOW, SUBJECT, TENANT};

#[tokio::test]
async fn a_good_token_passes_in_cookie_and_as_bearer() {
    let authz = Authz::start().await;
    let token = authz.token();
    authz.ask_with(&token).await.expect(200, "allowed");
    authz.ask(authz.check("me").bearer(&token)).await.expect(200, "allowed");
    authz.ask(authz.check("me")).await.expect(401, "no_credential");
}

#[tokio::test]
async fn claims_that_are_not_text_are_refused_even_when_well_signed() {
    let authz = Authz::start().await;
    let key = &authz.home.session;
    let text = claims_with(&json!({ "note": "books.read" })).to_string();
    let mut claims = text.clone().into_bytes();
    let at = text.find("books").unwrap();
    claims[at] = 0xff;
    let header = key.header().to_string();
    let asked = |claims: &[u8]| authz.ask(authz.check("me").session(&key.sign_bytes(&header, claims)));
    assert_eq!(asked(text.as_bytes()).await.status, 200);
    asked(&claims).await.expect(401, "token_wrong_claims");
}

#[tokio::test]
async fn claims_of_the_wrong_shape() {
    let authz = Authz::start().await;
    let key = &authz.home.session;
    // 13, 15: missing, or not the one type that is allowed.
    let mut cases: Vec<(String, String)> = Vec::new();
    for name in ["iss", "aud", "sub", "sid", "tenantId", "role", "exp"] {
        cases.push((format!("no {name}"), claims_with(&json!({ name: null })).to_string()));
    }
    let numbers = ["\"1800000100\"", "1e400", "-1", "1e17", "true", "[]", "{}"];
    for name in ["exp", "nbf", "iat", "role"] {
        let base = claims_with(&json!({ name: null })).to_string();
        let rest = &base[1..];
        for number in numbers {
            cases.push((format!("{name} {number}"), format!("{{\"{name}\":{number},{rest}")));
        }
    }
    for (name, values) in [
        (
            "sub",
            vec![
                json!(""),
                json!(1),
                json!({}),
                json!(format!(" {SUBJECT}")),
                json!(format!("{SUBJECT}\n")),
                json!("x".repeat(256)),
            ],
        ),
        ("sid", vec![json!(""), json!(7)]),
        ("tenantId", vec![json!(""), json!([TENANT]), json!("\u{7f}")]),
        ("iss", vec![json!(1), json!(["https://api.test/auth"])]),
        ("aud", vec![json!(1), json!([AUDIENCE, 1]), json!([1]), json!({})]),
        ("role", vec![json!(256), json!(65_536)]),
        (
            "scope",
            vec![
                json!(["books.read", 1]),
                json!(["books.read books.list"]),
                json!({}),
                json!("a  b"),
                json!(" a"),
                json!("a "),
                json!("a\r\nx-tenant-id: 1"),
                json!("a\"b"),
                json!("a\\b"),
                json!("\u{e9}"),
                json!("a\tb"),
            ],
        ),
    ] {
        for value in values {
            cases.push((format!("{name} {value}"), claims_with(&json!({ name: value })).to_string()));
        }
    }
    // 12: twice, in whichever order and spelling, also a claim that the authorizer does not read.
    let good = claims().to_string();
    let inner = &good[1..good.len() - 1];
    for twice in [
        format!(r#""sub":"{SUBJECT}""#),
        r#""sub":"0192d3c0-0000-7000-8000-0000000000cc""#.to_owned(),
        r#""\u0073ub":"0192d3c0-0000-7000-8000-0000000000cc""#.to_owned(),
        format!(r#""exp":{}"#, NOW + 9_999_999),
        r#""jti":"2""#.to_owned(),
    ] {
        cases.push((format!("{twice} behind"), format!("{{{inner},{twice}}}")));
        cases.push((format!("{twice} before"), format!("{{{twice},{inner}}}")));
    }
    // 22: deep, wide, and not an object at all.
    cases.push(("deep".to_owned(), format!("{{{inner},\"x\":{}", "[".repeat(2_000))));
    let closed = format!("{}{}", "[".repeat(200), "]".repeat(200));
    // Texts that other parsers read differently or not at all, in claims that the authorizer does not read.
    for odd in [
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        "1e999",
        "-1e400",
        r#"{"a":[1,{"b":"\ud800"}]}"#,
        r#"{"\ud800":1}"#,
        r#"[[1e999]]"#,
        "01",
        "+1",
        "NaN",
        &closed,
    ] {
        cases.push((format!("unread {odd}"), format!("{{{inner},\"x\":{odd}}}")));
    }
    cases.push(("unread name".to_owned(), format!("{{{inner},\"\\ud800\":1}}")));
    cases.push(("twice inside".to_owned(), format!(r#"{{{inner},"x":[{{"a":1,"\u0061":1}}]}}"#)));
    for text in ["", "null", "[]", "\"x\"", "{}", "{", "1"] {
        cases.push((format!("claims {text:?}"), text.to_owned()));
    }
    cases.push(("trailing".to_owned(), format!("{good}{{}}")));
    cases.push(("exp before iat".to_owned(), claims_with(&json!({ "iat": NOW, "exp": NOW })).to_string()));

    for (what, claims) in cases {
        let answer = authz.ask_with(&key.sign(&key.header().to_string(), &claims)).await;
        let fits = match answer.reason.as_str() {
            "token_malformed" => claims.is_empty(),
            "token_wrong_claims" | "token_claim_missing" | "token_claim_invalid" => !claims.is_empty(),
            _ => false,
        };
        assert!(answer.status == 401 && fits, "{what}: {} {}", answer.status, answer.reason);
    }
    // Unread claims may be anything, once.
    let odd = claims_with(&json!({ "x": { "a": [1, -2, 2.5, null, true, "\u{1f600}"] }, "scope": null }));
    authz.ask_with(&key.token(&odd)).await.expect(200, "allowed");
    let escaped = format!(r#"{{{inner},"x":"\ud83d\ude00","y":1e300,"z":18446744073709551616}}"#);
    authz.ask_with(&key.sign(&key.header().to_string(), &escaped)).await.expect(200, "allowed");
}

#[tokio::test]
async fn issuer_and_audience_are_exact() {
    let authz = Authz::start().await;
    let key = &authz.home.session;
    // 17: another environment's, and the one array that is one audience.
    for (changes, status, reason) in [
        (json!({ "iss": "https://api.other/auth" }), 401, "token_wrong_issuer"),
        (json!({ "iss": "https://api.test/auth/" }), 401, "token_wrong_issuer"),
        (json!({ "aud": "https://api.other" }), 401, "token_wrong_audience"),
        (json!({ "aud": "https://api.test/auth" }), 401, "token_wrong_audience"),
        (json!({ "aud": "HTTPS://API.TEST" }), 401, "token_wrong_audience"),
        (json!({ "aud": ["https://api.other"] }), 401, "token_wrong_audience"),
        (json!({ "aud": [] }), 401, "token_wrong_audience"),
        (json!({ "aud": [AUDIENCE] }), 200, "allowed"),
        (json!({ "aud": ["account", AUDIENCE] }), 200, "allowed"),
    ] {
        let answer = authz.ask_with(&key.token(&claims_with(&changes))).await;
        assert!(answer.is(status, reason), "{changes}: {} {}", answer.status, answer.reason);
    }
}

#[tokio::test]
async fn times_are_judged_on_the_documented_second() {
    let authz = Authz::start().await;
    let key = &authz.home.session;
    let token = key.token(&claims_with(&json!({ "exp": NOW, "iat": NOW - 100 })));
    // 14: first seen and remembered alike, also when the clock is stepped back and forth by an hour (105).
    for (now, status) in [
        (NOW, 200),
        (NOW + 58, 200),
        (NOW + 60, 200),
        (NOW + 61, 401),
        (NOW + 3_600, 401),
        (NOW - 161, 401),
        (NOW - 160, 200),
        (NOW + 62, 401),
        (NOW, 200),
    ] {
        authz.clock.set(UnixTime::from_seconds(now));
        let answer = authz.ask_with(&token).await;
        let side = now.cast_signed() - NOW.cast_signed();
        assert_eq!(answer.status, status, "at exp {side:+}: {}", answer.reason);
    }
    authz.clock.set(UnixTime::from_millis((NOW + 60) * 1_000 + 999));
    authz.ask_with(&token).await.expect(200, "allowed");

    authz.clock.set(UnixTime::from_seconds(NOW));
    for (changes, reason) in [
        (json!({ "nbf": NOW + 60 }), "allowed"),
        (json!({ "nbf": NOW + 61 }), "token_not_yet_valid"),
        (json!({ "iat": NOW + 60 }), "allowed"),
        (json!({ "iat": NOW + 61 }), "token_not_yet_valid"),
        (json!({ "exp": u64::MAX }), "allowed"),
        (json!({ "nbf": u64::MAX }), "token_not_yet_valid"),
    ] {
        let answer = authz.ask_with(&key.token(&claims_with(&changes))).await;
        assert_eq!(answer.reason, reason, "{changes}");
    }
}

#[tokio::test]
async fn size_is_bounded_and_never_an_error() {
    let authz = Authz::start().await;
    let key = &authz.home.session;
    // 21: exactly the limit passes, one byte more does not, and neither does anything larger.
    let sized = |bytes: usize| {
        (1..4).find_map(|odd| {
            let padding = (bytes - key.token(&claims()).len()) * 3 / 4;
            (padding.saturating_sub(40)..padding)
                .map(|n| key.token(&claims_with(&json!({ "x": "y".repeat(n), "z": "z".repeat(odd) }))))
                .find(|token| token.len() == bytes)
        })
    };
    authz.ask_with(&sized(16_384).expect("a token of that size")).await.expect(200, "allowed");
    authz.ask_with(&sized(16_386).expect("a token of that size")).await.expect(401, "token_too_long");
    for kilobytes in [16, 32, 59] {
        let token = key.token(&claims_with(&json!({ "x": "y".repeat(kilobytes * 1_024) })));
        authz.ask_with(&token).await.expect(401, "token_too_long");
    }
    // 22: beyond any limit.
    let deep = key.sign(&key.header().to_string(), &"[".repeat(40_000));
    authz.ask_with(&deep).await.expect(401, "token_too_long");
}

#[tokio::test]
async fn a_token_in_any_other_place_is_not_a_credential() {
    let authz = Authz::start().await;
    let token = authz.token();
    // 23.
    for (name, value) in [
        ("x-access-token", token.clone()),
        ("proxy-authorization", format!("Bearer {token}")),
        ("cookie2", format!("access_token={token}")),
        (":path", format!("/users/@me?access_token={token}")),
        ("x-auth-identity", token.clone()),
        ("authorization", format!("Basic {token}")),
        ("authorization", token.clone()),
    ] {
        let answer = authz.ask(authz.check("me").header(name, value)).await;
        assert!(answer.is(401, "no_credential"), "{name}: {} {}", answer.status, answer.reason);
    }
}

#[tokio::test]
async fn a_remembered_token_is_still_checked() {
    let authz = Authz::start().await;
    let token = authz.token();
    for _ in 0..3 {
        authz.ask_with(&token).await.expect(200, "allowed");
    }
    let (_, metrics) = authz.get("/metrics").await;
    assert!(metrics.contains("authz_cache_hits_total{cache=\"tokens\"} 2"), "{metrics}");
    assert!(metrics.contains("authz_cache_misses_total{cache=\"tokens\"} 1"), "{metrics}");
    // One byte of the signature changed: another token, not the remembered one.
    let forged = format!("{}A", &token[..token.len() - 1]);
    let forged = if forged == token { format!("{}Q", &token[..token.len() - 1]) } else { forged };
    assert_eq!(authz.ask_with(&forged).await.status, 401);
    authz.clock.advance_seconds(20_000);
    authz.ask_with(&token).await.expect(401, "token_expired");
}
