//! Sessions in the legacy backend's form (`AUTH_SESSIONS=legacy`), with a real Redis. That the legacy sample accepts them is
//! shown by `contracts/harness/tests/services/moving_back.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use auth::settings::{Legacy, LegacyWay, SessionForm, Settings};
use harness::{Redis, Signal};
use kit::generation::Surface;
use kit::testing::PrivatePostgres;
use redis::AsyncCommands as _;
use serde_json::json;

use crate::app::{Answer, DEMO, Pair, TestApp};

const EMAIL: &str = "demo@example.com";

/// A service that writes its sessions into the legacy backend's Redis.
struct Writing {
    app: TestApp,
    redis: Redis,
}

impl Writing {
    async fn on(database_url: Option<String>, form: SessionForm) -> Self {
        let redis = Redis::start();
        let way = LegacyWay::Redis { url: redis.url(), prefix: "s:".to_owned() };
        let legacy = Some(Legacy { way, timeout: Duration::from_secs(2) });
        let change =
            |settings| Settings { database_url, legacy, sessions: form, surface: Surface::Older, ..settings };
        Self { app: TestApp::with(change).await, redis }
    }

    async fn new() -> Self {
        Self::on(None, SessionForm::Legacy).await
    }

    async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.redis.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// The names of living sessions. Copies of used keys prove a sign-out with an old pair.
    async fn names(&self) -> BTreeSet<String> {
        let names: BTreeSet<String> = self.redis().await.keys("*").await.unwrap();
        names.into_iter().filter(|name| !name.contains("exchanged:")).collect()
    }

    /// Whether exactly the sessions of `pairs` are alive at the legacy backend.
    async fn are_alive(&self, pairs: &[&Pair]) -> bool {
        let named = pairs.iter().map(|pair| format!("s:{}", pair.claim("id").as_str().unwrap())).collect();
        self.names().await == named
    }
}

fn unauthorized() -> Answer {
    Answer::text(401, "Unauthorized")
}

#[tokio::test]
async fn a_session_has_the_legacy_backends_tokens_and_its_key_begins_and_ends_with_it() {
    let writing = Writing::new().await;
    let app = &writing.app;
    let first = app.login(EMAIL).await;
    let header = |token: &str| token.split('.').next().unwrap().to_owned();
    // `{"typ":"JWT","alg":"HS256"}`
    assert_eq!(header(&first.access), "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9");
    assert_eq!(header(&first.refresh), header(&first.access));
    let claims = crate::app::claims(&first.access);
    assert_eq!(
        (&claims["user_id"], &claims["_a"], &claims["_r"]),
        (&json!(DEMO), &json!(true), &json!(null))
    );
    assert_eq!(crate::app::claims(&first.refresh)["_r"], json!(true));
    assert!(writing.are_alive(&[&first]).await);
    let name = format!("s:{}", claims["id"].as_str().unwrap());
    let life: i64 = writing.redis().await.ttl(&name).await.unwrap();
    assert!((604_000..=604_860).contains(&life), "{life}");

    let second = app.refresh(&first).await.pair();
    assert!(writing.are_alive(&[&second]).await, "the old pair is dead at once");
    assert_eq!(app.refresh(&first).await, unauthorized());
    let mixed = Pair { access: second.access.clone(), refresh: app.login(EMAIL).await.refresh };
    assert_eq!(app.refresh(&mixed).await, Answer::text(401, "Invalid token pair"));
    let third = app.refresh(&second).await.pair();
    // With a pair that was used long ago: the whole sign-in ends, as everywhere in this service.
    assert_eq!(app.logout(&first).await.status, 204);
    assert_eq!(writing.names().await.len(), 1, "the other sign-in");
    assert_eq!(app.refresh(&third).await, unauthorized());
    assert!(app.revoked().iter().any(|line| line["sid"] == third.claim("id")), "the edge knows");
}

#[tokio::test]
async fn an_own_session_takes_the_form_at_its_refresh_and_back() {
    let mut writing = Writing::on(None, SessionForm::Own).await;
    let own = writing.app.login(EMAIL).await;
    assert_eq!(writing.names().await, BTreeSet::new());
    writing.app.settings.sessions = SessionForm::Legacy;
    writing.app.restart().await;
    let written = writing.app.refresh(&own).await.pair();
    assert!(writing.are_alive(&[&written]).await);
    // A sign-out with the old token ends the whole sign-in, on both stacks.
    assert_eq!(writing.app.logout(&own).await.status, 204);
    assert_eq!(writing.names().await, BTreeSet::new());

    let written = writing.app.login(EMAIL).await;
    writing.app.settings.sessions = SessionForm::Own;
    writing.app.restart().await;
    let own = writing.app.refresh(&written).await.pair();
    assert_eq!(writing.names().await, BTreeSet::new());
    assert_eq!(writing.app.check(&own, "").await.status, 200);
}

