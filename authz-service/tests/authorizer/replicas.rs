//! Two replicas, as programs, beside one Redis: what changes holds at both within a second.

use std::time::{Duration, Instant};

use clock::{Clock as _, SystemClock};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use harness::Redis;
use serde_json::json;
use tonic::transport::Channel;
use validity::revocation::{Revocation, SessionEnd, SharedRevocations, SubjectEnd, TenantEnd};
use validity::tenant::{SharedTenants, Standing};

use crate::binary::{Running, any, program};
use crate::kit::check::{Answer, Check, read};
use crate::kit::mint::claims_with;
use crate::kit::tenants::TenantsService;
use crate::kit::{Home, SESSION, SUBJECT, TENANT, eventually};

/// The promise: within a second, everywhere.
const PROMISE: Duration = Duration::from_secs(1);

struct Replica {
    running: Running,
    client: AuthorizationClient<Channel>,
}

pub(crate) struct Replicas {
    home: Home,
    revision: String,
    both: Vec<Replica>,
}

impl Replicas {
    /// Two replicas at the Redis at `url`.
    pub(crate) async fn start(url: &str, service: &TenantsService) -> Self {
        let home = Home::new();
        let text = home.edge_text(|edge| {
            let file = format!("tenants: {{ file: \"{}/tenants.yaml\" }}", home.path().display());
            assert!(edge.contains(&file));
            edge.replace(&file, &service.line(", redis: true, memory_seconds: 300"))
        });
        std::fs::write(home.at("edge.yaml"), &text).unwrap();
        let revision = edge_config::parse("edge.yaml".as_ref(), &text, &|_| None).unwrap().revision.0;
        let mut both = Vec::new();
        for _ in 0..2 {
            let mut command = program(&home, any(), any());
            command.env("REDIS_URL", url);
            let running = Running::start(command);
            let ready = format!("http://{}/readyz", running.admin);
            eventually("ready", async || {
                reqwest::get(&ready).await.is_ok_and(|response| response.status().is_success())
            })
            .await;
            let client = AuthorizationClient::connect(format!("http://{}", running.checks)).await.unwrap();
            both.push(Replica { running, client });
        }
        Self { home, revision, both }
    }

    pub(crate) fn token(&self, session: &str, issued: u64) -> String {
        let times = json!({ "sid": session, "iat": issued, "exp": issued + 14_400 });
        self.home.session.token(&claims_with(&times))
    }

    pub(crate) async fn ask(&self, token: &str) -> Vec<Answer> {
        let mut answers = Vec::new();
        for replica in &self.both {
            let check = Check::new().extension("route", "me").extension("policy", "signed-in");
            let check = check.extension("revision", &self.revision).extension("exposure", "public");
            let wire = check.session(token).wire();
            answers.push(read(replica.client.clone().check(wire).await.unwrap().into_inner()));
        }
        answers
    }

    pub(crate) async fn expect(&self, token: &str, status: u16, reason: &str) {
        for answer in self.ask(token).await {
            answer.expect(status, reason);
        }
    }

    /// Waits until both say so, and fails when that is not as soon as promised.
    pub(crate) async fn soon(&self, token: &str, status: u16, reason: &str) {
        let since = Instant::now();
        loop {
            let answers = self.ask(token).await;
            if answers.iter().all(|answer| answer.is(status, reason)) {
                return;
            }
            assert!(since.elapsed() < PROMISE, "not {reason} within {PROMISE:?}: {answers:?}");
        }
    }
}

impl Replicas {
    /// Waits until both have subscribed, `more` times since their start.
    pub(crate) async fn subscribed_again(&self, before: &[u64]) {
        for (replica, before) in self.both.iter().zip(before) {
            eventually("subscribed again", async || {
                let (times, is_subscribed) = subscriptions(replica).await;
                is_subscribed && times > *before
            })
            .await;
        }
    }

    /// How often each has subscribed.
    pub(crate) async fn subscriptions(&self) -> Vec<u64> {
        let mut all = Vec::new();
        for replica in &self.both {
            all.push(subscriptions(replica).await.0);
        }
        all
    }
}

/// How often `replica` has subscribed, and whether it is subscribed.
async fn subscriptions(replica: &Replica) -> (u64, bool) {
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{}{path}", replica.running.admin)).await.unwrap();
        answer.text().await.unwrap()
    };
    let metrics = get("/metrics").await;
    let times = metrics.lines().find_map(|line| line.strip_prefix("authz_push_total{event=\"subscribed\"} "));
    let times = times.and_then(|times| times.parse().ok()).unwrap_or_default();
    (times, get("/stats").await.contains("\"push\":\"subscribed\""))
}

#[tokio::test]
async fn a_change_of_a_tenant_holds_at_both_within_a_second() {
    let redis = Redis::start();
    let service = TenantsService::start().await;
    let shared = SharedTenants::default();
    let mut connection = validity::connect(&redis.url()).unwrap();
    let keep = Duration::from_secs(300);
    service.set(TENANT, Standing::Active, 1);
    let replicas = Replicas::start(&redis.url(), &service).await;
    let token = replicas.token(SESSION, SystemClock.now().seconds() - 10);
    replicas.expect(&token, 200, "allowed").await;

    for (version, standing, status, reason) in [
        (2, Standing::Suspended, 403, "tenant_suspended"),
        (3, Standing::Active, 200, "allowed"),
        (4, Standing::Deleted, 403, "tenant_unknown"),
    ] {
        let change = service.set(TENANT, standing, version);
        shared.announce(&mut connection, &change, keep).await.unwrap();
        replicas.soon(&token, status, reason).await;
    }
    assert!(service.asked(TENANT) <= 2, "what was pushed was not asked for again");
    for replica in &replicas.both {
        let stats = reqwest::get(format!("http://{}/stats", replica.running.admin)).await.unwrap();
        assert!(stats.text().await.unwrap().contains("\"push\":\"subscribed\""));
    }
}

#[tokio::test]
async fn a_revocation_holds_at_both_within_a_second() {
    let redis = Redis::start();
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let replicas = Replicas::start(&redis.url(), &service).await;
    let shared = SharedRevocations::default();
    let mut connection = validity::connect(&redis.url()).unwrap();
    let now = SystemClock.now().seconds();
    let until = now + 20_000;

    let token = replicas.token(SESSION, now - 100);
    replicas.expect(&token, 200, "allowed").await;
    let end = SessionEnd { sid: SESSION.parse().unwrap(), from: now, until };
    shared.revoke(&mut connection, &Revocation::Session(end)).await.unwrap();
    replicas.soon(&token, 401, "session_revoked").await;

    let other = "0192d3c0-0000-7000-8000-0000000000dd";
    let (old, new) = (replicas.token(other, now - 100), replicas.token(other, now - 50));
    replicas.expect(&old, 200, "allowed").await;
    let end = SubjectEnd { sub: SUBJECT.parse().unwrap(), before: now - 60, until };
    shared.revoke(&mut connection, &Revocation::Subject(end)).await.unwrap();
    replicas.soon(&old, 401, "session_revoked").await;
    replicas.expect(&new, 200, "allowed").await;

    let end = TenantEnd { tid: TENANT.parse().unwrap(), before: now - 40, until };
    shared.revoke(&mut connection, &Revocation::Tenant(end)).await.unwrap();
    replicas.soon(&new, 401, "session_revoked").await;
    replicas.expect(&replicas.token(other, now - 30), 200, "allowed").await;
}
