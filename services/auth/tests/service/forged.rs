//! Forged and foreign tokens. Refresh and logout must refuse them, because only this service verifies tokens
//! there.

use std::path::Path;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kit::testing::TestHome;
use serde_json::{Value, json};

use crate::app::{Answer, Pair, TestApp, claims};

struct Forger {
    key: EncodingKey,
    header: Header,
}

impl Forger {
    /// Signs with the key in `key`, under the `kid` of the token `genuine`.
    fn new(key: &Path, genuine: &str) -> Self {
        let header = jsonwebtoken::decode_header(genuine).unwrap();
        Self { key: EncodingKey::from_ec_pem(&std::fs::read(key).unwrap()).unwrap(), header }
    }

    fn sign(&self, typ: Option<&str>, claims: &Value) -> String {
        let header = Header { typ: typ.map(str::to_owned), ..self.header.clone() };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_forged_refresh_token_neither_refreshes_nor_signs_out() {
    let app = TestApp::new().await;
    let pair = app.login("demo@example.com").await;
    let ours = Forger::new(&app.home.key("session.pem"), &pair.refresh);
    let theirs = Forger::new(&TestHome::new().key("session.pem"), &pair.refresh);
    let genuine = claims(&pair.refresh);
    let now = app.now();

    let parts: Vec<&str> = pair.refresh.split('.').collect();
    let secret = EncodingKey::from_secret(&std::fs::read(app.home.key("session.jwks.json")).unwrap());
    let mut symmetric = Header::new(Algorithm::HS256);
    symmetric.typ = Some("rt+jwt".to_owned());
    symmetric.kid.clone_from(&ours.header.kid);

    let forged = [
        ("another key", theirs.sign(Some("rt+jwt"), &genuine)),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("HS256 with the public key", jsonwebtoken::encode(&symmetric, &genuine, &secret).unwrap()),
        ("of another type", ours.sign(Some("at+jwt"), &genuine)),
        ("of no type", ours.sign(None, &genuine)),
        (
            "for the API",
            ours.sign(Some("rt+jwt"), &with(&genuine, "aud", json!("https://api.dev-domain.test"))),
        ),
        ("an audience list", ours.sign(Some("rt+jwt"), &with(&genuine, "aud", json!([genuine["aud"]])))),
        ("of another issuer", ours.sign(Some("rt+jwt"), &with(&genuine, "iss", json!("https://elsewhere")))),
        ("exp as text", ours.sign(Some("rt+jwt"), &with(&genuine, "exp", json!((now + 60).to_string())))),
        ("exp as a fraction", ours.sign(Some("rt+jwt"), &with(&genuine, "exp", json!(1.8e9)))),
        ("exp below zero", ours.sign(Some("rt+jwt"), &with(&genuine, "exp", json!(-1)))),
        ("no session", ours.sign(Some("rt+jwt"), &with(&genuine, "sid", Value::Null))),
        ("far too long", format!("{}{}", pair.refresh, "A".repeat(16_384))),
    ];
    for (what, refresh) in forged {
        let cookie = format!("madome_access_token={}; madome_refresh_token={refresh}", pair.access);
        let answer = app.call("PATCH /auth/token", &[("cookie", &cookie)], "").await;
        assert_eq!(answer, Answer::text(401, "Unauthorized"), "{what}");
        let alone = format!("madome_refresh_token={refresh}");
        let answer = app.call("DELETE /auth/token", &[("cookie", &alone)], "").await;
        assert_eq!(answer, Answer::text(401, "Invalid token"), "{what}");
    }
    // A genuine signature over a `jti` that this session never had.
    let stranger = with(&genuine, "jti", json!("00000000-0000-4000-8000-000000000000"));
    let stranger = Pair { access: pair.access.clone(), refresh: ours.sign(Some("rt+jwt"), &stranger) };
    assert_eq!(app.refresh(&stranger).await, Answer::text(401, "Unauthorized"));
    assert_eq!(app.check(&pair, "").await.status, 200, "and none of that has harmed the session");
    assert!(app.revoked().is_empty());
}
