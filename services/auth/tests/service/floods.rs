//! Limits of one person's usage: refreshes, sessions, and entries in the list of ended sessions that every
//! authorizer keeps.

use auth::revocation::Revocations;
use auth::session::{MAX_LISTED, REFRESH_INTERVAL};
use auth::settings::{Bounds, Settings};
use auth::token::Genuine;
use clock::{Clock as _, UnixTime};
use harness::Redis;
use kit::testing::PrivatePostgres;
use validity::revocation::{Ends, Issued, Revocation, SharedRevocations};

use crate::app::{Answer, Pair, TestApp};

const DEMO_EMAIL: &str = "demo@example.com";
const BOT_EMAIL: &str = "bot@example.com";

/// The usual bounds.
const REFRESH_BURST: u32 = 60;
const MAX_ALIVE: u32 = 50;

fn issued(pair: &Pair) -> Issued {
    let id = |name: &str| pair.claim(name).as_str().unwrap().to_owned();
    Issued {
        session: id("sid").parse().unwrap(),
        subject: id("sub").parse().unwrap(),
        tenant: id("tenantId").parse().unwrap(),
        at: pair.claim("iat").as_u64().unwrap(),
    }
}

/// Returns the revocations that a reader of the file knows.
fn ends(app: &TestApp) -> Ends {
    let mut ends = Ends::default();
    ends.extend(app.revoked().into_iter().map(|line| serde_json::from_value::<Revocation>(line).unwrap()));
    ends
}

