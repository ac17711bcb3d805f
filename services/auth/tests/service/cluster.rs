//! The stores in a Redis Cluster: the keys that one script needs are in one slot, and the loss of a primary is followed.

use std::time::Duration;

use auth::code::shared::SharedCodes;
use auth::legacy::store::{Store, Taken};
use auth::revocation::Revocations;
use harness::{RedisCluster, eventually_async as eventually};
use kit::SessionId;
use validity::revocation::{Revocation, SessionEnd};

const PATIENCE: Duration = Duration::from_secs(2);

fn session(number: u8) -> SessionId {
    format!("0192d3c0-0000-4000-8000-0000000000{number:02}").parse().unwrap()
}

/// Takes a session, gives it back, and ends it.
async fn exchanges(store: &Store, session: SessionId) {
    eventually("begun", async || store.begin(session, "key").await.is_ok()).await;
    assert_eq!(store.take(session).await.unwrap(), Taken::Alive);
    assert_eq!(store.take(session).await.unwrap(), Taken::Before);
    assert_eq!(store.key(session).await.unwrap().as_deref(), Some(b"key".as_slice()), "by its copy");
    assert_eq!(store.living_key(session).await.unwrap(), None);
    store.give_back(session).await.unwrap();
    assert!(store.living_key(session).await.unwrap().is_some());
    assert_eq!(store.take(session).await.unwrap(), Taken::Alive);
    store.forget(session).await.unwrap();
    assert_eq!(store.take(session).await.unwrap(), Taken::Gone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stores_work_in_a_cluster_and_after_a_primary_is_lost() {
    let mut cluster = RedisCluster::start();
    let url = cluster.url();
    let home = tempfile::tempdir().unwrap();
    let revocations = Revocations::open_at(Some(&url), &home.path().join("revoked.jsonl")).await.unwrap();
    let mut news = revocations.news();
    assert!(news.next().await.unwrap().is_empty());
    let codes = SharedCodes::new(&url, "authcode:", PATIENCE).unwrap();
    for prefix in ["s:", "{legacy}:"] {
        let store = Store::new(&url, prefix, PATIENCE).unwrap();
        for number in 10..30 {
            exchanges(&store, session(number)).await;
        }
        let all: Vec<SessionId> = (30..40).map(session).collect();
        for one in &all {
            store.begin(*one, "key").await.unwrap();
        }
        store.end(&all).await.unwrap();
        assert_eq!(store.key(session(30)).await.unwrap(), None);
    }
    codes.put("demo@example.com", "code", Duration::from_secs(120)).await.unwrap();
    assert!(codes.take("demo@example.com", "code").await.unwrap());
    assert!(!codes.take("demo@example.com", "code").await.unwrap());

    let end = |number| {
        let sid = session(number).to_string().parse().unwrap();
        Revocation::Session(SessionEnd { sid, from: 1_700_000_000, until: 4_000_000_000 })
    };
    for number in 10..20 {
        revocations.append(end(number)).await.unwrap();
        let mut seen = Vec::new();
        // Each primary passes it on, so it may come more than once, and so may the one before.
        while !seen.contains(&end(number)) {
            seen = news.next().await.unwrap();
        }
    }

    let lost = session(10);
    cluster.kill_primary_of(&format!("s:{lost}"));
    let store = Store::new(&url, "s:", PATIENCE).unwrap();
    exchanges(&store, lost).await;
    eventually("announced", async || revocations.append(end(50)).await.is_ok()).await;
    let mut seen = Vec::new();
    while !seen.contains(&end(50)) {
        // The lost server ends the subscription; the next call reads everything again.
        seen = news.next().await.unwrap_or_default();
    }
    assert!(revocations.append(end(51)).await.is_ok());
}
