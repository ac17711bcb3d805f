//! Sessions that another program ended (`cutover revoke`), and revocations through Redis.

use std::io::Write as _;
use std::time::Duration;

use futures_util::StreamExt as _;
use harness::{Redis, Signal, eventually_async as eventually};
use serde_json::{Value, json};
use validity::revocation::{CHANNEL, Revocation, SharedRevocations};

use crate::app::{Answer, Pair, TestApp};

/// Late enough for a manual clock and for Redis, which has its own.
const FAR: u64 = 4_000_000_000;

fn lines(app: &TestApp, pair: &Pair) -> [Value; 3] {
    let before = app.now() + 1;
    [
        json!({ "sid": pair.claim("sid"), "from": app.now(), "until": FAR }),
        json!({ "sub": pair.claim("sub"), "before": before, "until": FAR }),
        json!({ "tid": pair.claim("tenantId"), "before": before, "until": FAR }),
    ]
}

fn refused() -> Answer {
    Answer::text(401, "Unauthorized")
}

#[tokio::test]
async fn a_session_that_the_file_ends_is_not_refreshed_and_stays_in_the_file() {
    for which in 0..3 {
        let app = TestApp::new().await;
        let pair = app.login("demo@example.com").await;
        let line = &lines(&app, &pair)[which];
        let path = app.home.path().join("sessions/revoked.jsonl");
        let mut file = std::fs::File::options().append(true).open(&path).unwrap();
        writeln!(file, "\n{line}").unwrap();
        assert_eq!(app.refresh(&pair).await, refused(), "{line}");
        // A restart rewrites the file.
        auth::app(&app.settings, std::sync::Arc::new(app.clock.clone())).await.unwrap();
        assert_eq!(app.revoked(), std::slice::from_ref(line));
        // A later sign-in is not affected.
        app.clock.advance_seconds(2);
        let later = app.login("demo@example.com").await;
        assert_eq!(app.refresh(&later).await.status, 201);
    }
}

#[tokio::test]
async fn a_session_that_redis_ends_is_not_refreshed() {
    let redis = Redis::start();
    let mut connection = validity::connect(&redis.url()).unwrap();
    for which in 0..3 {
        let app = TestApp::on_both(None, Some(redis.url())).await;
        let pair = app.login("demo@example.com").await;
        let line: Revocation = serde_json::from_value(lines(&app, &pair)[which].clone()).unwrap();
        SharedRevocations::default().revoke(&mut connection, &line).await.unwrap();
        assert_eq!(app.refresh(&pair).await, refused(), "{line:?}");
        app.clock.advance_seconds(2);
        let later = app.login("demo@example.com").await;
        assert_eq!(app.refresh(&later).await.status, 201);
        let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn a_logout_is_announced_through_redis_and_fails_without_it() {
    let mut redis = Redis::start();
    let app = TestApp::on_both(None, Some(redis.url())).await;
    assert!(!app.home.path().join("sessions/revoked.jsonl").exists(), "no file is written");
    let mut events = redis::Client::open(redis.url()).unwrap().get_async_pubsub().await.unwrap();
    events.subscribe(CHANNEL).await.unwrap();
    let mut events = events.into_on_message();

    let pair = app.login("demo@example.com").await;
    assert_eq!(app.logout(&pair).await.status, 204);
    let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await.unwrap().unwrap();
    let event: Value = serde_json::from_slice(event.get_payload_bytes()).unwrap();
    assert_eq!((&event["sid"], &event["from"]), (&pair.claim("sid"), &json!(app.now())));

    let pair = app.login("demo@example.com").await;
    redis.process().signal(Signal::Stop);
    assert_eq!(app.refresh(&pair).await.status, 500, "the edge would not learn that the old session ended");
    assert_eq!(app.logout(&pair).await.status, 500);
    redis.process().signal(Signal::Continue);
    eventually("the sign-out can be repeated", async || app.logout(&pair).await.status == 204).await;
}

#[tokio::test]
async fn it_starts_before_redis_does_and_writes_the_ended_sessions_once_redis_is_there() {
    let mut redis = Redis::start();
    let app = TestApp::on_both(None, Some(redis.url())).await;
    // Redis removes expired entries by its own clock.
    app.clock.advance_seconds(harness::tokens::now().saturating_sub(app.now()));
    let pair = app.login("demo@example.com").await;
    assert_eq!(app.logout(&pair).await.status, 204);
    let session = pair.claim("sid");
    let key = format!("revoked:session:{}", session.as_str().unwrap());

    // Redis and its data are gone; the database still has the signed-out sessions.
    redis.process().signal(Signal::Kill);
    redis.process().wait(Duration::from_secs(20));
    let started = auth::app(&app.settings, std::sync::Arc::new(app.clock.clone())).await;
    started.expect("it starts without Redis");
    let mut connection = validity::connect(&redis.url()).unwrap();
    redis.restart();
    eventually(&format!("{key} is in Redis again"), async || {
        let asked = redis::cmd("EXISTS").arg(&key).query_async::<bool>(&mut connection).await;
        asked.is_ok_and(|known| known)
    })
    .await;
}
