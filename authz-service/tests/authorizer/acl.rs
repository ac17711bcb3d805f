//! Redis with an ACL user that may do what `docs/stores.md` lists, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::{Redis, RedisCluster, RedisSentinels, RedisServer};
use redis::AsyncTypedCommands as _;
use validity::revocation::{Issued, Revocation, SessionEnd, SharedRevocations};
use validity::tenant::{SharedTenants, Standing};

use crate::kit::tenants::TenantsService;
use crate::kit::{Authz, NOW, SESSION, SUBJECT, TENANT, eventually, pause_async};
use crate::limits::{by, passed, together_at};
use crate::matrix::machines;
use crate::pushed::{start, subscribed};

/// The rules in the page, word for word, of the block with `marker`.
fn rules_of(marker: &str) -> Vec<String> {
    let page = std::fs::read_to_string(harness::repository().join("docs/stores.md")).unwrap();
    let block = page.split("```").find(|block| block.contains(marker)).expect("the page lists the rules");
    let words = block.split_whitespace().skip_while(|word| *word != "cutover").skip(1);
    words.filter(|word| *word != "\\" && !word.starts_with('>')).map(str::to_owned).collect()
}

fn rules() -> Vec<String> {
    rules_of("ACL SETUSER cutover >")
}

/// The rules for a Redis that `word` stands before in the page.
fn rules_for(word: &str) -> Vec<String> {
    [rules(), rules_of(&format!("ACL SETUSER cutover +{word}"))].concat()
}

fn admit_at(server: &RedisServer, rules: &[String]) {
    let mut arguments = vec!["ACL", "SETUSER", "cutover", ">pass word"];
    arguments.extend(rules.iter().map(String::as_str));
    server.cli(&arguments);
}

