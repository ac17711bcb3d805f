//! What happens when Redis or the tenants service is down, slow or wrong.

use std::time::Duration;

use harness::{Redis, Signal};
use redis::AsyncTypedCommands as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use validity::revocation::{Revocation, SessionEnd, SharedRevocations};
use validity::tenant::{Record, SharedTenants, Standing, key};

use crate::kit::mint::claims_with;
use crate::kit::tenants::{Manner, TenantsService};
use crate::kit::{Authz, Home, NOW, SESSION, TENANT, eventually, pause_async};

/// Tenants behind `service`, with Redis at `url`; revocations only when a test is about them.
pub(crate) async fn start(service: &TenantsService, url: Option<String>, revocations: bool) -> Authz {
    let mut home = Home::new();
    let directory = home.path().display().to_string();
    let more = if url.is_some() { ", redis: true, untrusted_after_seconds: 2" } else { "" };
    let line = service.line(more);
    home.redis = url;
    Authz::start_with(home, |edge| {
        let edge = edge.replace(&format!("tenants: {{ file: \"{directory}/tenants.yaml\" }}"), &line);
        assert!(edge.contains("grpc:"));
        let list = format!("  revocations: \"{directory}/revoked.jsonl\"\n");
        assert!(edge.contains(&list));
        if revocations { edge } else { edge.replace(&list, "") }
    })
    .await
}

pub(crate) async fn subscribed(authz: &Authz) {
    eventually("subscribed", async || authz.get("/stats").await.1.contains("\"push\":\"subscribed\"")).await;
}

pub(crate) fn tenant(number: u32) -> String {
    format!("00000000-0000-7000-8000-00000000{number:04}")
}

impl Authz {
    pub(crate) async fn ask_for(&self, tenant: &str) -> crate::kit::check::Answer {
        self.ask_with(&self.home.session.token(&claims_with(&json!({ "tenantId": tenant })))).await
    }
}

#[tokio::test]
async fn a_tenants_service_that_is_down_slow_or_wrong() {
    let mut service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    service.set(&tenant(11), Standing::Active, 1);
    let authz = start(&service, None, false).await;
    authz.ask_for(TENANT).await.expect(200, "allowed");
    authz.ask_for(&tenant(12)).await.expect(403, "tenant_unknown");
    for manner in [Manner::Never, Manner::AboutAnother, Manner::Vaguely, Manner::Internal] {
        service.answer(manner);
        let answer = authz.ask_for(&tenant(11)).await;
        answer.expect(503, "tenants_unavailable");
        assert_eq!(answer.body, "Service unavailable", "{manner:?}");
    }
    service.answer(Manner::Well);
    service.stop();
    eventually("gone", async || authz.ask_for(&tenant(13)).await.is(503, "tenants_unavailable")).await;
    authz.ask_for(&tenant(11)).await.expect(503, "tenants_unavailable");
    service.restart().await;
    eventually("back at once", async || authz.ask_for(&tenant(11)).await.is(200, "allowed")).await;
}

#[tokio::test]
async fn without_redis_a_suspension_is_late_by_the_stated_time() {
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let authz = start(&service, None, false).await;
    authz.ask_for(TENANT).await.expect(200, "allowed");
    service.set(TENANT, Standing::Suspended, 2);
    // Five seconds are the default of `untrusted_after_seconds`; `memory_seconds` would be two minutes.
    eventually("suspended", async || authz.ask_for(TENANT).await.is(403, "tenant_suspended")).await;
}

#[tokio::test]
async fn a_state_that_one_replica_looked_up_the_other_finds_in_redis() {
    let redis = Redis::start();
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let one = start(&service, Some(redis.url()), false).await;
    subscribed(&one).await;
    one.ask_for(TENANT).await.expect(200, "allowed");
    let mut connection = validity::connect(&redis.url()).unwrap();
    let stored = key(&TENANT.parse().unwrap());
    eventually("shared", async || connection.clone().exists(&stored).await.unwrap()).await;

    let other = start(&service, Some(redis.url()), false).await;
    subscribed(&other).await;
    other.ask_for(TENANT).await.expect(200, "allowed");
    assert_eq!(service.asked(TENANT), 1);

    // Everything is gone, and a crowd comes to a replica that remembers nothing: one question.
    let third = start(&service, Some(redis.url()), false).await;
    subscribed(&third).await;
    connection.flushall().await.unwrap();
    let crowd: Vec<_> = (0..200)
        .map(|_| {
            let mut client = third.client.clone();
            let wire = third.check("me").session(&third.token()).wire();
            tokio::spawn(async move { client.check(wire).await.unwrap().into_inner() })
        })
        .collect();
    for answer in crowd {
        crate::kit::check::read(answer.await.unwrap()).expect(200, "allowed");
    }
    assert_eq!(service.asked(TENANT), 2);
    for authz in [&one, &other] {
        authz.ask_for(TENANT).await.expect(200, "allowed");
    }
    assert_eq!(service.asked(TENANT), 2, "those who remember do not ask again");
}

