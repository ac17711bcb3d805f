//! What ends a lease, and that nothing slips through.

use std::time::Duration;

use clock::{Clock as _, SystemClock};
use harness::Redis;
use lease::{Feed, Kind};
use serde_json::json;
use validity::revocation::{Revocation, SessionEnd, SharedRevocations};
use validity::tenant::{SharedTenants, Standing};

use crate::binary::{Running, any, program};
use crate::kit::leases::{LEASE, behind, client, feed_of, get, leased, names, post_by, question, tag};
use crate::kit::mint::{Es256, claims_with};
use crate::kit::tenants::{Manner, TenantsService};
use crate::kit::{
    Authz, Home, ISSUER, NOW, SESSION, SUBJECT, SUSPENDED, TENANT, eventually, pause_async, within_async,
};

/// The promise: within a second, everywhere. The edge asks every 200 ms and may wait 150 for an answer, so this much is
/// left for the feed.
const PROMISE: Duration = Duration::from_millis(650);

/// The tenant directory of the kit, with the state of the second tenant too.
fn list(home: &Home, first: &str, second: &str) {
    let line = |id, status| format!("  - {{ id: {id}, name: Demo, status: {status} }}\n");
    home.write("tenants.yaml", &format!("tenants:\n{}{}", line(TENANT, first), line(SUSPENDED, second)));
}

#[tokio::test]
async fn the_feed_names_whatever_ended_and_nothing_else() {
    let authz = Authz::leasing(Home::new()).await;
    let at_first = authz.feed().await.expect("fresh from the start");
    assert_eq!(at_first.revisions, std::slice::from_ref(&authz.revision));
    assert_eq!(at_first.ended, lease::Ended::Tags(vec![]));

    let home = &authz.home;
    let other = "0192d3c0-0000-7000-8000-0000000000dd";
    let append = |line: String| {
        use std::io::Write as _;
        let mut file =
            std::fs::File::options().create(true).append(true).open(home.at("revoked.jsonl")).unwrap();
        writeln!(file, "{line}").unwrap();
    };
    home.revoke(SESSION, NOW, NOW + 1_000);
    let session = tag(Kind::Session, SESSION);
    eventually("session", async || authz.says_ended(session).await).await;
    append(json!({ "sub": SUBJECT, "before": NOW, "until": NOW + 1_000 }).to_string());
    let subject = tag(Kind::Subject, SUBJECT);
    eventually("subject", async || authz.says_ended(subject).await).await;
    append(json!({ "tid": SUSPENDED, "before": NOW, "until": NOW + 1_000 }).to_string());
    eventually("tenant", async || authz.says_ended(tag(Kind::Tenant, SUSPENDED)).await).await;
    list(home, "suspended", "active");
    let tenant = tag(Kind::Tenant, TENANT);
    eventually("suspended", async || authz.says_ended(tenant).await).await;
    let next = Es256::generate("session-2");
    home.write("session.jwks.json", &json!({ "keys": [home.session.jwk(), next.jwk()] }).to_string());
    eventually("loaded", async || authz.get("/stats").await.1.contains("session-2")).await;
    let key = tag(Kind::Key, &format!("{ISSUER}\0session-1"));
    assert!(!authz.says_ended(key).await, "a key that stays");
    home.write("session.jwks.json", &next.jwks());
    eventually("key", async || authz.says_ended(key).await).await;
    // The same name, another key.
    home.write("session.jwks.json", &Es256::generate("session-2").jwks());
    eventually("replaced", async || authz.says_ended(tag(Kind::Key, &format!("{ISSUER}\0session-2"))).await)
        .await;

    let feed = authz.feed().await.unwrap();
    let lease::Ended::Tags(all) = &feed.ended else { panic!("everything ended") };
    assert_eq!(all.len(), 6, "{all:?}");
    assert!(names(&feed, session) && !names(&feed, tag(Kind::Session, other)));
}

#[tokio::test]
async fn under_a_new_edge_file_no_older_lease_counts() {
    let home = Home::new();
    std::fs::write(home.at("edge.yaml"), home.edge_text(leased(LEASE))).unwrap();
    let running = Running::start(program(&home, any(), any()));
    let first = home.edge(leased(LEASE)).revision.0;
    let feed = feed_of(&running.checks, &first).await.expect("fresh from the start");
    assert_eq!(feed.revisions, std::slice::from_ref(&first));
    let change = |edge: String| leased(LEASE)(edge).replace("uses: 1000", "uses: 999");
    home.write("edge.yaml", &home.edge_text(change));
    let second = home.edge(change).revision.0;
    let newest = [second];
    eventually("the newest alone", async || {
        feed_of(&running.checks, &first).await.is_some_and(|feed| feed.revisions == newest)
    })
    .await;
}

