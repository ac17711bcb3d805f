//! How often: alone, with other replicas through a real Redis, and while that is gone, stuck or wrong.

use std::time::{Duration, Instant};

use harness::{Redis, Signal};
use serde_json::json;

use crate::kit::check::Check;
use crate::kit::mint::claims_with;
use crate::kit::{Authz, Home, SUBJECT, eventually, pause_async};

/// The edge with `limits`, and `of_routes` (route, its limits) added to its routes.
fn with(limits: &str, of_routes: &[(&str, &str)]) -> impl Fn(String) -> String {
    move |edge: String| {
        let mut text = edge.replacen("answers:\n", &format!("limits:\n{limits}\nanswers:\n"), 1);
        // Without Redis, revocations cannot be known, and no request would reach a limit (`pushed`).
        let list = text.lines().find(|line| line.contains("revocations:")).unwrap().to_owned();
        text = text.replace(&format!("{list}\n"), "");
        for (route, names) in of_routes {
            let line =
                text.lines().find(|line| line.contains(&format!("name: {route},"))).unwrap().to_owned();
            text = text.replace(&line, &line.replace(" }", &format!(", limits: [{names}] }}")));
        }
        text
    }
}

/// A limit of ten that gives nothing back while a test runs.
const TEN: &str = "  ten: { per: subject, rate: 10, seconds: 3600 }";

/// A replica that shares `redis` with others, once it is connected.
async fn together(redis: &Redis, replicas: u32) -> Authz {
    together_at(redis.url(), replicas).await
}

/// The same by the address.
pub(crate) async fn together_at(url: String, replicas: u32) -> Authz {
    let mut home = Home::new();
    home.redis = Some(url);
    let authz = Authz::start_with(home, |edge| {
        let edge = with(TEN, &[("me", "ten"), ("books", "ten")])(edge);
        edge.replace("timeout_ms: 200", &format!("timeout_ms: 200, replicas: {replicas}"))
    })
    .await;
    until_shared(&authz).await;
    authz
}

/// How many of `count` requests pass.
pub(crate) async fn passed(authz: &Authz, check: &Check, count: usize) -> usize {
    let mut passed = 0;
    for _ in 0..count {
        let answer = authz.ask(check.clone()).await;
        assert!(answer.is(200, "allowed") || answer.is(429, "rate_limited"), "{answer:?}");
        passed += usize::from(answer.status == 200);
    }
    passed
}

/// A check on `route` by the person whose id ends with `who`.
pub(crate) fn by(authz: &Authz, route: &str, who: u32) -> Check {
    let subject = format!("{}{who:04x}", &SUBJECT[..32]);
    authz.check(route).session(&authz.home.session.token(&claims_with(&json!({ "sub": subject }))))
}

async fn counted(authz: &Authz, result: &str) -> u64 {
    let (_, metrics) = authz.get("/metrics").await;
    let start = format!("authz_limit_checks_total{{result=\"{result}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok()).unwrap_or_default()
}

/// Waits until Redis weighs requests again.
pub(crate) async fn until_shared(authz: &Authz) {
    let before = counted(authz, "shared").await;
    // A new caller each time: Redis gets no requests for a caller over the limit.
    let mut who = 1_000;
    eventually("Redis is asked again", || {
        who += 1;
        async move {
            let _ = authz.ask(by(authz, "me", who)).await;
            counted(authz, "shared").await > before
        }
    })
    .await;
}

#[tokio::test]
async fn over_a_limit_and_back_on_the_documented_second() {
    let limits = "  calm: { per: subject, rate: 6, seconds: 60, burst: 2 }";
    let authz = Authz::start_with(Home::new(), with(limits, &[("me", "calm"), ("books", "calm")])).await;
    let one = by(&authz, "me", 1);
    assert_eq!(passed(&authz, &one, 2).await, 2);
    let over = authz.ask(one.clone()).await;
    over.expect(429, "rate_limited");
    assert_eq!(over.body, "Too many requests");
    let headers: Vec<_> = over.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        headers,
        [
            ("ratelimit", "\"calm\";r=0;t=10"),
            ("ratelimit-policy", "\"calm\";q=6;w=60"),
            ("retry-after", "10"),
            ("x-cutover-bare", "1"),
        ]
    );
    assert_eq!(over.metadata["limit"], "calm");
    // One counter for all routes that name the limit, one for each person.
    let library = authz.ask(by(&authz, "books", 1)).await;
    library.expect(429, "rate_limited");
    assert_eq!(library.headers["content-type"], "application/json; charset=utf-8");
    authz.ask(by(&authz, "me", 2)).await.expect(200, "allowed");

    authz.clock.advance_seconds(9);
    let late = authz.ask(one.clone()).await;
    late.expect(429, "rate_limited");
    assert_eq!(late.headers["retry-after"], "1");
    authz.clock.advance_seconds(1);
    assert_eq!(passed(&authz, &one, 3).await, 1);
    let (_, metrics) = authz.get("/metrics").await;
    assert!(metrics.contains("authz_limited_total{limit=\"calm\",route=\"me\"} 4"), "{metrics}");
}

