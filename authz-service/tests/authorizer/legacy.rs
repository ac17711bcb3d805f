//! Sessions that the legacy opened: in a real Redis, and asked of the real legacy sample.

mod over_tls;
mod sample;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use harness::{Port, Redis, Signal};
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use self::sample::Sample;
use crate::kit::check::{Answer, Check};
use crate::kit::mint::part;
use crate::kit::{Authz, COOKIE, Home, NOW, TENANT, eventually, pause_async};

const SESSION: &str = "0192d3c0-0000-4000-8000-0000000000cc";
const USER: &str = "00000000-0000-7000-8000-0000000000d0";
/// SHA-512 in base64 without padding, as the legacy draws it.
pub(crate) const KEY: &str =
    "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kA";

/// The test edge with a legacy behind `verify`, in the cookie `cookie`.
pub(crate) fn with_legacy(cookie: &str, verify: &str) -> impl Fn(String) -> String + use<> {
    let section =
        format!("legacy_sessions: {{ cookie: {cookie}, tenant: {TENANT}, role: 1, verify: {verify} }}\n");
    move |edge: String| {
        // Machines that run tests are busy: patience is not what is tested here.
        edge.replace("timeout_ms: 200", "timeout_ms: 10000")
            .replace("services:\n  auth", &format!("{section}services:\n  auth"))
            .replace(
                "policies:\n",
                "policies:\n  old: { kind: session, accept: [legacy-session] }\n  both: { kind: session, accept: [session, legacy-session] }\n",
            )
            .replace(
                "routes:\n",
                "routes:\n  - { name: old, host: api, prefix: /old, policy: old, to: legacy, answers: users }\n  - { name: both, host: api, prefix: /both, policy: both, to: legacy, answers: users }\n",
            )
    }
}

fn check(authz: &Authz, route: &str) -> Check {
    authz.check("me").extension("route", route).extension("policy", route)
}

async fn ask(authz: &Authz, route: &str, token: &str) -> Answer {
    authz.ask(check(authz, route).session(token)).await
}