/// ATTACKS G 101, with a load that goes on: whatever Redis forgets meanwhile, each tenant is asked for once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushall_under_load_costs_one_question_for_each_tenant() {
    let redis = Redis::start();
    let service = TenantsService::start().await;
    let tenants: Vec<String> = (100..140).map(tenant).collect();
    for tenant in &tenants {
        service.set(tenant, Standing::Active, 1);
    }
    let authz = start(&service, Some(redis.url()), false).await;
    subscribed(&authz).await;

    let (done, ended) = tokio::sync::watch::channel(false);
    let mut connection = validity::connect(&redis.url()).unwrap();
    let flushing = tokio::spawn(async move {
        let mut flushes = 0;
        while !*ended.borrow() {
            connection.flushall().await.unwrap();
            flushes += 1;
            pause_async(Duration::from_millis(1), "the pace of the flushes").await;
        }
        flushes
    });
    let wires: Vec<_> = tenants
        .iter()
        .map(|tenant| authz.home.session.token(&claims_with(&json!({ "tenantId": tenant }))))
        .map(|token| authz.check("me").session(&token).wire())
        .collect();
    // Everybody comes for the same tenant at the same moment, then all of them again.
    let crowd: Vec<_> = (0..16)
        .map(|_| {
            let (mut client, wires) = (authz.client.clone(), wires.clone());
            tokio::spawn(async move {
                for wire in wires.iter().chain(&wires) {
                    let answer = client.check(wire.clone()).await.unwrap().into_inner();
                    crate::kit::check::read(answer).expect(200, "allowed");
                }
            })
        })
        .collect();
    for walker in crowd {
        walker.await.unwrap();
    }
    done.send(true).unwrap();
    assert!(flushing.await.unwrap() > 1, "Redis was emptied meanwhile");
    let asked: Vec<_> = tenants.iter().map(|tenant| service.asked(tenant)).collect();
    assert_eq!(asked, vec![1; tenants.len()]);
}

#[tokio::test]
async fn a_late_answer_does_not_replace_a_newer_state_and_another_redis_run_is_void() {
    let redis = Redis::start();
    let mut connection = validity::connect(&redis.url()).unwrap();
    let shared = SharedTenants::default();
    let id = &TENANT.parse().unwrap();
    let service = TenantsService::start().await;
    let suspended = service.set(TENANT, Standing::Suspended, 7);
    let keep = Duration::from_secs(300);
    assert_eq!(shared.read(&mut connection, id).await.unwrap(), None);
    shared.announce(&mut connection, &suspended, keep).await.unwrap();
    let late = Record { standing: Standing::Active, version: 6 };
    shared.keep(&mut connection, id, late, keep).await.unwrap();
    let (record, left) = shared.read(&mut connection, id).await.unwrap().unwrap();
    assert_eq!(record, suspended.record());
    assert!(left <= keep);

    connection.set_ex(key(id), "0123456789abcdef|9|active", 300).await.unwrap();
    assert_eq!(shared.read(&mut connection, id).await.unwrap(), None, "another run of Redis wrote it");
    connection.set(key(id), "nonsense").await.unwrap();
    assert_eq!(shared.read(&mut connection, id).await.unwrap(), None, "without an end it is not ours");
}