#[tokio::test]
async fn each_counts_by_its_own() {
    let limits = "  session: { per: session, rate: 1, seconds: 3600 }
  tenant: { per: tenant, rate: 3, seconds: 3600 }
  everybody: { per: route, rate: 2, seconds: 3600 }
  caller: { per: service, rate: 1, seconds: 3600 }";
    let of_routes = [("me", "session"), ("books", "tenant"), ("shelf", "everybody"), ("events", "caller")];
    let authz = Authz::start_with(Home::new(), with(limits, &of_routes)).await;
    assert_eq!(passed(&authz, &by(&authz, "me", 1), 3).await, 1);
    assert_eq!(passed(&authz, &by(&authz, "me", 2), 3).await, 0, "the same session under any subject");
    assert_eq!(passed(&authz, &by(&authz, "books", 1), 2).await, 2);
    assert_eq!(passed(&authz, &by(&authz, "books", 2), 5).await, 1, "one tenant, two people");
    assert_eq!(passed(&authz, &by(&authz, "shelf", 1), 1).await, 1);
    assert_eq!(passed(&authz, &by(&authz, "shelf", 2), 5).await, 1);
    for (name, expected) in [("auth", 1), ("sync", 1)] {
        let key = authz.home.at(&format!("{name}.pem"));
        let signer = identity::assertion::Signer::from_file(name, &key).unwrap();
        let caller = identity::Caller::Service(name.parse().unwrap());
        let now = clock::UnixTime::from_seconds(crate::kit::NOW);
        let check = authz.check("events").bearer(&signer.sign(&caller, "test", now).unwrap());
        assert_eq!(passed(&authz, &check, 3).await, expected, "{name}");
    }
}

#[tokio::test]
async fn guessing_credentials_is_limited_by_address_before_any_is_verified() {
    let limits = "  guesses: { per: address, rate: 5, seconds: 3600 }\n  few: { per: subject, rate: 9, seconds: 3600 }";
    let authz = Authz::start_with(Home::new(), with(limits, &[("me", "few, guesses")])).await;
    let bad = authz.check("me").session("nonsense").client("192.0.2.1");
    for _ in 0..5 {
        authz.ask(bad.clone()).await.expect(401, "token_malformed");
    }
    authz.ask(bad.clone()).await.expect(429, "rate_limited");
    let misses = |metrics: &str| {
        metrics
            .lines()
            .find(|l| l.starts_with("authz_cache_misses_total{cache=\"tokens\""))
            .map(str::to_owned)
    };
    let before = misses(&authz.get("/metrics").await.1);
    let good = by(&authz, "me", 1);
    authz.ask(good.clone().client("192.0.2.1")).await.expect(429, "rate_limited");
    assert_eq!(misses(&authz.get("/metrics").await.1), before, "a token was looked at");
    // No other caller is limited: not the person, and not another address.
    assert_eq!(passed(&authz, &good.clone().client("192.0.2.2"), 20).await, 5, "the address, not the person");
    assert_eq!(passed(&authz, &good.client("2001:db8::1"), 20).await, 4, "what is left to the person");
    // All addresses of one IPv6 network are one.
    let network = authz.check("me").session("nonsense");
    for host in 1..=4 {
        authz
            .ask(network.clone().client(&format!("2001:db8:0:1::{host}")))
            .await
            .expect(401, "token_malformed");
    }
    authz.ask(network.clone().client("2001:db8:0:1:ffff::")).await.expect(401, "token_malformed");
    authz.ask(network.client("2001:db8:0:1::9")).await.expect(429, "rate_limited");
}

#[tokio::test]
async fn an_internal_route_stays_unseen_and_a_failure_is_not_charged() {
    let limits = "  guesses: { per: address, rate: 1, seconds: 3600 }";
    let authz =
        Authz::start_with(Home::new(), with(limits, &[("lookup", "guesses"), ("me", "guesses")])).await;
    let outside = authz.check("lookup").extension("exposure", "public").client("192.0.2.1");
    for _ in 0..3 {
        authz.ask(outside.clone()).await.expect(404, "internal_only");
    }
    std::fs::remove_file(authz.home.at("tenants.yaml")).unwrap();
    authz.ask(by(&authz, "me", 1).client("192.0.2.1")).await.expect(200, "allowed");
    authz.ask(by(&authz, "me", 1).client("192.0.2.1")).await.expect(429, "rate_limited");
}