async fn a_burst_of_refreshes_and_then_one_in_each_interval(mut app: TestApp) {
    let other = app.login(BOT_EMAIL).await;
    let mut pair = app.login(DEMO_EMAIL).await;
    for _ in 0..REFRESH_BURST {
        pair = app.refresh(&pair).await.pair();
    }
    let refused = app.refresh(&pair).await;
    assert_eq!(refused, Answer::text(429, "Too many refreshed token"));
    app.restart().await;
    assert_eq!(app.refresh(&pair).await.status, 429, "a restart forgets nothing");
    let second = app.login(DEMO_EMAIL).await;
    assert_eq!(app.refresh(&second).await.status, 429, "the limit is per person, not per session");
    assert_eq!(app.check(&pair, "").await.status, 200, "and the session is unchanged");
    assert_eq!(app.refresh(&other).await.status, 201, "another person is not affected");
    assert_eq!(app.logout(&second).await.status, 204, "signing out always works");
    app.clock.advance_seconds(REFRESH_INTERVAL.as_secs());
    let next = app.refresh(&pair).await.pair();
    assert_eq!(app.refresh(&next).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_are_bounded_on_both_databases() {
    a_burst_of_refreshes_and_then_one_in_each_interval(TestApp::new().await).await;
    let postgres = PrivatePostgres::start();
    a_burst_of_refreshes_and_then_one_in_each_interval(TestApp::on(Some(postgres.url())).await).await;
}

#[tokio::test]
async fn the_bounds_of_a_person_are_settings() {
    let bounds = Bounds { refresh_burst: 2, sessions: 3, ..Bounds::default() };
    let app = TestApp::with(|settings| Settings { bounds, ..settings }).await;
    let first = app.login(DEMO_EMAIL).await;
    let mut pair = first.clone();
    for _ in 0..2 {
        pair = app.refresh(&pair).await.pair();
    }
    assert_eq!(app.refresh(&pair).await, Answer::text(429, "Too many refreshed token"));
    for _ in 0..2 {
        app.clock.advance_seconds(1);
        app.login(DEMO_EMAIL).await;
    }
    assert_eq!(app.check(&pair, "").await.status, 200, "three sessions");
    app.login(DEMO_EMAIL).await;
    assert_eq!(app.check(&pair, "").await.status, 401, "the oldest made room for the fourth");
}

#[tokio::test]
async fn a_refusal_carries_retry_after() {
    let app = TestApp::new().await;
    let mut pair = app.login(DEMO_EMAIL).await;
    for _ in 0..REFRESH_BURST {
        pair = app.refresh(&pair).await.pair();
    }
    app.clock.advance_seconds(10);
    let request = http::Request::patch("/auth/token").header("cookie", pair.cookie());
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(app.router.clone(), request).await.unwrap();
    let wait = response.headers()["retry-after"].to_str().unwrap().to_owned();
    assert_eq!((response.status().as_u16(), wait.as_str()), (429, "20"));
}

#[tokio::test]
async fn six_refreshes_at_once_cost_one() {
    let app = TestApp::new().await;
    let mut pair = app.login(DEMO_EMAIL).await;
    for _ in 1..REFRESH_BURST {
        pair = app.refresh(&pair).await.pair();
    }
    let (a, b, c) = tokio::join!(app.refresh(&pair), app.refresh(&pair), app.refresh(&pair));
    let mut statuses = [a.status, b.status, c.status];
    statuses.sort_unstable();
    assert!(statuses.contains(&201) && !statuses.contains(&500), "{statuses:?}");
}

/// Refreshes within the lifetime of an access token, as fast as allowed, until one line covers many sessions.
/// Returns every pair, the newest last.
async fn refresh_without_end(app: &TestApp, first: Pair) -> Vec<Pair> {
    let mut pairs = vec![first];
    for _ in 0..MAX_LISTED + 150 {
        app.clock.advance_seconds(REFRESH_INTERVAL.as_secs());
        pairs.push(app.refresh(pairs.last().unwrap()).await.pair());
    }
    pairs
}

#[tokio::test(flavor = "multi_thread")]
async fn one_persons_entries_in_the_file_are_bounded_and_the_newest_session_lives() {
    the_newest_session_outlives_a_flood(TestApp::new().await).await;
    let postgres = PrivatePostgres::start();
    the_newest_session_outlives_a_flood(TestApp::on(Some(postgres.url())).await).await;
}

async fn the_newest_session_outlives_a_flood(mut app: TestApp) {
    let other = app.login(BOT_EMAIL).await;
    let first = app.login(DEMO_EMAIL).await;
    let pairs = refresh_without_end(&app, first).await;
    let (newest, dead) = pairs.split_last().unwrap();
    for restarted in [false, true] {
        if restarted {
            app.restart().await;
        }
        let ends = ends(&app);
        let most = usize::try_from(MAX_LISTED).unwrap() + 1;
        assert!(ends.len() <= most, "{} entries", ends.len());
        let now = app.now() + 61;
        for pair in dead {
            assert!(ends.end(&issued(pair), now), "a dead session counts as alive");
        }
        assert!(!ends.end(&issued(newest), now) && !ends.end(&issued(&other), now));
        assert_eq!(app.check(newest, "").await.status, 200);
        assert_eq!(app.check(&other, "").await.status, 200);
    }
    app.clock.advance_seconds(REFRESH_INTERVAL.as_secs());
    assert_eq!(app.refresh(newest).await.status, 201, "and can still be refreshed");
    // A new sign-in within the same second in which other sessions end.
    let again = app.login(DEMO_EMAIL).await;
    assert!(!ends(&app).end(&issued(&again), app.now() + 61));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_persons_entries_in_redis_are_bounded_too() {
    let redis = Redis::start();
    let app = TestApp::on_both(None, Some(redis.url())).await;
    // Redis removes expired entries by its own clock.
    app.clock.set(UnixTime::from_seconds(harness::tokens::now()));
    let first = app.login(DEMO_EMAIL).await;
    let pairs = refresh_without_end(&app, first).await;
    let mut connection = validity::connect(&redis.url()).unwrap();
    let stored = SharedRevocations::default().read_all(&mut connection, 1_000_000).await.unwrap();
    let most = usize::try_from(MAX_LISTED).unwrap() + 1;
    assert!(stored.revocations.len() <= most, "{} keys", stored.revocations.len());
    let mut ends = Ends::default();
    ends.extend(stored.revocations);
    let (newest, dead) = pairs.split_last().unwrap();
    let now = app.clock.now().seconds() + 61;
    assert!(dead.iter().all(|pair| ends.end(&issued(pair), now)));
    assert!(!ends.end(&issued(newest), now));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_session_ends_the_persons_older_ones_and_records_it_in_the_database() {
    let app = TestApp::new().await;
    let older = app.login(DEMO_EMAIL).await;
    app.clock.advance_seconds(1);
    let first = app.login(DEMO_EMAIL).await;
    let pairs = refresh_without_end(&app, first).await;
    assert!(ends(&app).end(&issued(&older), app.now()), "one line ended every older session");
    assert_eq!(app.check(&older, "").await.status, 401);
    assert_eq!(app.refresh(&older).await.status, 401, "here and at the edge");
    assert_eq!(app.check(pairs.last().unwrap(), "").await.status, 200);
}

#[tokio::test]
async fn a_person_has_a_bounded_number_of_sessions_and_the_oldest_makes_room() {
    let app = TestApp::new().await;
    let other = app.login(BOT_EMAIL).await;
    let mut pairs = Vec::new();
    for _ in 0..=MAX_ALIVE {
        pairs.push(app.login(DEMO_EMAIL).await);
        app.clock.advance_seconds(1);
    }
    assert_eq!(app.check(&pairs[0], "").await.status, 401);
    assert!(ends(&app).end(&issued(&pairs[0]), app.now()), "the edge can see it");
    for pair in pairs[1..].iter().chain([&other]) {
        assert_eq!(app.check(pair, "").await.status, 200);
    }
}

#[tokio::test]
async fn a_refresh_reads_as_much_of_a_long_file_as_of_a_short_one() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("sessions/revoked.jsonl");
    let revocations = Revocations::open(&path).await.unwrap();
    let id = uuid::Uuid::from_u128;
    let ask = async |number: u128| {
        let token = Genuine {
            session: kit::SessionId(id(number)),
            subject: kit::SubjectId(id(0)),
            tenant: kit::TenantId(id(0)),
            id: id(0),
            issued: UnixTime::from_seconds(1),
            expires: UnixTime::from_seconds(9),
        };
        let before = revocations.bytes_read();
        let ends = revocations.ends(&token, UnixTime::from_seconds(5)).await.unwrap();
        (ends, revocations.bytes_read() - before)
    };
    let append = |numbers: std::ops::RangeInclusive<u128>| {
        use std::io::Write as _;
        let lines: String = numbers
            .map(|number| format!("{{\"sid\":\"{}\",\"from\":1,\"until\":9}}\n", id(number)))
            .collect();
        std::fs::File::options().append(true).open(&path).unwrap().write_all(lines.as_bytes()).unwrap();
    };
    append(1..=10);
    assert!(ask(10).await.0);
    let (_, few) = ask(0).await;
    append(11..=300_000);
    assert!(ask(300_000).await.0 && ask(1).await.0);
    assert_eq!(ask(0).await, (false, few));
}
