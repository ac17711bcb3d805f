//! Leases in the whole edge: the authorizer grants them, the guard uses them, and every reason to end them does so
//! within a second, on every worker.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::wire::{Answer, Request};
use harness::{Backend, Edge, EdgeBuilder, IN_FORCE_WITHIN, Part, Signal, eventually, pause, tokens};
use serde_json::json;

const PLAIN: &str = "signed-in: { kind: session }";

fn builder(backend: &Backend, lease: &str) -> EdgeBuilder {
    let policy = format!("signed-in: {{ kind: session, lease: {lease} }}");
    // A busy machine is not an outage: this tests when leases end, not how soon a check times out.
    Edge::dev()
        .replace(PLAIN, &policy)
        .replace("timeout_ms: 200", "timeout_ms: 2000")
        .every_backend(backend.address())
}

fn get(edge: &Edge, token: &str) -> Answer {
    edge.get("/books/1").header("cookie", format!("madome_access_token={token}")).send()
}

/// Sends requests until a lease that has survived the feed serves this token. An authorizer that has just started
/// vouches for nothing before that, so each of its first answers ends all leases.
fn lease(edge: &Edge, token: &str) {
    eventually("leases serve", || {
        assert_eq!(get(edge, token).status, 200);
        pause(Duration::from_millis(500), "two polls of the feed have passed");
        let before = edge.leased();
        assert_eq!(get(edge, token).status, 200);
        edge.leased() > before
    });
}

/// Lines of the list of revocations, for the next hour.
#[expect(clippy::expect_used, reason = "a home that cannot be written fails the test")]
fn revoke(edge: &Edge, lines: &[serde_json::Value]) {
    let path = edge.home().join("sessions/revoked.jsonl");
    let mut file =
        std::fs::OpenOptions::new().append(true).create(true).open(path).expect("the list is writable");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    file.write_all(text.as_bytes()).expect("the list is writable");
}

fn until() -> u64 {
    tokens::now() + 3_600
}

#[test]
fn a_leased_request_is_the_checked_one_to_backend_log_and_counts() {
    let backend = Backend::plain();
    let edge = builder(&backend, "{ seconds: 10 }").start();
    let token = edge.mint().good(0);
    assert_eq!(get(&edge, &token).status, 200);
    let checked = backend.last();
    lease(&edge, &token);
    let leased = backend.last();
    let received = |seen: &harness::Seen| {
        let text = String::from_utf8_lossy(&seen.head).into_owned();
        text.lines().filter(|line| !line.starts_with("x-request-id:")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(received(&checked), received(&leased));

    let is_leased = |line: &serde_json::Value| line["decision"] == "lease";
    eventually("the lease is in the log", || edge.access_log(1).iter().any(is_leased));
    let log = edge.access_log(1);
    let of = |decision: &str| log.iter().rev().find(|l| l["decision"] == decision && l["path"] == "/books/1");
    let (full, quick) = (of("allow").unwrap(), of("lease").unwrap());
    for key in ["reason", "subject", "session", "tenant", "route", "policy", "status", "backend", "revision"]
    {
        assert_eq!(full[key], quick[key], "{key}");
    }
    assert_eq!(quick["lease_of"], full["request_id"]);
    eventually("the authorizer counts it", || {
        let stats = Request::new(edge.address("AUTHZ_ADMIN_ADDRESS"), "GET", "/stats").send().json();
        stats.to_string().contains("lease")
    });
}

#[test]
fn a_session_a_person_and_a_tenant_that_end_are_out_within_a_second() {
    let backend = Backend::plain();
    let edge = builder(&backend, "{ seconds: 25 }").workers(2).start();
    for what in ["sid", "sub", "tid"] {
        let (sid, sub) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
        let token = edge.mint().with(|claims| {
            claims["sid"] = json!(sid);
            claims["sub"] = json!(sub);
        });
        lease(&edge, &token);
        let before = tokens::now() + 1;
        revoke(
            &edge,
            &[match what {
                "sid" => json!({ "sid": sid, "from": 0, "until": until() }),
                "sub" => json!({ "sub": sub, "before": before, "until": until() }),
                _ => json!({ "tid": tokens::DEMO_TENANT, "before": before, "until": until() }),
            }],
        );
        pause(IN_FORCE_WITHIN, "the end is in force");
        for _ in 0..20 {
            assert_eq!(get(&edge, &token).status, 401, "{what}");
        }
    }
}

#[test]
fn a_tenant_that_is_suspended_is_out_within_a_second() {
    let backend = Backend::plain();
    let edge = builder(&backend, "{ seconds: 25 }").workers(2).start();
    let token = edge.mint().good(0);
    lease(&edge, &token);
    let directory = edge.home().join("tenants.yaml");
    let text = std::fs::read_to_string(&directory).expect("the directory is there");
    std::fs::write(&directory, text.replacen("status: active", "status: suspended", 1))
        .expect("it is writable");
    pause(IN_FORCE_WITHIN, "the end is in force");
    for _ in 0..20 {
        assert_eq!(get(&edge, &token).status, 403);
    }
}

/// Ends the load, also when the test fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_thousand_sessions_that_end_under_load_are_out_within_a_second_on_every_worker() {
    let backend = Backend::plain();
    let edge = builder(&backend, "{ seconds: 25 }").workers(2).start();
    let mint = edge.mint();
    let steady = mint.good(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(get(&edge, &steady).status, 200);
            }
        });
        let _done = Done(&done);
        for _ in 0..10 {
            let sessions: Vec<_> = (0..100).map(|_| uuid::Uuid::now_v7()).collect();
            let tokens: Vec<_> =
                sessions.iter().map(|sid| mint.with(|claims| claims["sid"] = json!(sid))).collect();
            for token in tokens.iter().chain(&tokens) {
                assert_eq!(get(&edge, token).status, 200);
            }
            let lines: Vec<_> =
                sessions.iter().map(|sid| json!({ "sid": sid, "from": 0, "until": until() })).collect();
            revoke(&edge, &lines);
            pause(IN_FORCE_WITHIN, "the end is in force");
            for token in tokens.iter().chain(&tokens) {
                assert_eq!(get(&edge, token).status, 401);
            }
        }
    });
    assert!(edge.leased() >= 100, "nothing was leased at all");
}