#[tokio::test]
async fn a_public_route_with_a_limit_is_decided_and_stays_public() {
    let authz = Authz::start_with(
        Home::new(),
        with("  door: { per: address, rate: 2, seconds: 3600 }", &[("open", "door")]),
    )
    .await;
    let check = authz.check("open").client("192.0.2.1");
    let answer = authz.ask(check.clone()).await;
    answer.expect(200, "allowed");
    assert_eq!(answer.headers["x-auth-public"], "1");
    assert!(answer.removed.contains(&"x-auth-identity".to_owned()), "{answer:?}");
    assert_eq!(passed(&authz, &check, 5).await, 1);
    // Callers without a known address share one counter.
    assert_eq!(passed(&authz, &authz.check("open"), 5).await, 2);
}

#[tokio::test]
async fn a_limit_in_shadow_is_reported_and_refuses_no_request() {
    let limits = "  tried: { per: subject, rate: 2, seconds: 3600, mode: shadow }\n  ten: { per: subject, rate: 10, seconds: 3600 }";
    for redis in [None, Some(Redis::start())] {
        let mut home = Home::new();
        home.redis = redis.as_ref().map(Redis::url);
        let authz = Authz::start_with(home, with(limits, &[("me", "tried, ten")])).await;
        let check = by(&authz, "me", 1);
        assert_eq!(passed(&authz, &check, 2).await, 2);
        let third = authz.ask(check.clone()).await;
        third.expect(200, "allowed");
        assert_eq!(third.metadata["shadow_reason"], "rate_limited:tried");
        assert_eq!(passed(&authz, &check, 20).await, 7, "the limit that is enforced still counts");
        let (_, metrics) = authz.get("/metrics").await;
        let row = "authz_shadow_total{kind=\"limit\",name=\"tried\",reason=\"rate_limited\",route=\"me\"} ";
        assert!(metrics.lines().any(|line| line.starts_with(row)), "{metrics}");
    }
}

#[tokio::test]
async fn replicas_count_together_and_a_request_is_one_round_trip() {
    let redis = Redis::start();
    let (one, other) = (together(&redis, 2).await, together(&redis, 2).await);
    let both = async |result| counted(&one, result).await + counted(&other, result).await;
    let (local, shared) = (both("local").await, both("shared").await);
    let mut total = 0;
    for _ in 0..20 {
        total += passed(&one, &by(&one, "me", 1), 1).await;
        total += passed(&other, &by(&other, "books", 1), 1).await;
    }
    assert_eq!(total, 10);
    assert_eq!(both("local").await, local);
    // Each replica received the refusal once, and sent no more requests for the person.
    assert_eq!(both("shared").await - shared, 12);

    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    assert!(keys.contains(&format!("cutover:{{limits:test}}:ten:{}0001", &SUBJECT[..32])), "{keys:?}");
    for key in keys {
        assert!(key.starts_with("cutover:{limits:test}:"), "{key} may be on another shard");
        let life: i64 = redis::cmd("PTTL").arg(&key).query(&mut connection).unwrap();
        assert!((1..=3_600_000).contains(&life), "{key} lives {life} ms");
    }
    let calls: String = redis::cmd("INFO").arg("commandstats").query(&mut connection).unwrap();
    assert!(calls.contains("cmdstat_evalsha:calls="), "{calls}");
}

#[tokio::test]
async fn many_at_once_through_redis_are_counted_exactly() {
    let redis = Redis::start();
    let authz = together(&redis, 1).await;
    let local = counted(&authz, "local").await;
    let all = (0..60).map(|_| authz.ask(by(&authz, "me", 1)));
    let answers = futures_util::future::join_all(all).await;
    let local = counted(&authz, "local").await - local;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    // A busy machine may keep Redis waiting; then the local part joins in, within its bound.
    assert!(passed == 10 || (local > 0 && passed <= 20), "{passed} passed, {local} locally");
}

/// Down: each replica goes on with its share. Twice the limit is the bound, whatever happens.
#[tokio::test]
async fn without_redis_each_replica_has_its_share_and_back_with_it_they_count_together() {
    let mut redis = Redis::start();
    let (one, other) = (together(&redis, 2).await, together(&redis, 2).await);
    assert_eq!(passed(&one, &by(&one, "me", 1), 10).await, 10, "through Redis");
    redis.process().signal(Signal::Kill);
    redis.process().wait(Duration::from_secs(10));

    // `other` has not met the person yet, so nothing is remembered there; `one` has let ten through already.
    let alone = passed(&one, &by(&one, "me", 1), 20).await + passed(&other, &by(&other, "me", 1), 20).await;
    assert_eq!(alone, 10, "five each");
    assert_eq!(passed(&one, &by(&one, "me", 2), 20).await, 5);
    assert_eq!(passed(&other, &by(&other, "me", 2), 20).await, 5);

    redis.restart();
    until_shared(&other).await;
    let before = counted(&other, "local").await;
    assert!(passed(&other, &by(&other, "me", 4), 20).await >= 10);
    assert_eq!(counted(&other, "local").await, before, "alone although Redis is back");
}

