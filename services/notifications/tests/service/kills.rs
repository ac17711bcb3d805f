//! The process is killed again and again in the middle of its work.

use std::collections::BTreeMap;
use std::time::Duration;

use kit::testing::{PrivatePostgres, TestHome};
use notifications::queue::Queue;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::app::{mail, number, push, settings};
use crate::process::BINARY;
use crate::providers::{Providers, Seen};

const EACH: usize = 60;

fn ids(seen: &[Seen], id: impl Fn(&Value) -> &Value) -> BTreeMap<String, u32> {
    let mut ids = BTreeMap::new();
    for seen in seen {
        *ids.entry(id(&seen.json()).as_str().unwrap().to_owned()).or_default() += 1;
    }
    ids
}

/// Kills the process at other points of its work each time, and checks that no message is lost and none reaches a person twice.
async fn nothing_is_lost_and_nothing_seen_twice(postgres: Option<&PrivatePostgres>) {
    let (home, providers) = (TestHome::new(), Providers::start().await);
    let url = postgres.map(PrivatePostgres::url);
    // Writes the files of the providers.
    let _ = settings(&home, None, &providers);
    let database = kit::store::open(url.as_deref(), &home.home().database("notifications")).await.unwrap();
    notifications::migrations::run(&database).await.unwrap();
    let queue = Queue::new(database.clone(), std::sync::Arc::new(clock::SystemClock));
    let caller = "auth".parse().unwrap();
    for number in 0..EACH {
        for (kind, content) in [("push", push("device")), ("mail", mail("a@example.com"))] {
            let message = serde_json::from_value(json!({ "tenantId": "t", kind: content })).unwrap();
            queue.put(&caller, &format!("{kind}-{number}"), &message).await.unwrap();
        }
    }
    let file = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (account, key, providers_url) = (file("fcm.json"), file("ses"), providers.url());
    let mut environment = vec![
        ("NOTIFICATIONS_ADDRESS", "127.0.0.1:0"),
        ("CUTOVER_HOME", home.path().to_str().unwrap()),
        ("FCM_ACCOUNT", &account),
        ("FCM_URL", &providers_url),
        ("SES_FROM", "noreply@example.com"),
        ("SES_KEY", &key),
        ("SES_REGION", "eu-central-1"),
        ("SES_URL", &providers_url),
    ];
    environment.extend(url.as_deref().map(|url| ("DATABASE_URL", url)));
    let waiting = "SELECT count(*) FROM outbox_events WHERE processed_at IS NULL AND failed_at IS NULL";
    // As if a lease had ended: the test has no minute for each.
    let leases_end = "UPDATE outbox_events SET next_attempt_at = created_at WHERE processed_at IS NULL AND failed_at IS NULL";
    for step in 0..12_u64 {
        // Two processes, so that one goes on when the other ends.
        let both = [BINARY.start(&environment), BINARY.start(&environment)];
        let pause = Duration::from_millis(step * step / 2);
        harness::pause_async(pause, "the processes are killed at this point of their work").await;
        // Dropping one is SIGKILL.
        drop(both);
        database.execute_unprepared(leases_end).await.unwrap();
    }
    let last = BINARY.start(&environment);
    harness::eventually_async("all messages are done", async || number(&database, waiting).await == 0).await;
    let (status, log) = last.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    let letters = ids(&providers.seen("/v2/email/outbound-emails"), |body| &body["EmailTags"][0]["Value"]);
    assert!(letters.values().all(|times| *times == 1), "a letter was sent twice: {letters:?}");
    let unsure =
        "SELECT count(*) FROM outbox_events WHERE kind = 'mail' AND last_error LIKE '%not known whether%'";
    let unsure = usize::try_from(number(&database, unsure).await).unwrap();
    let done = "SELECT count(*) FROM outbox_events WHERE kind = 'mail' AND processed_at IS NOT NULL";
    let done = usize::try_from(number(&database, done).await).unwrap();
    assert_eq!(done + unsure, EACH, "a letter is lost");
    assert!(letters.len() >= done, "{} letters were sent, {done} count as sent", letters.len());
    // A device shows messages with the same tag once.
    let pushed =
        ids(&providers.seen("messages:send"), |body| &body["message"]["android"]["notification"]["tag"]);
    assert_eq!(pushed.len(), EACH, "a push message is lost, or one has two tags");
    assert_eq!(
        number(&database, "SELECT count(*) FROM outbox_events WHERE kind = 'push' AND failed_at IS NOT NULL")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    nothing_is_lost_and_nothing_seen_twice(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql() {
    nothing_is_lost_and_nothing_seen_twice(Some(&PrivatePostgres::start())).await;
}
