//! Arbitrary bytes as a token, and arbitrary headers and claims under a good signature: no panic, no unsigned claim is
//! accepted, and accepted claims are what an independent parser reads in the same text.
#![no_main]

use std::sync::LazyLock;

use authz_service::credential::keys::KeySet;
use authz_service::credential::token::{SignedClaims, Unverified};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::UnixTime;
use edge_config::edge::Issuer;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

#[path = "../edge.rs"]
mod edge;

const HEADER: &[u8] = br#"{"typ":"at+jwt","alg":"EdDSA","kid":"k"}"#;

struct Fixed {
    pair: Ed25519KeyPair,
    keys: KeySet,
    rules: Issuer,
}

static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let pair = edge::session_key();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k", "x": x });
    let keys = KeySet::from_json(json!({ "keys": [jwk] }).to_string().as_bytes()).expect("a JWK set");
    let rules = edge::edge().sessions.as_ref().and_then(|s| s.issuers.first()).expect("one issuer").clone();
    Fixed { pair, keys, rules }
});

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Raw(&'a [u8]),
    /// `None` stands for the usual header.
    Signed(Option<&'a [u8]>, &'a [u8]),
    /// Good claims with these texts as subject, session and tenant.
    Ids([&'a str; 3]),
}

fuzz_target!(|input: Input<'_>| {
    let fixed = &*FIXED;
    match input {
        Input::Raw(token) => {
            let issuer = Unverified::read(token).and_then(|token| token.issuer());
            let verified = Unverified::read(token).and_then(|token| token.verify(&fixed.keys, &fixed.rules.claims));
            // Only who has the key can make one, and this program signs nothing here.
            assert!(verified.is_err(), "{issuer:?}");
        }
        Input::Signed(header, claims) => {
            let text = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
            let signed = format!("{}.{}", text(header.unwrap_or(HEADER)), text(claims));
            let signature = text(fixed.pair.sign(signed.as_bytes()).as_ref());
            let token = format!("{signed}.{signature}");
            let Ok(unverified) = Unverified::read(token.as_bytes()) else { return };
            if let Ok(verified) = unverified.verify(&fixed.keys, &fixed.rules.claims) {
                compare(&verified, header.unwrap_or(HEADER), claims, &fixed.rules);
            }
        }
        Input::Ids(ids) => accepts_ids(fixed, ids),
    }
});

/// A token is accepted when each of its ids is a text of 1 to 255 bytes without controls and without white space around it, and
/// the person has these very bytes.
fn accepts_ids(fixed: &Fixed, [subject, session, tenant]: [&str; 3]) {
    let claims = json!({
        "iss": fixed.rules.issuer, "aud": fixed.rules.audiences, "iat": edge::NOW, "exp": edge::NOW + 60, "role": 1,
        "sub": subject, "sid": session, "tenantId": tenant,
    });
    let text = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", text(HEADER), text(claims.to_string().as_bytes()));
    let token = format!("{signed}.{}", text(fixed.pair.sign(signed.as_bytes()).as_ref()));
    let is_id = |id: &&str| {
        (1..=255).contains(&id.len()) && id.trim() == *id && !id.chars().any(char::is_control)
    };
    let verified = Unverified::read(token.as_bytes())
        .and_then(|unverified| unverified.verify(&fixed.keys, &fixed.rules.claims));
    assert_eq!(verified.is_ok(), [subject, session, tenant].iter().all(is_id), "{claims}");
    let Ok(verified) = verified else { return };
    let person = verified.check(&fixed.rules, UnixTime::from_seconds(edge::NOW)).expect("a token in its time");
    let texts = [
        Some(person.subject.to_string()),
        person.session.as_ref().map(ToString::to_string),
        person.tenant.as_ref().map(ToString::to_string),
    ];
    assert_eq!(texts.each_ref().map(Option::as_deref), [Some(subject), Some(session), Some(tenant)]);
}

/// The whole seconds of a time.
fn seconds(time: &Value) -> Option<u64> {
    time.as_u64().or_else(|| time.as_f64().map(|time| time.floor() as u64))
}

/// What was verified against what `serde_json` finds when it reads the same bytes as a plain value.
fn compare(verified: &SignedClaims, header: &[u8], claims: &[u8], rules: &Issuer) {
    let header: Value = serde_json::from_slice(header).expect("a verified header is JSON");
    assert!(matches!(header["alg"].as_str(), Some("EdDSA" | "Ed25519")));
    assert!(header["kid"].is_null() || header["kid"] == "k");
    assert!(header["crit"].is_null() && header["enc"].is_null());
    let claims: Value = serde_json::from_slice(claims).expect("verified claims are JSON");
    assert_eq!(Some(verified.issuer()), claims["iss"].as_str());
    assert_eq!(verified.issued(), seconds(&claims["iat"]).unwrap_or(0));
    for moment in [0, edge::NOW, u64::MAX / 1_000] {
        let now = UnixTime::from_seconds(moment);
        let Ok(person) = verified.check(rules, now) else { continue };
        let is = |name: &str, id: String| {
            let said = claims[name].as_str().expect("a text");
            // Any text of 1 to 255 bytes without controls is an id, compared as bytes; a UUID in any case is one id.
            assert!((1..=255).contains(&said.len()) && !said.chars().any(char::is_control), "{name}: {said:?}");
            assert!(id == said || (said.len() == 36 && id == said.to_ascii_lowercase()), "{name}: {said:?}, {id:?}");
        };
        is("sub", person.subject.to_string());
        is("sid", person.session.as_ref().expect("it is required").to_string());
        is("tenantId", person.tenant.as_ref().expect("it is required").to_string());
        assert_eq!(claims["role"].as_u64(), person.role.map(|role| u64::from(role.0)));
        assert!(rules.token_types.accept(header["typ"].as_str()));
        assert_eq!(claims["iss"].as_str(), Some(rules.issuer.as_str()));
        let mine = |audience: &Value| rules.audiences.iter().any(|one| audience == one);
        assert!(mine(&claims["aud"]) || claims["aud"].as_array().is_some_and(|all| all.iter().any(mine)));
        let expires = seconds(&claims["exp"]).expect("a number");
        assert!(moment <= expires.saturating_add(rules.leeway.as_secs()));
    }
}
