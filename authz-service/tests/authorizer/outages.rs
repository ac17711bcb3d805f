//! Stores and files that are killed, frozen or corrupted under a running authorizer, where no other file is about them.

use std::time::{Duration, Instant};

use harness::{Redis, Signal};
use redis::AsyncTypedCommands as _;
use validity::tenant::Standing;

use crate::kit::check::Answer;
use crate::kit::tenants::TenantsService;
use crate::kit::{Authz, Home, NOW, TENANT, eventually, pause_async};
use crate::matrix::machines::{self, Signed};
use crate::pushed::{start, subscribed, tenant};

/// Redis is killed: the tenants service is asked, for a tenant that is remembered once `untrusted_after_seconds` are
/// over, and for any other at once. When Redis is back, it is used again.
#[tokio::test]
async fn without_redis_the_tenants_service_is_queried() {
    let mut redis = Redis::start();
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    service.set(&tenant(21), Standing::Active, 1);
    let authz = start(&service, Some(redis.url()), false).await;
    subscribed(&authz).await;
    authz.ask_for(TENANT).await.expect(200, "allowed");
    redis.process().signal(Signal::Kill);
    redis.process().wait(Duration::from_secs(20));
    authz.ask_for(&tenant(21)).await.expect(200, "allowed");
    service.set(TENANT, Standing::Suspended, 2);
    eventually("found out", async || authz.ask_for(TENANT).await.is(403, "tenant_suspended")).await;
    assert_eq!(authz.get("/readyz").await.0, 200, "every replica would lose its readiness at once");
    redis.restart();
    subscribed(&authz).await;
    service.set(&tenant(22), Standing::Active, 1);
    authz.ask_for(&tenant(22)).await.expect(200, "allowed");
    let connection = validity::connect(&redis.url()).unwrap();
    let stored = validity::tenant::key(&tenant(22).parse().unwrap());
    eventually("shared again", async || connection.clone().exists(&stored).await.unwrap()).await;
}

/// The Redis that remembers nonces is killed, frozen, holds another type, or is emptied: signed routes say 503, each after
/// at most 50 ms, and all other requests go on.
#[tokio::test]
async fn without_its_redis_no_signed_request_passes_and_nothing_else_is_touched() {
    let mut redis = Redis::start();
    let mut home = machines::home();
    home.redis = Some(redis.url());
    let directory = home.path().display().to_string();
    let with_machines = machines::edge(&home);
    // Revocations would be in Redis too, and they are another dependency.
    let authz = Authz::start_with(home, |edge| {
        with_machines(edge).replace(&format!("  revocations: \"{directory}/revoked.jsonl\"\n"), "")
    })
    .await;
    let ask = async || -> Answer {
        let check = authz.check("me").extension("route", "sync").extension("policy", "partner");
        authz.ask(Signed::good().offer(check)).await
    };
    // Its memory vouches for what was made after it began.
    authz.clock.advance_seconds(10);
    eventually("the nonces are there", async || ask().await.is(200, "allowed")).await;
    let unavailable = async |what: &str| {
        eventually(what, async || ask().await.is(503, "nonces_unavailable")).await;
        let asked = Instant::now();
        ask().await.expect(503, "nonces_unavailable");
        assert!(asked.elapsed() < Duration::from_secs(2), "{what}: {:?}", asked.elapsed());
        authz.ask_with(&authz.token()).await.expect(200, "allowed");
    };
    redis.process().signal(Signal::Stop);
    unavailable("frozen").await;
    redis.process().signal(Signal::Continue);
    eventually("thawed", async || ask().await.is(200, "allowed")).await;

    let mut connection = validity::connect(&redis.url()).unwrap();
    let since = connection.keys("*:since").await.unwrap();
    let [since] = since.as_slice() else { panic!("{since:?}") };
    connection.del(since).await.unwrap();
    connection.lpush(since, "x").await.unwrap();
    unavailable("another type").await;
    connection.del(since).await.unwrap();
    unavailable("emptied: what could have been used before is not vouched for").await;

    redis.process().signal(Signal::Kill);
    redis.process().wait(Duration::from_secs(20));
    unavailable("killed").await;
    redis.restart();
    // It knows nothing, so what was made before is refused; what is made after its first question passes.
    authz.clock.set(clock::UnixTime::from_seconds(NOW + 10_000));
    let later = async |created: u64| machines::ask(&authz, created).await;
    pause_async(
        Duration::from_millis(1_500),
        "while it was gone, no request tried it for a second at a time",
    )
    .await;
    later(NOW + 10_000).await.expect(503, "nonces_unavailable");
    authz.clock.advance_seconds(10);
    eventually("back", async || later(NOW + 10_010).await.is(200, "allowed")).await;
}

/// The list of signing keys, or a secret that it names, is gone or wrong: the last good keys serve for an hour.
#[tokio::test]
async fn signing_keys_that_are_gone_or_wrong_serve_for_an_hour() {
    for (file, content) in
        [("signing-keys.yaml", None), ("signing-keys.yaml", Some("keys: [")), ("partner.secret", None)]
    {
        let authz = machines::start().await;
        let ask = async |created: u64| machines::ask(&authz, created).await;
        authz.clock.advance_seconds(10);
        ask(NOW + 10).await.expect(200, "allowed");
        let before = std::fs::read_to_string(authz.home.at(file)).unwrap();
        match content {
            None => std::fs::remove_file(authz.home.at(file)).unwrap(),
            Some(text) => authz.home.write(file, text),
        }
        eventually("reported", async || authz.get("/readyz").await.1.contains(file)).await;
        authz.clock.advance_seconds(3_600);
        ask(NOW + 3_610).await.expect(200, "allowed");
        authz.clock.advance_seconds(1);
        ask(NOW + 3_611).await.expect(503, "signing_keys_unavailable");
        authz.ask_with(&authz.token()).await.expect(200, "allowed");
        let path = authz.home.at(file);
        std::fs::write(&path, before).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        eventually("back", async || ask(NOW + 3_611).await.is(200, "allowed")).await;
    }
}

/// The audit's file cannot be written: decisions go on, and each event that is lost is counted.
#[tokio::test]
async fn an_audit_that_cannot_be_written_costs_events_that_are_counted_and_no_decision() {
    let home = Home::new();
    // A directory in the file's place.
    std::fs::create_dir(home.at("audit.jsonl")).unwrap();
    let authz = Authz::start_with(home, |edge| edge).await;
    for _ in 0..20 {
        authz.ask(authz.check("me")).await.expect(401, "no_credential");
        authz.ask_with(&authz.token()).await.expect(200, "allowed");
    }
    let lost = async || {
        let (_, metrics) = authz.get("/metrics").await;
        let line =
            metrics.lines().find_map(|line| line.strip_prefix("authz_audit_dropped_total{sink=\"file\"} "));
        line.and_then(|count| count.parse::<u64>().ok()).unwrap_or_default()
    };
    eventually("counted", async || lost().await >= 20).await;
}
