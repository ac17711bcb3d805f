//! The exchange of the legacy backend's sessions: with a real Redis, and with the legacy sample itself.

use std::collections::BTreeSet;
use std::time::Duration;

use auth::settings::{Bounds, Legacy, LegacyWay, Settings};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use harness::{Redis, Signal};
use kit::generation::Surface;
use kit::testing::PrivatePostgres;
use redis::AsyncCommands as _;
use serde_json::{Value, json};

use crate::app::{Answer, BOT, DEMO, Pair, TestApp};

/// As the legacy backend draws it: SHA-512 in base64 without padding.
const KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kA";
const SESSION: &str = "0192d3c0-0000-4000-8000-0000000000cc";
const OTHER_SESSION: &str = "0192d3c0-0000-4000-8000-0000000000dd";

/// A service beside the legacy backend's Redis.
struct Beside {
    app: TestApp,
    redis: Redis,
}

fn legacy(redis: &Redis, timeout: Duration) -> Legacy {
    Legacy { way: LegacyWay::Redis { url: redis.url(), prefix: "s:".to_owned() }, timeout }
}

impl Beside {
    async fn new() -> Self {
        Self::on(None).await
    }

    async fn on(database_url: Option<String>) -> Self {
        let redis = Redis::start();
        let legacy = Some(legacy(&redis, Duration::from_secs(2)));
        let app = TestApp::with(|settings| Settings { database_url, legacy, ..settings }).await;
        let beside = Self { app, redis };
        beside.begin(SESSION, KEY).await;
        beside
    }

    async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.redis.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Begins a session as the legacy backend does.
    async fn begin(&self, session: &str, key: &str) {
        let _: () = self.redis().await.set(format!("s:{session}"), key).await.unwrap();
    }

    async fn names(&self) -> BTreeSet<String> {
        self.redis().await.keys("*").await.unwrap()
    }

    fn claims(&self, marker: &str, life: u64) -> Value {
        let now = self.app.now();
        json!({
            "sub": "madome token", "iss": "madome.app", "iat": now, "exp": now + life, "id": SESSION,
            "user_id": DEMO, marker: true,
        })
    }

    /// The pair of the session, with changed claims.
    fn pair_with(&self, access: &Value, refresh: &Value) -> Pair {
        let merged = |mut claims: Value, changes: &Value| {
            claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            token(&claims, KEY)
        };
        Pair {
            access: merged(self.claims("_a", 14_400), access),
            refresh: merged(self.claims("_r", 604_800), refresh),
        }
    }

    fn pair(&self) -> Pair {
        self.pair_with(&json!({}), &json!({}))
    }
}