#[tokio::test]
async fn a_sign_in_ages_through_its_refreshes_and_the_oldest_of_too_many_ends() {
    let writing = Writing::new().await;
    let app = &writing.app;
    let mut pair = app.login(EMAIL).await;
    for _ in 0..5 {
        app.clock.advance_seconds(6 * 86_400);
        pair = app.refresh(&pair).await.pair();
    }
    app.clock.advance_seconds(86_400);
    assert_eq!(app.refresh(&pair).await, unauthorized(), "the sign-in was 31 days ago");
    assert_eq!(writing.names().await, BTreeSet::new());

    let first = app.login(EMAIL).await;
    for _ in 0..50 {
        app.clock.advance_seconds(1);
        app.login(EMAIL).await;
    }
    assert_eq!(writing.names().await.len(), 50);
    assert_eq!(app.refresh(&first).await, unauthorized());
}

async fn one_of_many_wins(writing: Writing) {
    let pair = writing.app.login(EMAIL).await;
    let all = futures_util::future::join_all((0..12).map(|_| writing.app.refresh(&pair))).await;
    let won: Vec<_> = all.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(won.len(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|answer| **answer == unauthorized()).count(), 11, "{all:?}");
    assert!(writing.are_alive(&[&won[0].pair()]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_refreshes_of_one_pair_one_wins_on_sqlite() {
    one_of_many_wins(Writing::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_refreshes_of_one_pair_one_wins_on_postgresql() {
    let postgres = PrivatePostgres::start();
    one_of_many_wins(Writing::on(Some(postgres.url()), SessionForm::Legacy).await).await;
}

/// However a refresh and a sign-out meet, nothing is alive afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_outlives_a_sign_out_that_meets_a_refresh() {
    let postgres = PrivatePostgres::start();
    let writing = Writing::on(Some(postgres.url()), SessionForm::Legacy).await;
    for _ in 0..20 {
        let pair = writing.app.login(EMAIL).await;
        let (refreshed, out) = tokio::join!(writing.app.refresh(&pair), writing.app.logout(&pair));
        assert_eq!(out.status, 204);
        assert!([201, 401].contains(&refreshed.status), "{refreshed:?}");
        assert_eq!(writing.names().await, BTreeSet::new(), "{refreshed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_or_a_database_that_fails_signs_no_client_out_and_leaves_no_key() {
    let postgres = PrivatePostgres::start();
    let mut writing = Writing::on(Some(postgres.url()), SessionForm::Legacy).await;
    let pair = writing.app.login(EMAIL).await;
    writing.app.refuse_commits().await;
    assert_eq!(writing.app.refresh(&pair).await.status, 500);
    assert!(writing.are_alive(&[&pair]).await, "the old key is back, and the new one is gone");
    assert_eq!(writing.app.request_code(EMAIL).await.status, 201);
    assert_eq!(writing.app.login_with(EMAIL, &writing.app.last_code(EMAIL)).await.status, 500);
    assert!(writing.are_alive(&[&pair]).await);
    writing.app.accept_commits().await;

    writing.redis.process().signal(Signal::Stop);
    assert_eq!(writing.app.logout(&pair).await.status, 500, "a sign-out that does not count says so");
    writing.redis.process().signal(Signal::Continue);
    let next = writing.app.refresh(&pair).await;
    assert!([201, 401].contains(&next.status), "{next:?}");
}

#[tokio::test]
async fn the_end_of_all_deletes_the_keys_of_what_began_before() {
    let writing = Writing::new().await;
    let app = &writing.app;
    let [first, second] = [app.login(EMAIL).await, app.login(EMAIL).await];
    let other = app.login("bot@example.com").await;
    app.clock.advance_seconds(10);
    let later = app.login(EMAIL).await;
    let line = json!({ "sub": DEMO, "before": app.now() - 5, "until": app.now() + 1_000_000 });
    let sessions = app.sessions().await;
    sessions.end_written(&serde_json::from_value(line.clone()).unwrap()).await.unwrap();
    assert!(writing.are_alive(&[&other, &later]).await, "{:?}", [first, second]);
    // Seen by a refresh and a sign-in that come after it.
    let all = json!({ "sub": DEMO, "before": app.now() + 1, "until": app.now() + 1_000_000 });
    std::fs::write(app.home.path().join("sessions/revoked.jsonl"), format!("{all}\n")).unwrap();
    assert_eq!(app.refresh(&later).await, unauthorized());
    assert_eq!(app.request_code(EMAIL).await.status, 201);
    assert_eq!(
        app.login_with(EMAIL, &app.last_code(EMAIL)).await.status,
        401,
        "in the very second of the call"
    );
    assert!(writing.are_alive(&[&other, &later]).await);
    for ends in [
        json!({ "sid": other.claim("id"), "from": 0, "until": app.now() + 9 }),
        json!({ "tid": kit::testing::TENANT, "before": app.now() + 1, "until": app.now() + 9 }),
    ] {
        sessions.end_written(&serde_json::from_value(ends).unwrap()).await.unwrap();
    }
    assert_eq!(writing.names().await, BTreeSet::new());
}