#[tokio::test]
async fn another_type_under_the_key_is_passed_over_and_replaced() {
    let redis = Redis::start();
    let mut connection = validity::connect(&redis.url()).unwrap();
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let stored = key(&TENANT.parse().unwrap());
    connection.lpush(&stored, "x").await.unwrap();
    connection.lpush("revoked:session:0192d3c0-0000-7000-8000-0000000000d1", "x").await.unwrap();
    connection.set("revoked:session: a", "1|4000000000").await.unwrap();
    connection.set(format!("revoked:session:{SESSION}"), format!("{}|4000000000", NOW + 50)).await.unwrap();
    let authz = start(&service, Some(redis.url()), true).await;
    subscribed(&authz).await;
    authz.ask_for(TENANT).await.expect(200, "allowed");
    eventually("replaced", async || {
        connection
            .clone()
            .get(&stored)
            .await
            .is_ok_and(|value| value.is_some_and(|v| v.ends_with("|1|active")))
    })
    .await;
    let (_, metrics) = authz.get("/metrics").await;
    assert!(metrics.contains("authz_push_total{event=\"bad\"} 1"), "{metrics}");

    // A message that makes no sense does not stop the next one.
    connection.publish(validity::tenant::CHANNEL, "nonsense").await.unwrap();
    connection.publish(validity::revocation::CHANNEL, "[]").await.unwrap();
    authz.clock.advance_seconds(50);
    eventually("counted", async || {
        authz.get("/metrics").await.1.contains("authz_push_total{event=\"bad\"} 3")
    })
    .await;
    authz.ask_for(TENANT).await.expect(401, "session_revoked");
}

#[tokio::test]
async fn a_frozen_redis_ends_trust_and_a_thawed_one_brings_it_back() {
    let mut redis = Redis::start();
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    service.set(&tenant(21), Standing::Active, 1);
    let authz = start(&service, Some(redis.url()), false).await;
    subscribed(&authz).await;
    authz.ask_for(TENANT).await.expect(200, "allowed");
    redis.process().signal(Signal::Stop);
    authz.ask_for(&tenant(21)).await.expect(200, "allowed");
    // This cannot be pushed; it is found because nothing vouches for the remembered state.
    service.set(TENANT, Standing::Suspended, 2);
    eventually("suspended", async || authz.ask_for(TENANT).await.is(403, "tenant_suspended")).await;
    eventually("reported", async || authz.get("/stats").await.1.contains("\"push\":\"lost")).await;
    redis.process().signal(Signal::Continue);
    subscribed(&authz).await;
    authz.ask_for(TENANT).await.expect(403, "tenant_suspended");
}

#[tokio::test]
async fn without_redis_sessions_are_refused_with_503() {
    let mut redis = Redis::start();
    let mut connection = validity::connect(&redis.url()).unwrap();
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let authz = start(&service, Some(redis.url()), true).await;
    subscribed(&authz).await;
    let dead = authz.token();
    let alive =
        authz.home.session.token(&claims_with(&json!({ "sid": "0192d3c0-0000-7000-8000-0000000000dd" })));
    authz.ask_with(&dead).await.expect(200, "allowed");
    let end = SessionEnd { sid: SESSION.parse().unwrap(), from: NOW, until: 4_000_000_000 };
    SharedRevocations::default().revoke(&mut connection, &Revocation::Session(end)).await.unwrap();
    eventually("revoked", async || authz.ask_with(&dead).await.is(401, "session_revoked")).await;

    redis.process().signal(Signal::Kill);
    redis.process().wait(Duration::from_secs(20));
    authz.ask_with(&alive).await.expect(200, "allowed");
    eventually("refused", async || authz.ask_with(&alive).await.is(503, "revocations_unavailable")).await;

    // It comes back with nothing: who was revoked stays so.
    redis.restart();
    eventually("back", async || authz.ask_with(&alive).await.is(200, "allowed")).await;
    authz.ask_with(&dead).await.expect(401, "session_revoked");
}

#[tokio::test]
async fn a_redis_that_is_loading_counts_as_none() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 4_096];
                while connection.read(&mut bytes).await.is_ok_and(|count| count > 0) {
                    let answer = b"-LOADING Redis is loading the dataset in memory\r\n";
                    if connection.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let tenants_only = start(&service, Some(url.clone()), false).await;
    tenants_only.ask_for(TENANT).await.expect(200, "allowed");
    assert_eq!(tenants_only.get("/readyz").await.0, 503, "not ready before it has subscribed once");
    let both = start(&service, Some(url), true).await;
    both.ask_for(TENANT).await.expect(503, "revocations_unavailable");
}