pub(crate) fn token(claims: &Value, key: &str) -> String {
    let signed = format!("{}.{}", part(r#"{"typ":"JWT","alg":"HS256"}"#), part(claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", part(tag))
}

pub(crate) fn claims() -> Value {
    json!({
        "sub": "acme access token", "iss": "acme.app", "iat": NOW - 10, "exp": NOW + 14_390, "id": SESSION,
        "user_id": USER, "_a": true,
    })
}

pub(crate) fn store(redis: &Redis, timeout_ms: u64) -> String {
    format!("{{ redis: {{ url: \"{}\", key_prefix: \"s:\", timeout_ms: {timeout_ms} }} }}", redis.url())
}

pub(crate) async fn connect(redis: &Redis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = connection.set(format!("s:{SESSION}"), KEY).await.unwrap();
    connection
}

#[tokio::test]
async fn a_session_lives_as_long_as_its_key_in_redis() {
    let redis = Redis::start();
    let mut keys = connect(&redis).await;
    let authz = Authz::start_with(Home::new(), with_legacy("access_token", &store(&redis, 5_000))).await;
    let good = token(&claims(), KEY);
    let answer = ask(&authz, "old", &good).await;
    answer.expect(200, "allowed");
    for (name, value) in
        [("x-auth-subject", USER), ("x-auth-session", SESSION), ("x-auth-role", "1"), ("x-tenant-id", TENANT)]
    {
        assert_eq!(answer.headers[name], value, "{name}");
    }
    assert!(answer.headers.contains_key("x-auth-identity"));

    // The same cookie holds new sessions and old ones: each goes to whom it belongs.
    ask(&authz, "both", &good).await.expect(200, "allowed");
    ask(&authz, "both", &authz.token()).await.expect(200, "allowed");
    ask(&authz, "both", "x").await.expect(401, "token_malformed");
    authz.ask_with(&good).await.expect(401, "token_wrong_algorithm");
    ask(&authz, "old", &authz.token()).await.expect(401, "legacy_malformed");
    // The legacy never read this header.
    authz.ask(check(&authz, "old").bearer(&good)).await.expect(401, "no_credential");
    // Two cookie lines that disagree, and a session beside another person's.
    let twice = check(&authz, "old").session(&good).session("x");
    authz.ask(twice).await.expect(401, "ambiguous_credential");
    authz
        .ask(check(&authz, "both").session(&good).bearer(&authz.token()))
        .await
        .expect(401, "ambiguous_credential");

    let with = |changes: Value| {
        let mut all = claims();
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        all
    };
    for (what, token, reason) in [
        ("58 s past exp", token(&with(json!({"exp": NOW - 58})), KEY), "allowed"),
        ("62 s past exp", token(&with(json!({"exp": NOW - 62})), KEY), "legacy_expired"),
        ("a float", token(&with(json!({"exp": 1.5})), KEY), "legacy_wrong_claims"),
        ("another session", token(&with(json!({"id": USER})), KEY), "legacy_unknown_session"),
        ("another key", token(&claims(), &KEY.to_lowercase()), "legacy_bad_signature"),
        ("a path for an id", token(&with(json!({"id": "../../x"})), KEY), "legacy_malformed"),
        ("5 KB", format!("{}{}", good, "a".repeat(5_000)), "legacy_malformed"),
    ] {
        assert_eq!(ask(&authz, "old", &token).await.reason, reason, "{what}");
    }

    let _: () = keys.del(format!("s:{SESSION}")).await.unwrap();
    ask(&authz, "old", &good).await.expect(401, "legacy_unknown_session");
}

#[tokio::test]
async fn a_redis_that_is_wrong_frozen_or_gone_is_503_and_never_401() {
    let mut redis = Redis::start();
    let mut keys = connect(&redis).await;
    let authz = Authz::start_with(Home::new(), with_legacy("old_token", &store(&redis, 300))).await;
    let good = token(&claims(), KEY);
    let ask = || authz.ask(check(&authz, "old").cookie_line(format!("old_token={good}")));
    let works = || async { ask().await.is(200, "allowed") };
    eventually("it works", works).await;

    let _: () = keys.del(format!("s:{SESSION}")).await.unwrap();
    let _: () = keys.hset(format!("s:{SESSION}"), "wrong", "type").await.unwrap();
    ask().await.expect(503, "legacy_unavailable");
    let _: () = keys.del(format!("s:{SESSION}")).await.unwrap();
    let _: () = keys.set(format!("s:{SESSION}"), KEY).await.unwrap();
    eventually("it works again", works).await;

    redis.process().signal(Signal::Stop);
    ask().await.expect(503, "legacy_unavailable");
    // Sessions of the platform do not depend on it.
    authz.ask_with(&authz.token()).await.expect(200, "allowed");
    redis.process().signal(Signal::Continue);
    eventually("it works after a pause", works).await;

    redis.process().signal(Signal::Kill);
    redis.process().wait(Duration::from_secs(20));
    ask().await.expect(503, "legacy_unavailable");
    assert_eq!(
        authz.get("/readyz").await.0,
        200,
        "the legacy backend's store does not make the replica unready"
    );
    redis.restart();
    let _keys = connect(&redis).await;
    eventually("it works after a restart", works).await;
}

/// Answers as the test says, counts, and can hold answers back.
#[derive(Clone)]
pub(crate) struct Legacy {
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    /// Milliseconds that each answer takes.
    pace: Arc<AtomicU64>,
}

impl Legacy {
    pub(crate) async fn start() -> (Self, SocketAddr) {
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::default());
        let legacy = Self { status, asked, gate, pace: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/auth/token", get(Self::check)).with_state(legacy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (legacy, address)
    }

    async fn check(State(legacy): State<Self>, headers: HeaderMap) -> (StatusCode, String) {
        legacy.asked.fetch_add(1, Ordering::SeqCst);
        let _permit = legacy.gate.acquire().await.unwrap();
        pause_async(Duration::from_millis(legacy.pace.load(Ordering::SeqCst)), "as slow as the test says")
            .await;
        let status = legacy.status.load(Ordering::SeqCst);
        let good =
            headers.get("cookie").is_some_and(|cookie| cookie.as_bytes().starts_with(b"old_token=good"));
        let lines = headers.get_all("cookie").iter().count();
        assert_eq!((lines, headers.get("authorization")), (1, None), "the cookie and nothing else");
        match status {
            200 if good => (StatusCode::OK, json!({ "user_id": USER, "user_role": 2 }).to_string()),
            // Every cookie is of a living session.
            299 => (StatusCode::OK, json!({ "user_id": USER }).to_string()),
            200 => (StatusCode::UNAUTHORIZED, "Unauthorized".to_owned()),
            201 => (StatusCode::OK, "rubbish".to_owned()),
            202 => (StatusCode::OK, json!({ "user_id": "not a uuid" }).to_string()),
            203 => (StatusCode::OK, " ".repeat(100_000)),
            other => (StatusCode::from_u16(other).unwrap(), String::new()),
        }
    }

    pub(crate) fn takes(&self, millis: u64) {
        self.pace.store(millis, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

pub(crate) fn checked(address: SocketAddr, cache_ms: u64, timeout_ms: u64) -> impl Fn(String) -> String {
    let verify = format!(
        "{{ check: {{ backend: legacy, path: /auth/token, cache_ms: {cache_ms}, timeout_ms: {timeout_ms} }} }}"
    );
    let edit = with_legacy("old_token", &verify);
    move |edge| {
        edit(edge.replace(
            "legacy: { address: \"127.0.0.1:3000\" }",
            &format!("legacy: {{ address: \"{address}\" }}"),
        ))
    }
}

#[tokio::test]
async fn the_legacy_is_queried_once_for_each_session_and_moment() {
    let (legacy, address) = Legacy::start().await;
    let authz = Authz::start_with(Home::new(), checked(address, 5_000, 9_000)).await;
    let question = |value: &str| check(&authz, "old").cookie_line(format!("x=1; old_token={value}"));
    // Forty requests at once, held back until all are on their way.
    legacy.gate.forget_permits(Semaphore::MAX_PERMITS);
    let all = futures_util::future::join_all((0..40).map(|_| authz.ask(question("good"))));
    let release = async {
        eventually("it was asked", || async { legacy.asked() > 0 }).await;
        legacy.gate.add_permits(1_000);
    };
    let (answers, ()) = tokio::join!(all, release);
    for answer in &answers {
        answer.expect(200, "allowed");
        assert_eq!(answer.headers["x-auth-subject"], USER);
        assert_eq!(answer.headers["x-auth-role"], "2", "the legacy's word on the role counts");
    }
    assert_eq!(legacy.asked(), 1, "one question for forty requests");

    authz.ask(question("bad")).await.expect(401, "legacy_refused");
    for malformed in ["", "a b", "a\"b", "a,b", "a\\b", "\u{e9}"] {
        authz.ask(question(malformed)).await.expect(401, "legacy_malformed");
    }
    assert_eq!(legacy.asked(), 2, "what cannot be a cookie is not asked about");
}

/// Has all sessions of the person ended that began before second `before`, and waits until `ended` is refused.
async fn end_all(authz: &Authz, before: u64, ended: impl AsyncFn() -> Answer) {
    let line = json!({ "sub": USER, "before": before, "until": NOW + 100_000 });
    std::fs::write(authz.home.at("revoked.jsonl"), format!("{line}\n")).unwrap();
    eventually("the end is known", || async { ended().await.is(401, "session_revoked") }).await;
}

/// A session with this id whose token was issued at `iat`; without a time when `iat` is null.
fn issued(id: &str, iat: Value) -> String {
    let mut all = claims();
    all.as_object_mut().unwrap().extend([("id".to_owned(), json!(id)), ("iat".to_owned(), iat)]);
    token(&all, KEY)
}

#[tokio::test]
async fn all_sessions_of_a_person_are_those_that_began_before() {
    let redis = Redis::start();
    let mut keys = connect(&redis).await;
    let later = "0192d3c0-0000-4000-8000-0000000000dd";
    let _: () = keys.set(format!("s:{later}"), KEY).await.unwrap();
    let authz = Authz::start_with(Home::new(), with_legacy("old_token", &store(&redis, 5_000))).await;
    let by_store =
        async |token: String| authz.ask(check(&authz, "old").cookie_line(format!("old_token={token}"))).await;
    by_store(issued(SESSION, json!(NOW - 10))).await.expect(200, "allowed");
    end_all(&authz, NOW - 5, async || by_store(issued(SESSION, json!(NOW - 10))).await).await;
    by_store(issued(later, json!(NOW - 5))).await.expect(200, "allowed");
    // A token that does not say when it was issued is older than every call.
    for timeless in [json!(null), json!("9999999999"), json!(1.5), json!(-1)] {
        by_store(issued(later, timeless)).await.expect(401, "session_revoked");
    }
    // No client can write a time: the signature covers it.
    let (ended, young) = (issued(SESSION, json!(NOW - 10)), issued(SESSION, json!(NOW)));
    let (_, signature) = ended.rsplit_once('.').unwrap();
    let (claims, _) = young.rsplit_once('.').unwrap();
    by_store(format!("{claims}.{signature}")).await.expect(401, "legacy_bad_signature");
}

#[tokio::test]
async fn the_time_of_a_session_that_the_legacy_backend_confirmed_counts_too() {
    let (legacy, address) = Legacy::start().await;
    legacy.status.store(299, Ordering::SeqCst);
    let authz = Authz::start_with(Home::new(), checked(address, 0, 9_000)).await;
    let by_check =
        async |token: String| authz.ask(check(&authz, "old").cookie_line(format!("old_token={token}"))).await;
    end_all(&authz, NOW - 5, async || by_check(issued(SESSION, json!(NOW - 10))).await).await;
    by_check(issued(SESSION, json!(NOW - 5))).await.expect(200, "allowed");
    // A token of another form says nothing that the legacy backend has signed.
    let signed = issued(SESSION, json!(NOW));
    let (_, rest) = signed.split_once('.').unwrap();
    by_check(format!("{}.{rest}", part(r#"{"alg":"none"}"#))).await.expect(401, "session_revoked");
    by_check("good".to_owned()).await.expect(401, "session_revoked");
}

#[tokio::test]
async fn without_a_cache_a_logout_counts_at_once_and_an_invalid_answer_is_503() {
    let (legacy, address) = Legacy::start().await;
    let authz = Authz::start_with(Home::new(), checked(address, 0, 9_000)).await;
    let ask = || authz.ask(check(&authz, "old").cookie_line("old_token=good"));
    ask().await.expect(200, "allowed");
    for (status, expected, reason) in [
        (401, 401, "legacy_refused"),
        (403, 401, "legacy_refused"),
        (200, 200, "allowed"),
        (201, 503, "legacy_unavailable"),
        (202, 503, "legacy_unavailable"),
        (203, 503, "legacy_unavailable"),
        (204, 503, "legacy_unavailable"),
        (302, 503, "legacy_unavailable"),
        (404, 503, "legacy_unavailable"),
        (429, 503, "legacy_unavailable"),
        (500, 503, "legacy_unavailable"),
        (503, 503, "legacy_unavailable"),
    ] {
        legacy.status.store(status, Ordering::SeqCst);
        let answer = ask().await;
        assert_eq!((answer.status, answer.reason.as_str()), (expected, reason), "{status}");
    }
}

#[tokio::test]
async fn a_legacy_that_hangs_or_is_gone_is_503_and_is_used_again_when_it_is_back() {
    let (legacy, address) = Legacy::start().await;
    let authz = Authz::start_with(Home::new(), checked(address, 5_000, 300)).await;
    let ask = || authz.ask(check(&authz, "old").cookie_line("old_token=good"));
    legacy.gate.forget_permits(Semaphore::MAX_PERMITS);
    ask().await.expect(503, "legacy_unavailable");
    legacy.gate.add_permits(1_000);
    // A failure is not remembered.
    eventually("it is back", || async { ask().await.is(200, "allowed") }).await;

    let closed = Port::lease();
    let authz = Authz::start_with(Home::new(), checked(closed.address(), 5_000, 300)).await;
    let answer = authz.ask(check(&authz, "old").cookie_line("old_token=good")).await;
    answer.expect(503, "legacy_unavailable");
}

#[tokio::test]
async fn the_legacys_own_sessions_pass_until_it_ends_them() {
    let sample = Sample::start();
    let verify = "{ check: { backend: legacy, path: /auth/token, cache_ms: 0, timeout_ms: 9000 } }";
    // Sessions of both kinds are in the cookie of the legacy sample.
    let (name, token) = sample.sign_in().await;
    let edit = with_legacy(&name, verify);
    let (address, sessions) = (sample.address(), format!("cookie: {name}"));
    let edit = move |edge: String| {
        let moved = edge.replace("127.0.0.1:3000", &address.to_string());
        edit(moved.replace(&format!("cookie: {COOKIE}"), &sessions))
    };
    let authz = Authz::start_with(Home::new(), edit).await;
    let ask = async |token: &str| {
        authz.ask(check(&authz, "both").header("cookie", format!("{name}={token}"))).await
    };
    let answer = ask(&token).await;
    answer.expect(200, "allowed");
    assert_eq!(answer.headers["x-auth-subject"], USER);
    assert_eq!(answer.headers["x-tenant-id"], TENANT);
    let claims = token.split('.').nth(1).unwrap();
    use base64::Engine as _;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(answer.headers["x-auth-session"], claims["id"].as_str().unwrap());
    // New sessions pass beside it, in the same cookie.
    ask(&authz.token()).await.expect(200, "allowed");
    let (signed, _) = token.rsplit_once('.').unwrap();
    ask(&format!("{signed}.{}", part("x".repeat(32)))).await.expect(401, "legacy_refused");

    sample.sign_out(&format!("{name}={token}")).await;
    ask(&token).await.expect(401, "legacy_refused");
    // The legacy is not asked about new sessions.
    let metrics = authz.get("/metrics").await.1;
    for (outcome, count) in [("found", 1), ("refused", 2), ("unavailable", 0), ("crowded", 0)] {
        let line = format!("authz_legacy_questions_total{{outcome=\"{outcome}\"}} {count}");
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
}
