//! What becomes of leases while this replica does not learn what ended.

use std::time::{Duration, Instant};

use harness::{Redis, Signal};
use validity::tenant::Standing;

use crate::kit::leases::{behind, get};
use crate::kit::tenants::TenantsService;
use crate::kit::{Authz, Home, TENANT, eventually, pause_async, within_async};

async fn granted(authz: &Authz) -> bool {
    let answer = authz.ask(get(authz.check("me")).session(&authz.token())).await;
    answer.expect(200, "allowed");
    answer.grant().is_some()
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_ends_the_feed_before_it_ends_decisions() {
    let authz = Authz::leasing(Home::new()).await;
    assert!(granted(&authz).await && authz.feed().await.is_some());
    authz.home.write("tenants.yaml", "tenants: [{");
    eventually("stale", async || authz.feed().await.is_none()).await;
    assert!(!granted(&authz).await, "allowed by the last good state, and not to be counted on");
    authz.home.list_tenant("active");
    eventually("fresh", async || authz.feed().await.is_some()).await;
    assert!(granted(&authz).await);

    // A directory in the place of the list of revocations cannot be read.
    std::fs::create_dir(authz.home.at("revoked.jsonl")).unwrap();
    eventually("stale", async || authz.feed().await.is_none()).await;
    let answer = authz.ask(get(authz.check("me")).session(&authz.token())).await;
    assert_eq!(answer.grant(), None);
    std::fs::remove_dir(authz.home.at("revoked.jsonl")).unwrap();
    eventually("fresh", async || authz.feed().await.is_some()).await;
}

#[tokio::test]
async fn a_redis_that_falls_silent_ends_the_feed_at_once_and_a_gap_voids_what_is_older() {
    let mut redis = Redis::start();
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let authz = behind(&service, Some(redis.url()), ", redis: true").await;
    eventually("fresh", async || authz.feed().await.is_some()).await;
    assert!(granted(&authz).await);
    let known = async || authz.feed().await.map_or(0, |feed| feed.reach_ms);
    eventually("a while is known", async || known().await > 1_000).await;

    redis.process().signal(Signal::Stop);
    let stale = async || authz.feed().await.is_none().then_some(());
    let in_time = within_async(Duration::from_millis(450), stale).await;
    assert!(in_time.is_some(), "fresh without a word from Redis");
    let answer = authz.ask(get(authz.check("me")).session(&authz.token())).await;
    assert_eq!(answer.grant(), None, "{}", answer.reason);
    redis.process().signal(Signal::Continue);
    eventually("fresh again", async || authz.feed().await.is_some()).await;

    // The connection is lost: what was pushed meanwhile is nowhere to be read.
    redis.process().signal(Signal::Kill);
    redis.process().wait(Duration::from_secs(20));
    eventually("stale", async || authz.feed().await.is_none()).await;
    redis.restart();
    let first = std::cell::Cell::new(u64::MAX);
    eventually("fresh once more", async || {
        let feed = authz.feed().await;
        first.set(feed.as_ref().map_or(u64::MAX, |feed| feed.reach_ms));
        feed.is_some()
    })
    .await;
    let reach = first.get();
    assert!(reach < 1_000, "{reach} ms are said to be known across a gap");
}

/// Changes are not pushed, so a tenant's state counts for a stated time, and no lease outlives it.
#[tokio::test]
async fn without_a_channel_a_lease_ends_when_the_tenants_state_expires() {
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let authz = behind(&service, None, ", untrusted_after_seconds: 5").await;
    let asked = Instant::now();
    for _ in 0..5 {
        let answer = authz.ask(get(authz.check("me")).session(&authz.token())).await;
        let life = answer.grant().map_or(0, |grant| u64::from(grant.lifetime_ms));
        let until = u128::from(life) + asked.elapsed().as_millis();
        assert!(until <= 5_000 + 1_000, "it lasts until {until} ms after the question");
        assert!(life <= 5_000);
        pause_async(Duration::from_millis(200), "five questions within a second").await;
    }
}