/// A check is on its way while its session is revoked. It is allowed, because it looked before; its lease is dead when
/// it arrives, because the feed had named the session by then and goes on naming it.
#[tokio::test]
async fn a_revocation_while_a_check_is_on_its_way_ends_its_lease() {
    let redis = Redis::start();
    let service = TenantsService::start().await;
    let authz = behind(&service, Some(redis.url()), ", redis: true").await;
    eventually("fresh", async || authz.feed().await.is_some()).await;
    // One connection that stands: every millisecond counts here.
    let (guard, checks) = (client(), authz.checks.to_string());
    let says_ended = async |tag| match post_by(&guard, &checks, question(&authz.revision, Vec::new())).await {
        (200, text) => names(&Feed::decode(&text).unwrap(), tag),
        (_, _) => false,
    };
    let mut connection = validity::connect(&redis.url()).unwrap();
    service.answer(Manner::Held);
    // A question about a tenant has 100 ms; a busy machine may need more than one attempt.
    for attempt in 1..=50_u32 {
        let tenant = format!("00000000-0000-7000-8000-00000000{attempt:04}");
        let session = format!("0192d3c0-0000-7000-8000-00000000{attempt:04}");
        service.set(&tenant, Standing::Active, 1);
        let token = authz.home.session.token(&claims_with(&json!({ "tenantId": tenant, "sid": session })));
        let (mut client, wire) = (authz.client.clone(), get(authz.check("me")).session(&token).wire());
        let asking =
            tokio::spawn(
                async move { crate::kit::check::read(client.check(wire).await.unwrap().into_inner()) },
            );
        // Every millisecond counts here, too.
        while service.asked(&tenant) == 0 && !asking.is_finished() {
            pause_async(Duration::from_millis(1), "until the question has arrived").await;
        }
        let end = SessionEnd { sid: session.parse().unwrap(), from: NOW, until: 4_000_000_000 };
        SharedRevocations::default().revoke(&mut connection, &Revocation::Session(end)).await.unwrap();
        let named = tag(Kind::Session, &session);
        eventually("named", async || says_ended(named).await).await;
        service.let_go();
        let answer = asking.await.unwrap();
        if answer.status != 200 {
            answer.expect(503, "tenants_unavailable");
            continue;
        }
        let grant = answer.grant().expect("it looked before the end");
        assert!(grant.tags.contains(&named), "it carries what ended");
        assert!(authz.says_ended(named).await, "and the feed names that now too");
        service.answer(Manner::Well);
        let after = authz.ask(get(authz.check("me")).session(&token)).await;
        after.expect(401, "session_revoked");
        return;
    }
    panic!("in no attempt the check was still on its way");
}

#[tokio::test]
async fn an_ended_session_is_named_by_both_replicas_within_the_promise() {
    let redis = Redis::start();
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let home = Home::new();
    let text = home.edge_text(|edge| {
        let file = format!("tenants: {{ file: \"{}/tenants.yaml\" }}", home.path().display());
        leased(LEASE)(edge).replace(&file, &service.line(", redis: true, memory_seconds: 300"))
    });
    std::fs::write(home.at("edge.yaml"), &text).unwrap();
    let revision = edge_config::parse("edge.yaml".as_ref(), &text, &|_| None).unwrap().revision.0;
    let mut both = Vec::new();
    for _ in 0..2 {
        let mut command = program(&home, any(), any());
        command.env("REDIS_URL", redis.url());
        let running = Running::start(command);
        eventually("fresh", async || feed_of(&running.checks, &revision).await.is_some()).await;
        both.push(running);
    }
    let mut connection = validity::connect(&redis.url()).unwrap();
    let soon = async |tag| {
        let named_by_both = within_async(PROMISE, async || {
            for replica in &both {
                let feed = feed_of(&replica.checks, &revision).await;
                feed.filter(|feed| names(feed, tag))?;
            }
            Some(())
        });
        assert!(named_by_both.await.is_some(), "not named by both within {PROMISE:?}");
    };
    let now = SystemClock.now().seconds();
    for number in 0..20_u32 {
        let session = format!("0192d3c0-0000-7000-8000-00000000{number:04}");
        let end = SessionEnd { sid: session.parse().unwrap(), from: now, until: now + 20_000 };
        SharedRevocations::default().revoke(&mut connection, &Revocation::Session(end)).await.unwrap();
        soon(tag(Kind::Session, &session)).await;
    }
    let change = service.set(TENANT, Standing::Suspended, 2);
    SharedTenants::default().announce(&mut connection, &change, Duration::from_secs(300)).await.unwrap();
    soon(tag(Kind::Tenant, TENANT)).await;
}
