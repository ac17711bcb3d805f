//! Arbitrary bytes as a token, and arbitrary headers and claims under a good signature: no panic, nothing that
//! nobody signed is believed, and what is believed is what an independent parser reads in the same claims.
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
}

fuzz_target!(|input: Input<'_>| {
    let fixed = &*FIXED;
    match input {
        Input::Raw(token) => {
            let issuer = Unverified::read(token).and_then(|token| token.issuer());
            let believed = Unverified::read(token).and_then(|token| token.verify(&fixed.keys));
            // Only who has the key can make one, and this program signs nothing here.
            assert!(believed.is_err(), "{issuer:?}");
        }
        Input::Signed(header, claims) => {
            let text = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
            let signed = format!("{}.{}", text(header.unwrap_or(HEADER)), text(claims));
            let signature = text(fixed.pair.sign(signed.as_bytes()).as_ref());
            let token = format!("{signed}.{signature}");
            let Ok(unverified) = Unverified::read(token.as_bytes()) else { return };
            if let Ok(believed) = unverified.verify(&fixed.keys) {
                compare(&believed, header.unwrap_or(HEADER), claims, &fixed.rules);
            }
        }
    }
});

/// What was believed against what `serde_json` finds when it reads the same bytes as a plain value.
fn compare(believed: &SignedClaims, header: &[u8], claims: &[u8], rules: &Issuer) {
    let header: Value = serde_json::from_slice(header).expect("a believed header is JSON");
    assert_eq!((&header["alg"], &header["kid"]), (&json!("EdDSA"), &json!("k")));
    assert_eq!(header.as_object().map(serde_json::Map::len), Some(3), "and has nothing else");
    let claims: Value = serde_json::from_slice(claims).expect("believed claims are JSON");
    assert_eq!(Some(believed.issuer()), claims["iss"].as_str());
    assert_eq!(Some(believed.issued()), claims["iat"].as_u64());
    for seconds in [0, edge::NOW, u64::MAX / 1_000] {
        let now = UnixTime::from_seconds(seconds);
        let Ok(person) = believed.check(rules, now) else { continue };
        let is = |name: &str, id: String| {
            let said = claims[name].as_str().map(str::to_ascii_lowercase);
            assert_eq!(said, Some(id), "{name}");
        };
        is("sub", person.subject.to_string());
        is("sid", person.session.to_string());
        is("tenantId", person.tenant.to_string());
        assert_eq!(claims["role"].as_u64(), Some(u64::from(person.role.0)));
        assert_eq!(header["typ"].as_str(), Some(rules.token_type.as_str()));
        assert_eq!(claims["iss"].as_str(), Some(rules.issuer.as_str()));
        let audience = claims["aud"].as_str().or_else(|| claims["aud"][0].as_str());
        assert!(audience.is_some_and(|audience| rules.audiences.iter().any(|one| one == audience)));
        let expires = claims["exp"].as_u64().expect("a number");
        assert!(seconds <= expires.saturating_add(rules.leeway.as_secs()));
    }
}
