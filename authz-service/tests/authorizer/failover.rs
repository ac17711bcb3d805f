//! Redis behind sentinels and as a cluster: two replicas, as programs, through the loss of a primary and the move of a slot.

use clock::{Clock as _, SystemClock};
use harness::{RedisCluster, RedisSentinels, Signal};
use std::time::Duration;
use validity::revocation::{Revocation, SessionEnd, SharedRevocations};
use validity::tenant::{SharedTenants, Standing};

use crate::kit::tenants::TenantsService;
use crate::kit::{SESSION, TENANT, eventually};
use crate::limits::{by, passed, together_at};
use crate::replicas::Replicas;

const OTHER: &str = "0192d3c0-0000-7000-8000-0000000000dd";
const THIRD: &str = "0192d3c0-0000-7000-8000-0000000000ee";
const KEEP: Duration = Duration::from_secs(300);

/// A stage of two replicas, and the writers beside them.
struct Stage {
    service: TenantsService,
    replicas: Replicas,
    connection: redis_connection::Connection,
    version: u64,
}

impl Stage {
    async fn at(url: &str) -> Self {
        let service = TenantsService::start().await;
        service.set(TENANT, Standing::Active, 1);
        let replicas = Replicas::start(url, &service).await;
        Self { service, replicas, connection: validity::connect(url).unwrap(), version: 1 }
    }

    fn token(&self, session: &str) -> String {
        self.replicas.token(session, SystemClock.now().seconds() - 100)
    }

    /// Announces a state of the tenant, again until Redis has taken it, as a tenants service does.
    async fn announce(&mut self, standing: Standing) {
        self.version += 1;
        let change = self.service.set(TENANT, standing, self.version);
        let shared = SharedTenants::default();
        let connection = &self.connection;
        eventually("announced", async || {
            shared.announce(&mut connection.clone(), &change, KEEP).await.is_ok()
        })
        .await;
    }

    async fn revoke(&self, session: &str) {
        let now = SystemClock.now().seconds();
        let end =
            Revocation::Session(SessionEnd { sid: session.parse().unwrap(), from: now, until: now + 20_000 });
        let shared = SharedRevocations::default();
        let connection = &self.connection;
        eventually("revoked", async || shared.revoke(&mut connection.clone(), &end).await.is_ok()).await;
    }

    /// What is written now takes force at both within a second; `gone` is the session that ends.
    async fn changes_take_force(&mut self, gone: &str) {
        let (dies, stays) = (self.token(gone), self.token(THIRD));
        self.replicas.expect(&dies, 200, "allowed").await;
        self.announce(Standing::Suspended).await;
        self.replicas.soon(&stays, 403, "tenant_suspended").await;
        self.announce(Standing::Active).await;
        self.replicas.soon(&stays, 200, "allowed").await;
        self.revoke(gone).await;
        self.replicas.soon(&dies, 401, "session_revoked").await;
        self.replicas.expect(&stays, 200, "allowed").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_sentinels_changes_take_force_before_and_after_a_failover() {
    let mut redis = RedisSentinels::start();
    let mut stage = Stage::at(&redis.url()).await;
    stage.changes_take_force(SESSION).await;

    let before = stage.replicas.subscriptions().await;
    let primary = redis.primary();
    let old = primary.address();
    primary.kill();
    redis.fail_over_from(old);
    stage.replicas.subscribed_again(&before).await;
    // What was known before the failover still is.
    stage.replicas.expect(&stage.token(SESSION), 401, "session_revoked").await;
    stage.changes_take_force(OTHER).await;
}

/// The primary hangs: its connections stay open, and it is replaced. It comes back as what it was, until a sentinel tells it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_sentinels_a_primary_that_hangs_is_left() {
    let mut redis = RedisSentinels::start();
    let mut stage = Stage::at(&redis.url()).await;
    stage.changes_take_force(SESSION).await;

    let before = stage.replicas.subscriptions().await;
    let primary = redis.primary();
    let old = primary.address();
    primary.process().signal(Signal::Stop);
    redis.fail_over_from(old);
    stage.replicas.subscribed_again(&before).await;
    stage.changes_take_force(OTHER).await;
    redis.server(old).process().signal(Signal::Continue);
    stage.replicas.expect(&stage.token(OTHER), 401, "session_revoked").await;
    stage.changes_take_force("0192d3c0-0000-7000-8000-0000000000ff").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_changes_take_force_before_and_after_a_primary_is_lost() {
    let mut redis = RedisCluster::start();
    let mut stage = Stage::at(&redis.url()).await;
    stage.changes_take_force(SESSION).await;
    // All keys of the limits of an edge are in one slot.
    let counting = together_at(redis.url(), 1).await;
    assert_eq!(passed(&counting, &by(&counting, "me", 1), 20).await, 10);

    let before = stage.replicas.subscriptions().await;
    redis.kill_primary_of(&format!("revoked:session:{SESSION}"));
    stage.replicas.subscribed_again(&before).await;
    stage.replicas.expect(&stage.token(SESSION), 401, "session_revoked").await;
    stage.changes_take_force(OTHER).await;
}

/// A slot with revocations moves to another primary: both writers and readers follow, and a replica that starts while it is
/// moving misses none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_a_slot_that_moves_is_followed() {
    let mut redis = RedisCluster::start();
    let mut stage = Stage::at(&redis.url()).await;
    stage.changes_take_force(SESSION).await;
    let key = format!("revoked:session:{SESSION}");
    let url = redis.url();
    let handle = tokio::runtime::Handle::current();
    let (service, dead) = (&stage.service, stage.token(SESSION));
    tokio::task::block_in_place(|| {
        redis.move_slot(&key, || {
            handle.block_on(async {
                // The key is at its new primary, which does not own the slot yet.
                let others = Replicas::start(&url, service).await;
                others
                    .expect(&others.token(SESSION, SystemClock.now().seconds() - 100), 401, "session_revoked")
                    .await;
                stage.replicas.expect(&dead, 401, "session_revoked").await;
                // ASK: a writer that meets it there joins what is stored.
                stage.revoke(SESSION).await;
            });
        });
    });
    // MOVED
    stage.revoke(SESSION).await;
    let stored = redis.primary_of(&key).cli(&["GET", &key]);
    assert!(stored.contains('|'), "it is at its new primary: {stored}");
    stage.changes_take_force(OTHER).await;
}
