//! Login codes that the legacy backend and this service share while sign-in moves, with a real Redis.

use std::time::Duration;

use auth::settings::{Legacy, LegacyWay, Settings};
use harness::{Redis, Signal};
use redis::AsyncCommands as _;

use crate::app::{Answer, TestApp};

const EMAIL: &str = "demo@example.com";

async fn beside() -> (TestApp, Redis) {
    let redis = Redis::start();
    let way = LegacyWay::Redis { url: redis.url(), prefix: "s:".to_owned() };
    let legacy = Some(Legacy { way, timeout: Duration::from_secs(2) });
    let shared_codes = Some("authcode:".to_owned());
    let app = TestApp::with(|settings| Settings { legacy, shared_codes, ..settings }).await;
    (app, redis)
}

async fn connect(redis: &Redis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

fn invalid() -> Answer {
    Answer::text(404, "Invalid authcode")
}

#[tokio::test]
async fn a_code_of_the_legacy_backend_signs_in_here_once() {
    let (app, redis) = beside().await;
    let mut legacy = connect(&redis).await;
    let _: () = legacy.set_ex(format!("authcode:{EMAIL}:AbCdEfGh_-12"), "AbCdEfGh_-12", 120).await.unwrap();
    assert_eq!(app.login_with("dev@example.com", "AbCdEfGh_-12").await, invalid(), "of another address");
    assert_eq!(app.login_with(EMAIL, "AbCdEfGh_-12").await.status, 201);
    assert_eq!(app.login_with(EMAIL, "AbCdEfGh_-12").await, invalid());
    let left: Vec<String> = legacy.keys("authcode:*").await.unwrap();
    assert!(left.is_empty(), "the legacy backend does not accept it either: {left:?}");
}

#[tokio::test]
async fn a_code_of_this_service_is_where_the_legacy_backend_finds_it_and_is_void_when_it_was_used_there() {
    let (app, redis) = beside().await;
    let mut legacy = connect(&redis).await;
    assert_eq!(app.request_code(EMAIL).await.status, 201);
    let code = app.last_code(EMAIL);
    let name = format!("authcode:{EMAIL}:{code}");
    let (value, life): (String, u64) = (legacy.get(&name).await.unwrap(), legacy.ttl(&name).await.unwrap());
    assert!(value == code && (110..=120).contains(&life), "{value} for {life} s");
    let used: u64 = legacy.del(&name).await.unwrap();
    assert_eq!(used, 1);
    assert_eq!(app.login_with(EMAIL, &code).await, invalid());
    // A code that the legacy backend has not used works here.
    assert_eq!(app.request_code(EMAIL).await.status, 201);
    assert_eq!(app.login_with(EMAIL, &app.last_code(EMAIL)).await.status, 201);
}

#[tokio::test]
async fn without_the_shared_store_no_code_is_mailed_and_none_is_refused_as_invalid() {
    let (app, mut redis) = beside().await;
    assert_eq!(app.request_code(EMAIL).await.status, 201);
    let code = app.last_code(EMAIL);
    redis.process().signal(Signal::Kill);
    redis.process().wait(Duration::from_secs(20));
    assert_eq!(app.request_code(EMAIL).await.status, 500);
    assert_eq!(app.mail(EMAIL).len(), 1);
    assert_eq!(app.login_with(EMAIL, &code).await.status, 500, "404 would say that the code is wrong");
}