/// What a replica and a writer do at the Redis at `url`.
async fn works(url: &str) {
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let authz = start(&service, Some(url.to_owned()), true).await;
    subscribed(&authz).await;
    authz.ask_for(TENANT).await.expect(200, "allowed");
    let mut connection = validity::connect(url).unwrap();
    let change = service.set(TENANT, Standing::Suspended, 2);
    SharedTenants::default().announce(&mut connection, &change, Duration::from_secs(300)).await.unwrap();
    eventually("suspended", async || authz.ask_for(TENANT).await.is(403, "tenant_suspended")).await;
    let counting = together_at(url.to_owned(), 1).await;
    assert_eq!(passed(&counting, &by(&counting, "me", 1), 20).await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_for_sentinels_and_for_a_cluster_are_enough() {
    let cluster = RedisCluster::start();
    let rules = rules_for("cluster");
    for server in cluster.servers() {
        admit_at(server, &rules);
    }
    works(&cluster.url_for("cutover:pass%20word@")).await;
    for server in cluster.servers() {
        assert_eq!(server.cli(&["ACL", "LOG"]), "", "Redis refused something");
    }
    drop(cluster);

    let mut sentinels = RedisSentinels::start();
    let rules = rules_for("role");
    admit_at(sentinels.primary(), &rules);
    works(&sentinels.url().replace("sentinel://", "sentinel://cutover:pass%20word@")).await;
    assert_eq!(sentinels.primary().cli(&["ACL", "LOG"]), "", "Redis refused something");
}

fn admit(redis: &Redis, user: &str, rules: &[String]) -> String {
    let mut arguments = vec!["ACL", "SETUSER", user, ">pass word"];
    arguments.extend(rules.iter().map(String::as_str));
    redis.cli(&arguments);
    redis.url().replace("redis://", &format!("redis://{user}:pass%20word@"))
}

async fn nonces(url: &str) -> Authz {
    let mut home = machines::home();
    home.redis = Some(url.to_owned());
    let directory = home.path().display().to_string();
    let with_machines = machines::edge(&home);
    let authz = Authz::start_with(home, |edge| {
        with_machines(edge).replace(&format!("  revocations: \"{directory}/revoked.jsonl\"\n"), "")
    })
    .await;
    authz.clock.advance_seconds(10);
    authz
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_the_least_rules_can_do_everything_and_nothing_else() {
    let redis = Redis::start();
    let rules = rules();
    let url = admit(&redis, "cutover", &rules);
    redis.cli(&["CONFIG", "RESETSTAT"]);

    // Tenants, their changes, and revocations.
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let authz = start(&service, Some(url.clone()), true).await;
    subscribed(&authz).await;
    authz.ask_for(TENANT).await.expect(200, "allowed");
    let mut connection = validity::connect(&url).unwrap();
    let change = service.set(TENANT, Standing::Suspended, 2);
    SharedTenants::default().announce(&mut connection, &change, Duration::from_secs(300)).await.unwrap();
    eventually("suspended", async || authz.ask_for(TENANT).await.is(403, "tenant_suspended")).await;
    let shared = SharedRevocations::default();
    let end = SessionEnd { sid: SESSION.parse().unwrap(), from: NOW, until: NOW + 20_000 };
    shared.revoke(&mut connection, &Revocation::Session(end)).await.unwrap();
    let issued = Issued {
        session: SESSION.parse().unwrap(),
        subject: SUBJECT.parse().unwrap(),
        tenant: TENANT.parse().unwrap(),
        at: NOW,
    };
    assert!(shared.ends(&mut connection, &issued, NOW).await.unwrap());
    let again = start(&service, Some(url.clone()), true).await;
    subscribed(&again).await;
    // Limits, and the nonces of signed requests.
    let counting = together_at(url.clone(), 1).await;
    assert_eq!(passed(&counting, &by(&counting, "me", 1), 20).await, 10);
    let signed = nonces(&url).await;
    eventually("a signed request passes", async || machines::ask(&signed, NOW + 10).await.is(200, "allowed"))
        .await;

    let refused = redis.cli(&["ACL", "LOG"]);
    assert_eq!(refused, "", "Redis refused something");
    // Every command that the page allows is used. Sentinels and a cluster are another line of it.
    let stats = redis.cli(&["INFO", "commandstats"]);
    let used: BTreeSet<&str> = stats
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split(':').next())
        .filter(|command| !["acl|log", "acl|setuser", "config|resetstat", "info", "auth"].contains(command))
        .collect();
    let allowed: BTreeSet<&str> =
        rules.iter().filter_map(|rule| rule.strip_prefix('+')).filter(|command| *command != "info").collect();
    assert_eq!(allowed.difference(&used).collect::<Vec<_>>(), Vec::<&&str>::new(), "allowed without need");

    // Nothing else: neither other keys nor other commands.
    for refused in [
        connection.set("another", "1").await,
        connection.flushall().await,
        redis::cmd("CONFIG").arg("GET").arg("*").query_async(&mut connection).await,
        redis::cmd("PUBLISH").arg("another").arg("1").query_async(&mut connection).await,
        redis::cmd("KEYS").arg("*").query_async(&mut connection).await,
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.code(), Some("NOPERM"), "{error}");
    }
}

/// A user without the rights, or with another password: as a Redis that is not there, and the password is in no message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_too_few_rules_or_another_password_is_as_no_redis() {
    let redis = Redis::start();
    let rules = rules();
    let few: Vec<String> = rules.iter().filter(|rule| *rule != "&cutover:*").cloned().collect();
    let few = admit(&redis, "few", &few);
    let wrong = admit(&redis, "other", &rules).replace("pass%20word", "hunter2");
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    for url in [few, wrong] {
        let authz = start(&service, Some(url), true).await;
        pause_async(Duration::from_secs(2), "it has tried to subscribe more than once").await;
        let (status, ready) = authz.get("/readyz").await;
        assert_eq!(status, 503, "{ready}");
        let (_, stats) = authz.get("/stats").await;
        assert!(!stats.contains("\"push\":\"subscribed\""), "{stats}");
        assert!(!ready.contains("hunter2") && !stats.contains("hunter2"), "{ready} {stats}");
        authz.ask_for(TENANT).await.expect(503, "revocations_unavailable");
    }
}