#[test]
fn without_the_authorizer_leases_end_within_a_second_or_live_out_their_time_as_the_policy_says() {
    for (lease_text, statuses) in
        [("{ seconds: 25 }", [503, 503]), ("{ seconds: 5, on_outage: lease }", [200, 503])]
    {
        let backend = Backend::plain();
        let mut edge = builder(&backend, lease_text).start();
        let token = edge.mint().good(0);
        lease(&edge, &token);
        let leased = Instant::now();
        edge.stop(Part::Authz, Signal::Kill);
        pause(IN_FORCE_WITHIN, "the end is in force");
        assert_eq!(get(&edge, &token).status, statuses[0], "{lease_text}");
        pause(
            Duration::from_millis(5_100).saturating_sub(leased.elapsed()),
            "five seconds of the lease are over",
        );
        assert_eq!(get(&edge, &token).status, statuses[1], "{lease_text}");
    }
}

#[test]
fn a_limit_is_never_exceeded_by_leases() {
    let backend = Backend::plain();
    let me = "prefix: /books, policy: signed-in, to: legacy, answers: library";
    let edge = builder(&backend, "{ seconds: 20 }")
        .replace("limits:\n", "limits:\n  calm: { per: subject, rate: 1, seconds: 3600, burst: 20 }\n")
        .replace(me, &format!("{me}, limits: [calm]"))
        .workers(2)
        .start();
    let token = edge.mint().good(0);
    // Leases count from the last successful read of the feed.
    let other = edge.mint().good(0);
    eventually("leases serve", || {
        let before = edge.leased();
        let me = edge.get("/auth/token").header("cookie", format!("madome_access_token={other}"));
        assert_eq!(me.send().status, 200);
        edge.leased() > before
    });
    let statuses: Vec<u16> = (0..40).map(|_| get(&edge, &token).status).collect();
    assert!(statuses.iter().filter(|status| **status == 200).count() <= 20, "{statuses:?}");
    assert_eq!(statuses.first(), Some(&200));
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
}

#[test]
fn a_lease_ends_with_its_token() {
    let backend = Backend::plain();
    let edge = builder(&backend, "{ seconds: 25 }").start();
    let expires = tokens::now() + 8;
    let token = edge.mint().with(|claims| claims["exp"] = json!(expires));
    lease(&edge, &token);
    eventually("the token is over", || tokens::now() >= expires);
    let before = edge.leased();
    // Only the authorizer grants leeway, one request at a time.
    assert_eq!(get(&edge, &token).status, 200);
    assert_eq!(get(&edge, &token).status, 200);
    assert_eq!(edge.leased(), before);
}

#[test]
fn a_new_edge_file_takes_its_leases_along() {
    let backend = Backend::plain();
    let edge = builder(&backend, "{ seconds: 25 }").start();
    let token = edge.mint().good(0);
    lease(&edge, &token);
    let text = edge.text();
    std::fs::write(edge.file(), text.replace("lease: { seconds: 25 }", "role: 2, lease: {}"))
        .expect("it is writable");
    edge.render();
    eventually("the new policy refuses", || get(&edge, &token).status == 403);
    pause(IN_FORCE_WITHIN, "the end is in force");
    for _ in 0..20 {
        assert_eq!(get(&edge, &token).status, 403);
    }
}