/// Slow: after one request waited in vain, no request waits for a while.
#[tokio::test]
async fn a_redis_that_hangs_costs_one_request_in_each_pause() {
    let mut redis = Redis::start();
    let authz = together(&redis, 1).await;
    assert_eq!(passed(&authz, &by(&authz, "me", 1), 3).await, 3);
    redis.process().signal(Signal::Stop);
    let before = counted(&authz, "failed").await;
    let since = Instant::now();
    for who in 100..200 {
        authz.ask(by(&authz, "me", who)).await.expect(200, "allowed");
    }
    let pauses = since.elapsed().as_secs();
    let failed = counted(&authz, "failed").await - before;
    assert!((1..=pauses + 1).contains(&failed), "{failed} waited within {pauses} s");
    assert_eq!(passed(&authz, &by(&authz, "me", 1), 20).await, 10, "one burst more, and no further");

    redis.process().signal(Signal::Continue);
    until_shared(&authz).await;
    assert_eq!(passed(&authz, &by(&authz, "me", 1), 20).await, 0, "no caller is forgotten");
}

/// Wrong: a counter that is not a number counts as absent, one of another type as no answer.
#[tokio::test]
async fn a_redis_with_wrong_values_or_without_the_script_still_limits() {
    let redis = Redis::start();
    let authz = together(&redis, 1).await;
    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let failed = counted(&authz, "failed").await;
    let key = |who: u32| format!("cutover:{{limits:test}}:ten:{}{who:04x}", &SUBJECT[..32]);
    let () = redis::cmd("SET").arg(key(1)).arg("nonsense").query(&mut connection).unwrap();
    assert_eq!(passed(&authz, &by(&authz, "me", 1), 20).await, 10);
    let () = redis::cmd("SET").arg(key(2)).arg("9e300").query(&mut connection).unwrap();
    assert_eq!(passed(&authz, &by(&authz, "me", 2), 20).await, 0, "owes at most one burst");
    let () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut connection).unwrap();
    assert_eq!(passed(&authz, &by(&authz, "me", 3), 20).await, 10);
    assert_eq!(counted(&authz, "failed").await, failed);
    let _: i64 = redis::cmd("LPUSH").arg(key(4)).arg("x").query(&mut connection).unwrap();
    assert_eq!(passed(&authz, &by(&authz, "me", 4), 20).await, 10, "counted alone");
    assert_eq!(counted(&authz, "failed").await, failed + 1);
}

/// A Redis clock that was set back, or a number from another writer: the debt shrinks with each second.
#[tokio::test]
async fn a_number_from_the_future_in_redis_is_a_debt_of_one_burst_and_not_for_ever() {
    let redis = Redis::start();
    let mut home = Home::new();
    home.redis = Some(redis.url());
    let quick = "  quick: { per: subject, rate: 2, seconds: 1 }";
    let authz = Authz::start_with(home, with(quick, &[("me", "quick")])).await;
    until_shared(&authz).await;
    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let key = format!("cutover:{{limits:test}}:quick:{}0001", &SUBJECT[..32]);
    let () = redis::cmd("SET").arg(&key).arg("9000000000000000").query(&mut connection).unwrap();
    let before = counted(&authz, "shared").await;
    authz.ask(by(&authz, "me", 1)).await.expect(429, "rate_limited");
    assert_eq!(counted(&authz, "shared").await, before + 1, "Redis weighed it");
    // This replica's memory of the refusal ends by its own clock, which moves only when the test moves it.
    pause_async(Duration::from_millis(1_100), "the debt of one burst in Redis is paid").await;
    authz.clock.advance_seconds(2);
    authz.ask(by(&authz, "me", 1)).await.expect(200, "allowed");
}

#[tokio::test]
async fn a_redis_that_is_not_there_at_the_start_delays_no_request() {
    let mut home = Home::new();
    let nowhere = harness::Port::lease();
    home.redis = Some(format!("redis://{}/", nowhere.address()));
    let authz = Authz::start_with(home, with(TEN, &[("me", "ten")])).await;
    assert_eq!(passed(&authz, &by(&authz, "me", 1), 20).await, 10);
    assert_eq!(authz.get("/readyz").await.0, 200);
}
