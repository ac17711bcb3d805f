//! Tokens with another header, another signature or another spelling than the issuer's.

use serde_json::{Value, json};

use crate::kit::Authz;
use crate::kit::mint::{Es256, claims, claims_with, part};

#[tokio::test]
async fn headers_that_are_not_ours() {
    let authz = Authz::start().await;
    let key = &authz.home.session;
    let kid = &key.kid;
    let claims = claims().to_string();
    let signed = |header: Value| key.sign(&header.to_string(), &claims);
    let with = |name: &str, value: Value| {
        let mut header = key.header();
        header[name] = value;
        signed(header)
    };
    let unsigned = |alg: &str| {
        let header = json!({ "typ": "at+jwt", "alg": alg, "kid": kid }).to_string();
        (part(header), part(&claims))
    };
    let mut cases: Vec<(String, String, &str)> = Vec::new();
    let mut case = |what: &str, token: String, code: &'static str| cases.push((what.to_owned(), token, code));

    // 1, 2: no algorithm, no signature.
    for alg in ["none", "None", "NONE", "nOnE"] {
        let (header, payload) = unsigned(alg);
        case(alg, format!("{header}.{payload}."), "token_malformed");
        case(alg, format!("{header}.{payload}.AAAA"), "token_wrong_algorithm");
    }
    let good = key.token(&serde_json::from_str(&claims).unwrap());
    let (head, _) = good.rsplit_once('.').unwrap();
    case("empty signature", format!("{head}."), "token_malformed");
    case("no last dot", head.to_owned(), "token_malformed");

    // 3, 4: a symmetric algorithm, keyed with what everybody knows.
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", part(key.public_point()));
    for (what, secret) in [("PEM", pem.into_bytes()), ("point", key.public_point()), ("blank", Vec::new())] {
        let (header, payload) = unsigned("HS256");
        let message = format!("{header}.{payload}");
        let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
        let tag = part(aws_lc_rs::hmac::sign(&hmac, message.as_bytes()));
        case(&format!("HS256 with the {what}"), format!("{message}.{tag}"), "token_wrong_algorithm");
    }
    for alg in ["es256", "ES256 ", "ES384", "RS256", "EdDSA", ""] {
        case(&format!("alg {alg:?}"), with("alg", json!(alg)), "token_wrong_algorithm");
    }

    // 5: odd key ids.
    for odd in ["../../../etc/passwd", "' OR 1=1 --", "a\0b", "", "SESSION-1"] {
        case(&format!("kid {odd:?}"), with("kid", json!(odd)), "token_unknown_key");
    }
    case("kid of 256 bytes", with("kid", json!("k".repeat(256))), "token_malformed");
    for odd in [json!(1), json!(null), json!([kid]), json!({ "a": 1 }), json!(true)] {
        case(&format!("kid {odd}"), with("kid", odd), "token_malformed");
    }

    // 6, 7, 11: whatever would bring its own key or its own rules.
    // What would change the meaning of the token; other members are ignored, see below.
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["x5t"])),
        ("b64", json!(false)),
        ("enc", json!("A256GCM")),
        ("typ", json!(1)),
    ] {
        case(&format!("{name} {value}"), with(name, value), "token_malformed");
    }

    // 12: a member twice, also when one of them is spelt with an escape.
    for header in [
        format!(r#"{{"typ":"at+jwt","alg":"none","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"ES256","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"x","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"ES256","\u0061lg":"none","kid":"{kid}"}}"#),
    ] {
        case("a member twice", key.sign(&header, &claims), "token_malformed");
    }

    // 16: other kinds of token.
    for typ in ["rt+jwt", "JWT", "identity+jwt", "text/at+jwt", ""] {
        case(&format!("typ {typ:?}"), with("typ", json!(typ)), "token_wrong_type");
    }
    case("no typ", signed(json!({ "alg": "ES256", "kid": kid })), "token_wrong_type");

    // 10, 19: other serialisations.
    case("JWE", format!("{good}.AAAA.AAAA"), "token_malformed");
    case("two dots more", format!("{good}.."), "token_malformed");
    case(
        "JSON",
        json!({ "protected": "a", "payload": "b", "signature": "c" }).to_string(),
        "token_malformed",
    );
    case("nested", key.sign(&key.header().to_string(), &good), "token_wrong_claims");
    case("empty", String::new(), "token_malformed");
    case("dots", "..".to_owned(), "token_malformed");

    for (what, token, code) in cases {
        let answer = authz.ask_with(&token).await;
        assert!(answer.is(401, code), "{what}: expected {code}, got {} {}", answer.status, answer.reason);
    }
    // 6, 7: keys and certificates in the token are ignored, never followed (contracts/harness/tests/credentials/tokens.rs).
    for (name, value) in [
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/cert")),
        ("jwk", Es256::generate("session-1").jwk()),
        ("x5c", json!(["AAAA"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("cty", json!("JWT")),
        ("b64", json!(true)),
        ("nonce", json!({ "a": [1] })),
        ("typ", json!("AT+JWT")),
        ("typ", json!("application/at+jwt")),
    ] {
        let answer = authz.ask_with(&with(name, value.clone())).await;
        assert!(answer.is(200, "allowed"), "{name} {value}: {} {}", answer.status, answer.reason);
    }
    let unnamed = signed(json!({ "typ": "at+jwt", "alg": "ES256" }));
    authz.ask_with(&unnamed).await.expect(200, "allowed");
    authz.ask_with(&good).await.expect(200, "allowed");
}

#[tokio::test]
async fn signatures_that_do_not_fit() {
    let authz = Authz::start().await;
    let good = authz.token();
    let (head, signature) = good.rsplit_once('.').unwrap();
    let bytes = base64_decode(signature);
    // 8, 9: zero, DER, too long, trailing zeros; and one bit.
    let der = [&[0x30, 0x44, 0x02, 0x20][..], &bytes[..32], &[0x02, 0x20], &bytes[32..]].concat();
    let mut flipped = bytes.clone();
    flipped[63] ^= 1;
    let negated = [vec![0xff; 32], bytes[32..].to_vec()].concat();
    for (what, signature) in [
        ("r=0,s=0", vec![0; 64]),
        ("r=0", [vec![0; 32], bytes[32..].to_vec()].concat()),
        ("r out of range", negated),
        ("DER", der),
        ("too long", [bytes.clone(), bytes.clone()].concat()),
        ("trailing zero", [bytes.clone(), vec![0]].concat()),
        ("too short", bytes[..63].to_vec()),
        ("one bit", flipped),
    ] {
        let answer = authz.ask_with(&format!("{head}.{}", part(signature))).await;
        assert!(answer.is(401, "token_bad_signature"), "{what}: {} {}", answer.status, answer.reason);
    }
    let stranger = Es256::generate("session-1");
    authz.ask_with(&stranger.token(&claims())).await.expect(401, "token_bad_signature");
    let unknown = Es256::generate("session-2");
    authz.ask_with(&unknown.token(&claims())).await.expect(401, "token_unknown_key");
    // Claims exchanged under a good signature.
    let other = part(claims_with(&json!({ "role": 2 })).to_string());
    let (header, _) = head.split_once('.').unwrap();
    authz.ask_with(&format!("{header}.{other}.{signature}")).await.expect(401, "token_bad_signature");
}

fn base64_decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[tokio::test]
async fn only_canonical_base64url() {
    let authz = Authz::start().await;
    let good = authz.token();
    let parts: Vec<&str> = good.split('.').collect();
    // 18: padding, the other alphabet, white space, bits left over.
    for index in 0..3 {
        let stray = {
            let mut text = parts[index].to_owned();
            let last = text.pop().unwrap();
            // 64 bytes leave four unused bits in the last character; setting one must not go unseen.
            text.push(if last == 'B' { 'C' } else { 'B' });
            text
        };
        for bad in [
            format!("{}=", parts[index]),
            format!("{}==", parts[index]),
            format!("{} ", parts[index]),
            format!(" {}", parts[index]),
            format!("{}\n", parts[index]),
            format!("{}+/", parts[index]),
            format!("{}\u{e9}", parts[index]),
            stray,
        ] {
            let mut all = parts.clone();
            all[index] = &bad;
            let answer = authz.ask_with(&all.join(".")).await;
            assert_eq!(answer.status, 401, "part {index} as {bad:?}: {}", answer.reason);
        }
    }
}
