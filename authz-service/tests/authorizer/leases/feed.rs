//! The feed's endpoint: what it takes, what it counts, and what it refuses.

use lease::Spent;
use serde_json::{Value, json};

use crate::binary::{Running, any, program};
use crate::kit::leases::{LEASE, feed_of, leased, post, question};
use crate::kit::{Authz, Home};

fn spent(route: &str, policy: &str, uses: u64) -> Spent {
    Spent { route: route.to_owned(), policy: policy.to_owned(), uses }
}

#[tokio::test]
async fn leased_requests_are_counted_under_names_of_the_edge_file_only() {
    let authz = Authz::leasing(Home::new()).await;
    let checks = authz.checks.to_string();
    let report = |spent| question(&authz.revision, spent);
    let known = vec![spent("me", "signed-in", 41), spent("books", "signed-in", 7)];
    assert_eq!(post(&checks, report(known)).await.0, 200);
    let odd = vec![
        spent("me", "signed-in", 1),
        spent("me", "bot", 1),
        spent("open", "public", 1),
        spent("made\u{7f}up", "signed-in", 1),
    ];
    assert_eq!(post(&checks, report(odd)).await.0, 200);
    assert_eq!(post(&checks, question("another", vec![spent("me", "signed-in", 1)])).await.0, 200);

    let (_, stats) = authz.get("/stats").await;
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["totals"], json!({ "allow": 0, "deny": 0, "error": 0, "lease": 53 }));
    let row = |route: &str, policy: &str, count: u64| json!({ "route": route, "policy": policy, "decision": "lease", "reason": "allowed", "count": count });
    let rows = [row("books", "signed-in", 7), row("me", "signed-in", 42), row("unknown", "unknown", 4)];
    assert_eq!(stats["decisions"], json!(rows));
    let (_, metrics) = authz.get("/metrics").await;
    let line = r#"authz_decisions_total{decision="lease",policy="signed-in",reason="allowed",route="me"} 42"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn an_invalid_feed_request_is_refused_and_counts_nothing() {
    let authz = Authz::leasing(Home::new()).await;
    let checks = authz.checks.to_string();
    let good = question(&authz.revision, vec![spent("me", "signed-in", 1)]);
    for (what, body, status) in [
        ("nothing", Vec::new(), 400),
        ("nonsense", b"nonsense".to_vec(), 400),
        ("not UTF-8", vec![0xff; 100], 400),
        ("a promise of much", good.replace("\n1\nme\n", "\n16384\nme\n").into_bytes(), 400),
        (
            "more lines than may be",
            good.replace("\n1\nme\n", "\n99999999999999999999\nme\n").into_bytes(),
            400,
        ),
        ("something behind it", format!("{good}more\n").into_bytes(), 400),
        ("a number of uses below nothing", good.replace("\n1\n", "\n-1\n").into_bytes(), 400),
        ("more uses than can be", question("r", vec![spent("me", "signed-in", u64::MAX)]).into_bytes(), 400),
        ("ten megabytes", vec![b'a'; 10 << 20], 413),
        ("a little too much", vec![b'\n'; (1 << 20) + 1], 413),
        ("as much as may be", vec![b'\n'; 1 << 20], 400),
    ] {
        assert_eq!(post(&checks, body).await.0, status, "{what}");
    }
    let url = format!("http://{checks}{}", lease::PATH);
    let answer = crate::kit::leases::client().get(url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 405);
    let (_, stats) = authz.get("/stats").await;
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["totals"]["lease"], 0);
    assert!(authz.get("/metrics").await.1.contains("authz_lease_feeds_total{result=\"refused\"} 11"));
    // Checks go on beside it.
    authz.ask_with(&authz.token()).await.expect(200, "allowed");
    assert!(authz.feed().await.is_some());
}

#[tokio::test]
async fn a_replica_that_just_started_vouches_for_nothing_before_it() {
    let home = Home::new();
    std::fs::write(home.at("edge.yaml"), home.edge_text(leased(LEASE))).unwrap();
    let revision = home.edge(leased(LEASE)).revision.0;
    let began = std::time::Instant::now();
    let running = Running::start(program(&home, any(), any()));
    let mut last = 0;
    while last < 300 {
        let feed = feed_of(&running.checks, &revision).await.expect("fresh");
        let alive = u64::try_from(began.elapsed().as_millis()).unwrap();
        // A decision of another replica may have been on its way for 200 ms, over a state that was 400 ms old.
        let certain = alive.saturating_sub(600);
        assert!(feed.reach_ms <= certain, "{} ms known after {alive} ms", feed.reach_ms);
        assert!(feed.reach_ms >= last);
        last = feed.reach_ms;
    }
    drop(running);
    let mut command = program(&home, any(), any());
    command.env("AUTHZ_LEASES", "off");
    let off = Running::start(command);
    let feed = feed_of(&off.checks, &revision).await.unwrap();
    assert_eq!((feed.ended, feed.reach_ms), (lease::Ended::All, 0));
}