pub(crate) fn token(claims: &Value, key: &str) -> String {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let signed =
        format!("{}.{}", part(r#"{"typ":"JWT","alg":"HS256"}"#.to_owned()), part(claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn unauthorized() -> Answer {
    Answer::text(401, "Unauthorized")
}

#[tokio::test]
async fn a_living_legacy_pair_becomes_a_session_of_this_service_once() {
    let beside = Beside::new().await;
    let app = &beside.app;
    let old = beside.pair();
    // The access token may be of any age.
    app.clock.advance_seconds(6 * 86_400);
    app.people.set("demo@example.com", DEMO, 1);
    let answer = app.refresh(&old).await;
    assert_eq!((answer.status, answer.body.as_str()), (201, ""));
    let new = answer.pair();
    assert_eq!((new.claim("sub"), new.claim("role")), (json!(DEMO), json!(1)), "the role is the account's");
    assert_eq!(beside.names().await, BTreeSet::new(), "it ended at the legacy backend, and nothing is left");
    assert!(app.revoked().iter().any(|line| line["sid"] == SESSION), "the edge knows");
    assert_eq!(app.check(&new, "").await.status, 200);
    assert_eq!(app.refresh(&old).await, unauthorized(), "once");
    let next = app.refresh(&new).await;
    assert_eq!(next.status, 201);
    assert_eq!(app.logout(&next.pair()).await.status, 204);
    assert_eq!(app.check(&next.pair(), "").await.status, 401);
}

#[tokio::test]
async fn every_other_pair_gets_the_legacy_backends_refusal_and_uses_nothing_up() {
    let beside = Beside::new().await;
    let app = &beside.app;
    beside.begin(OTHER_SESSION, KEY).await;
    let good = beside.pair();
    let gone = json!({ "id": "0192d3c0-0000-4000-8000-0000000000ee" });
    let with = |access: Value, refresh: Value| beside.pair_with(&access, &refresh);
    let cut = |token: &str| token.rsplit_once('.').unwrap().0.to_owned();
    for (what, pair) in [
        ("both of a session without a key", with(gone.clone(), gone.clone())),
        ("a refresh token of such a session", with(json!({}), gone.clone())),
        ("an access token of such a session", with(gone, json!({}))),
        ("an expired refresh token", with(json!({}), json!({ "exp": app.now() - 61 }))),
        ("a refresh token without expiry", with(json!({}), json!({ "exp": null }))),
        ("an access token without expiry", with(json!({ "exp": 1.5 }), json!({}))),
        ("exchanged places", Pair { access: good.refresh.clone(), refresh: good.access.clone() }),
        ("no signature", Pair { access: good.access.clone(), refresh: format!("{}.", cut(&good.refresh)) }),
        ("another key", Pair { access: good.access.clone(), refresh: token(&beside.claims("_r", 9), "k") }),
        ("a forged access token", Pair { access: token(&beside.claims("_a", 9), "k"), ..good.clone() }),
    ] {
        assert_eq!(app.refresh(&pair).await, unauthorized(), "{what}");
    }
    for (what, changes) in
        [("session", json!({ "id": OTHER_SESSION })), ("person", json!({ "user_id": BOT }))]
    {
        let mixed = beside.pair_with(&json!({}), &changes);
        assert_eq!(app.refresh(&mixed).await, Answer::text(401, "Invalid token pair"), "of another {what}");
    }
    let only = |name: &str, token: &str| format!("madome_{name}_token={token}");
    for cookie in [only("access", &good.access), only("refresh", &good.refresh)] {
        assert_eq!(app.call("PATCH /auth/token", &[("cookie", &cookie)], "").await, unauthorized());
    }
    // An own access token beside a legacy refresh token, and the reverse.
    let own = app.login("demo@example.com").await;
    let mixed = [
        Pair { access: own.access.clone(), refresh: good.refresh.clone() },
        Pair { access: good.access.clone(), refresh: own.refresh.clone() },
    ];
    for pair in &mixed {
        assert_eq!(app.refresh(pair).await, unauthorized());
    }
    assert_eq!(beside.names().await.len(), 2, "no session ended");
    assert_eq!(app.refresh(&good).await.status, 201);
    assert_eq!(app.refresh(&own).await.status, 201);
}

/// The browser signed in at the new service, and then at the legacy backend again, or the reverse.
#[tokio::test]
async fn beside_refresh_cookies_of_the_other_kind_the_access_cookie_decides() {
    for legacy_first in [true, false] {
        let beside = Beside::new().await;
        let (app, own, old) = (&beside.app, beside.app.login("demo@example.com").await, beside.pair());
        let both = if legacy_first { [&old, &own] } else { [&own, &old] };
        let line = |access: &str| {
            let [one, two] = both.map(|pair| &pair.refresh);
            format!("madome_refresh_token={one}; madome_access_token={access}; madome_refresh_token={two}")
        };
        let patch = async |cookie: String| app.call("PATCH /auth/token", &[("cookie", &cookie)], "").await;
        assert_eq!(patch(line(&own.access)).await.status, 201);
        assert_eq!(beside.names().await.len(), 1, "the legacy session is alive");
        assert_eq!(patch(line(&old.access)).await.status, 201);
        assert_eq!(beside.names().await.len(), 0);
    }
}

async fn one_of_many_wins(beside: Beside) {
    let pair = beside.pair();
    let all = futures_util::future::join_all((0..12).map(|_| beside.app.refresh(&pair))).await;
    let won: Vec<_> = all.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(won.len(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|answer| **answer == unauthorized()).count(), 11, "{all:?}");
    assert_eq!(beside.app.check(&won[0].pair(), "").await.status, 200);
    assert_eq!(beside.names().await, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_with_one_pair_one_wins_on_sqlite() {
    one_of_many_wins(Beside::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_with_one_pair_one_wins_on_postgresql() {
    let postgres = PrivatePostgres::start();
    one_of_many_wins(Beside::on(Some(postgres.url())).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_signs_no_client_out() {
    let postgres = PrivatePostgres::start();
    let mut beside = Beside::on(Some(postgres.url())).await;
    let pair = beside.pair();
    // The account cannot be looked up.
    beside.app.people.set_raw("demo@example.com", json!({ "id": DEMO, "role": "x" }));
    assert_eq!(beside.app.refresh(&pair).await.status, 500);
    beside.app.people.set("demo@example.com", DEMO, 0);
    beside.app.refuse_commits().await;
    assert_eq!(beside.app.refresh(&pair).await.status, 500);
    assert_eq!(beside.names().await, BTreeSet::from([format!("s:{SESSION}")]), "the key is back");
    beside.app.accept_commits().await;
    // The legacy backend's Redis hangs: its answer comes after the request gave up.
    let patient = beside.app.settings.legacy.clone();
    beside.app.settings.legacy = Some(legacy(&beside.redis, Duration::from_millis(200)));
    beside.app.restart().await;
    beside.redis.process().signal(Signal::Stop);
    assert_eq!(beside.app.refresh(&pair).await.status, 500);
    beside.redis.process().signal(Signal::Continue);
    beside.app.settings.legacy = patient;
    beside.app.restart().await;
    assert_eq!(beside.app.refresh(&pair).await.status, 201);
}

#[tokio::test]
async fn a_service_that_died_in_the_middle_leaves_a_pair_that_can_be_exchanged_once() {
    let beside = Beside::new().await;
    let pair = beside.pair();
    // As after a crash between the end of the legacy session and the commit.
    let _: () =
        beside.redis().await.rename(format!("s:{SESSION}"), format!("s:exchanged:{SESSION}")).await.unwrap();
    let all = futures_util::future::join_all((0..4).map(|_| beside.app.refresh(&pair))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 1, "{all:?}");
    assert_eq!(beside.app.refresh(&pair).await, unauthorized());
    // As after a crash between the commit and the deletion of the copy, before the end was announced.
    std::fs::write(beside.app.home.path().join("sessions/revoked.jsonl"), "").unwrap();
    beside.begin(&format!("exchanged:{SESSION}"), KEY).await;
    assert_eq!(beside.app.refresh(&pair).await, unauthorized());
}

#[tokio::test]
async fn an_uncertain_commit_is_exchanged_again_and_its_unknown_session_ends() {
    let beside = Beside::new().await;
    let pair = beside.pair();
    let lost = beside.app.refresh(&pair).await.pair();
    // The database reported a failure although it stored the session, so the key was given back and the edge was
    // not notified.
    std::fs::write(beside.app.home.path().join("sessions/revoked.jsonl"), "").unwrap();
    beside.begin(SESSION, KEY).await;
    let new = beside.app.refresh(&pair).await;
    assert_eq!(new.status, 201);
    assert_eq!(beside.app.check(&lost, "").await.status, 401);
    assert_eq!(beside.app.check(&new.pair(), "").await.status, 200);
}

#[tokio::test]
async fn people_who_are_gone_or_whose_sessions_were_ended_exchange_nothing() {
    let beside = Beside::new().await;
    let (app, pair) = (&beside.app, beside.pair());
    app.people.remove("demo@example.com");
    assert_eq!(app.refresh(&pair).await, unauthorized());
    app.people.set("demo@example.com", DEMO, 0);
    // `cutover revoke --subject`.
    let end = json!({ "sub": DEMO, "before": app.now() + 1, "until": app.now() + 1_000 });
    std::fs::write(app.home.path().join("sessions/revoked.jsonl"), format!("{end}\n")).unwrap();
    assert_eq!(app.refresh(&pair).await, unauthorized());
    assert_eq!(beside.names().await.len(), 1, "nothing was ended by it");
}

#[tokio::test]
async fn a_sign_out_ends_a_legacy_session_that_is_proved() {
    let beside = Beside::new().await;
    let (app, pair) = (&beside.app, beside.pair());
    let forged =
        Pair { access: token(&beside.claims("_a", 9), "k"), refresh: token(&beside.claims("_r", 9), "k") };
    assert_eq!(app.logout(&forged).await, Answer::text(401, "Invalid token"));
    assert_eq!(beside.names().await.len(), 1);
    app.clock.advance_seconds(604_800 + 3_600);
    for _ in 0..2 {
        let answer = app.logout(&pair).await;
        assert_eq!((answer.status, answer.cookies.len()), (204, 2), "of any age, and again");
    }
    assert_eq!(beside.names().await, BTreeSet::new());
    assert!(app.revoked().iter().any(|line| line["sid"] == SESSION));
    assert_eq!(app.refresh(&pair).await, unauthorized());
}

#[tokio::test]
async fn a_sign_out_that_ended_an_own_session_does_not_need_the_legacy_backends_redis() {
    let mut beside = Beside::new().await;
    let old = beside.pair();
    let new = beside.app.refresh(&old).await.pair();
    beside.app.settings.legacy = Some(legacy(&beside.redis, Duration::from_millis(200)));
    beside.app.restart().await;
    beside.redis.process().signal(Signal::Stop);
    let sign_out =
        async |cookie: String| beside.app.call("DELETE /auth/token", &[("cookie", &cookie)], "").await;
    let answer = sign_out(old.cookie()).await;
    assert_eq!(answer, Answer::text(500, "Internal server error"), "nothing has ended");
    let answer = sign_out(format!("{}; madome_refresh_token={}", new.cookie(), old.refresh)).await;
    assert_eq!(answer.status, 204);
    assert!(answer.cookies.len() >= 2 && answer.cookies.iter().all(|line| line.contains("Max-Age=0")));
    assert_eq!(beside.app.check(&new, "").await.status, 401);
    beside.redis.process().signal(Signal::Continue);
}

/// The edge gives a session of the legacy backend no role of its own.
#[tokio::test]
async fn the_role_of_a_legacy_session_is_the_accounts() {
    let beside = Beside::new().await;
    let (app, pair) = (&beside.app, beside.pair());
    app.people.set("demo@example.com", DEMO, 1);
    let identity = app.edge.person(&kit::testing::person(DEMO, SESSION, identity::Role(0)), "auth");
    let check = async |query: &str| {
        let headers = [("cookie", pair.cookie()), ("x-madome-identity", identity.clone())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        app.call(&format!("GET /auth/token{query}"), &headers, "").await
    };
    for query in ["", "?role=1"] {
        let answer = check(query).await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, &body["user_role"]), (200, &json!(1)), "{query}");
    }
    let too_low = check("?role=2").await;
    assert_eq!((too_low.status, too_low.body.as_str()), (403, "Permission denied"));
    app.people.remove("demo@example.com");
    assert_eq!(check("").await, unauthorized());
}

/// Of requests with one pair, one makes room for its session. The others must not end further sign-ins.
#[tokio::test]
async fn an_exchange_that_is_too_late_ends_no_other_sign_in() {
    let mut beside = Beside::new().await;
    beside.app.settings.bounds = Bounds { sessions: 2, ..Bounds::default() };
    beside.app.restart().await;
    let app = &beside.app;
    let oldest = app.login("demo@example.com").await;
    app.clock.advance_seconds(1);
    let newer = app.login("demo@example.com").await;
    let pair = beside.pair();
    let all = futures_util::future::join_all((0..8).map(|_| app.refresh(&pair))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 1, "{all:?}");
    let ended = |pair: &Pair| app.revoked().iter().any(|line| line["sid"] == pair.claim("sid"));
    assert!(ended(&oldest), "the bound holds");
    assert!(!ended(&newer), "the edge was not told that it ended");
    assert_eq!(app.check(&newer, "").await.status, 200);
}

#[tokio::test]
async fn a_check_of_a_legacy_session_is_answered_while_it_lives() {
    let redis = Redis::start();
    let ways = Some(legacy(&redis, Duration::from_secs(2)));
    let app = TestApp::with(|settings| Settings { legacy: ways, surface: Surface::Older, ..settings }).await;
    let beside = Beside { app, redis };
    beside.begin(SESSION, KEY).await;
    let (app, pair) = (&beside.app, beside.pair());
    // As the edge does after it has verified the session.
    let person = kit::testing::person(DEMO, SESSION, identity::Role(0));
    let identity = app.edge.person(&person, "auth");
    let check = async || {
        let headers = [("cookie", pair.cookie()), ("x-madome-identity", identity.clone())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        app.call("GET /auth/token", &headers, "").await
    };
    let answer = check().await;
    assert_eq!((answer.status, answer.body), (200, format!(r#"{{"user_id":"{DEMO}"}}"#)));
    let _: () = beside.redis().await.del(format!("s:{SESSION}")).await.unwrap();
    assert_eq!(check().await, unauthorized());
}