#[tokio::test]
async fn a_tenant_is_any_text_and_no_text_is_the_key_of_another_tenant() {
    let redis = Redis::start();
    let service = TenantsService::start().await;
    service.set("acme", Standing::Active, 1);
    let suspended = service.set("acme:status", Standing::Suspended, 1);
    service.set("00000000000070008000000000000001", Standing::Active, 1);
    let authz = start(&service, Some(redis.url()), false).await;
    subscribed(&authz).await;
    for _ in 0..2 {
        authz.ask_for("acme").await.expect(200, "allowed");
        authz.ask_for("acme:status").await.expect(403, "tenant_suspended");
        authz.ask_for("00000000000070008000000000000001").await.expect(200, "allowed");
        for id in ["ACME", "acme:", "tenant:acme", "acme:status:status", TENANT, "a\"}b", "*", "{acme}"] {
            authz.ask_for(id).await.expect(403, "tenant_unknown");
        }
        for id in ["", "acme ", "acme\n", &"x".repeat(256)] {
            authz.ask_for(id).await.expect(401, "token_claim_invalid");
        }
        // The second time from the cache, and after a pushed change of the other.
        let mut connection = validity::connect(&redis.url()).unwrap();
        let shared = SharedTenants::default();
        shared.announce(&mut connection, &suspended, Duration::from_secs(60)).await.unwrap();
    }
}

#[tokio::test]
async fn a_session_that_changes_its_tenant_is_reported() {
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    service.set(&tenant(31), Standing::Active, 1);
    let authz = start(&service, None, false).await;
    for id in [TENANT, TENANT, &tenant(31), TENANT] {
        authz.ask_for(id).await.expect(200, "allowed");
    }
    let (_, metrics) = authz.get("/metrics").await;
    assert!(metrics.contains("authz_session_tenant_changes_total 2"), "{metrics}");
}

#[tokio::test]
async fn a_replica_is_not_ready_until_the_tenants_service_has_answered_once() {
    let mut service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    service.stop();
    let authz = start(&service, None, false).await;
    let (status, body) = authz.get("/readyz").await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("the tenants service has not answered yet"), "{body}");
    service.restart().await;
    eventually("ready, without a request", async || authz.get("/readyz").await.0 == 200).await;
    // Once it has answered, its outage does not stop the checks: the remembered state still counts.
    authz.ask_for(TENANT).await.expect(200, "allowed");
    service.stop();
    assert_eq!(authz.get("/readyz").await.0, 200);
}

/// Events about tenants in the audit: from and to.
fn audited(authz: &Authz) -> Vec<(Option<String>, Option<String>)> {
    let text = std::fs::read_to_string(authz.home.at("audit.jsonl")).unwrap_or_default();
    let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let word = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    events
        .filter(|event| event["kind"] == "tenant" && event["tenant"] == TENANT)
        .map(|event| (word(&event["from"]), word(&event["to"])))
        .collect()
}

fn changes(words: &[(Option<&str>, Option<&str>)]) -> Vec<(Option<String>, Option<String>)> {
    words.iter().map(|(from, to)| (from.map(str::to_owned), to.map(str::to_owned))).collect()
}

#[tokio::test]
async fn a_change_of_a_tenant_is_audited_once_whether_it_is_pushed_or_looked_up() {
    let redis = Redis::start();
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let (pushed, asked) =
        (start(&service, Some(redis.url()), false).await, start(&service, None, false).await);
    subscribed(&pushed).await;
    pushed.ask_for(TENANT).await.expect(200, "allowed");
    asked.ask_for(TENANT).await.expect(200, "allowed");
    assert_eq!(audited(&pushed), [], "the first read of a state is not a change");

    let change = service.set(TENANT, Standing::Suspended, 2);
    let mut connection = validity::connect(&redis.url()).unwrap();
    for _ in 0..2 {
        SharedTenants::default().announce(&mut connection, &change, Duration::from_secs(900)).await.unwrap();
    }
    let suspended = (Some("active"), Some("suspended"));
    eventually("the push is audited", async || audited(&pushed) == changes(&[suspended])).await;
    pushed.ask_for(TENANT).await.expect(403, "tenant_suspended");
    // The other one gets no message; it asks when its remembered state has expired.
    eventually("suspended", async || asked.ask_for(TENANT).await.is(403, "tenant_suspended")).await;
    eventually("the answer is audited", async || audited(&asked) == changes(&[suspended])).await;

    let change = service.set(TENANT, Standing::Deleted, 3);
    SharedTenants::default().announce(&mut connection, &change, Duration::from_secs(900)).await.unwrap();
    let gone = (Some("suspended"), None);
    eventually("the end is audited", async || audited(&pushed) == changes(&[suspended, gone])).await;
}
