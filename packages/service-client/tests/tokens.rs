//! Tokens are got once, kept, and renewed in time, against a server that counts.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::Ed25519KeyPair;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use clock::{ManualClock, UnixTime};
use identity::assertion::Signer;
use identity::{Caller, ServiceName};
use service_client::{Account, Callers, NotACaller, TokenError, Tokens};

#[derive(Clone, Default)]
struct Server {
    asked: Arc<AtomicUsize>,
    failing: Arc<AtomicU16>,
    forms: Arc<Mutex<Vec<String>>>,
}

async fn grant(State(server): State<Server>, body: String) -> Response {
    let count = server.asked.fetch_add(1, Ordering::SeqCst) + 1;
    server.forms.lock().unwrap().push(body);
    match server.failing.load(Ordering::SeqCst) {
        0 => format!("{{\"access_token\":\"t{count}\",\"token_type\":\"Bearer\",\"expires_in\":600}}")
            .into_response(),
        status => StatusCode::from_u16(status).unwrap().into_response(),
    }
}

struct Fixture {
    server: Server,
    clock: ManualClock,
    tokens: Tokens,
    directory: tempfile::TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let server = Server::default();
        let echo = |headers: axum::http::HeaderMap| async move {
            headers["authorization"].to_str().unwrap().to_owned()
        };
        let router = Router::new()
            .route("/_/auth/service-token", post(grant))
            .route("/_/echo", get(echo))
            .with_state(server.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let edge_url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("me.pem");
        let pair = Ed25519KeyPair::generate().unwrap();
        let der = base64::engine::general_purpose::STANDARD.encode(pair.to_pkcs8v1().unwrap().as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
        secret_file::write(&key, pem.as_bytes()).unwrap();
        let clock = ManualClock::at(UnixTime::from_seconds(1_800_000_000));
        let account = Account {
            name: "reports".parse().unwrap(),
            key,
            issuer: "https://auth.test".to_owned(),
            edge_url,
            tenant: Some("00000000-0000-7000-8000-000000000001".parse().unwrap()),
        };
        let tokens = Tokens::new(&account, Arc::new(clock.clone())).unwrap();
        Self { server, clock, tokens, directory }
    }

    fn asked(&self) -> usize {
        self.server.asked.load(Ordering::SeqCst)
    }

    async fn token(&self) -> String {
        self.tokens.token().await.unwrap().to_string()
    }
}

#[tokio::test]
async fn one_token_serves_all_requests_until_it_is_renewed() {
    let f = Fixture::start().await;
    let callers: Vec<_> = (0..20)
        .map(|_| {
            tokio::spawn({
                let tokens = f.tokens.clone();
                async move { tokens.token().await }
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(&*caller.await.unwrap().unwrap(), "t1");
    }
    assert_eq!(f.asked(), 1);
    f.clock.advance_seconds(359);
    assert_eq!(f.token().await, "t1", "before three fifths of its life");
    f.clock.advance_seconds(122);
    assert_eq!(f.token().await, "t2", "after four fifths of its life");
    assert_eq!(
        f.tokens.get("/_/echo").await.unwrap().send().await.unwrap().text().await.unwrap(),
        "Bearer t2"
    );
    let forms = f.server.forms.lock().unwrap().clone();
    assert!(forms[0].contains("grant_type=client_credentials") && forms[0] != forms[1], "{forms:?}");
    assert!(forms[0].contains("tenant_id=00000000-0000-7000-8000-000000000001"), "{forms:?}");
}

#[tokio::test]
async fn while_renewal_fails_the_old_token_serves_and_no_request_storms() {
    let f = Fixture::start().await;
    assert_eq!(f.token().await, "t1");
    f.server.failing.store(503, Ordering::SeqCst);
    f.clock.advance_seconds(500);
    for _ in 0..10 {
        assert_eq!(f.token().await, "t1");
    }
    assert_eq!(f.asked(), 2, "a failure is not repeated within a second");
    f.clock.advance_seconds(89);
    assert_eq!(f.token().await, "t1");
    assert_eq!(f.asked(), 3);
    f.clock.advance_seconds(1);
    assert!(matches!(f.tokens.token().await, Err(TokenError::Refused(503))), "ten seconds before its end");
    assert!(f.tokens.token().await.is_err());
    let asked = f.asked();
    assert!(f.tokens.token().await.is_err());
    assert_eq!(f.asked(), asked, "failing callers do not storm either");
    f.server.failing.store(0, Ordering::SeqCst);
    f.clock.advance_seconds(1);
    assert!(f.token().await.starts_with('t'));
    assert!(!format!("{:?}", f.tokens).contains("t1"));
}

#[tokio::test]
async fn a_caller_must_be_the_one_the_edge_names_and_the_service_expects() {
    let f = Fixture::start().await;
    let pem = f.directory.path().join("me.pem");
    let jwks = f.directory.path().join("edge.jwks.json");
    let key = jsonwebtoken::EncodingKey::from_ed_pem(&std::fs::read(&pem).unwrap()).unwrap();
    let mut jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, jsonwebtoken::Algorithm::EdDSA).unwrap();
    jwk.common.key_id = Some(identity::assertion::key_id(&jwk).unwrap());
    std::fs::write(&jwks, serde_json::to_vec(&jsonwebtoken::jwk::JwkSet { keys: vec![jwk] }).unwrap())
        .unwrap();
    let name = |text: &str| text.parse::<ServiceName>().unwrap();
    let callers = Callers::new("reports", "dev", &jwks, vec![name("auth")]).unwrap();
    let now = UnixTime::from_seconds(1_800_000_000);
    let sign = |issuer: &str, who: &str, audience: &str| {
        Signer::from_file(issuer, &pem)
            .unwrap()
            .sign(&Caller::Service(name(who).into()), audience, now)
            .unwrap()
    };
    let good = sign("dev", "auth", "reports");
    assert_eq!(callers.caller([good.as_bytes()], now), Ok(name("auth").into()));
    assert_eq!(callers.caller([], now), Err(NotACaller::NotOne));
    assert_eq!(callers.caller([good.as_bytes(), good.as_bytes()], now), Err(NotACaller::NotOne));
    assert_eq!(
        callers.caller([sign("dev", "users", "reports").as_bytes()], now),
        Err(NotACaller::Unexpected)
    );
    for bad in [sign("dev", "auth", "users"), sign("prod", "auth", "reports"), "x".to_owned()] {
        assert!(matches!(callers.caller([bad.as_bytes()], now), Err(NotACaller::Rejected(_))), "{bad}");
    }
}
