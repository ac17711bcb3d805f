//! PostgreSQL's primary ends in the middle of a load: the services go on with the promoted standby.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Edge, Part, eventually, meanwhile};
use kit::testing::PrivatePostgres;

/// The role of a bot, which may create people.
const BOT: u8 = 2;

/// A primary, and a standby that has every change before it is acknowledged.
fn pair() -> (PrivatePostgres, PrivatePostgres) {
    let primary = PrivatePostgres::start();
    let standby = primary.standby();
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
    primary.sql("SELECT pg_reload_conf()");
    eventually("the standby is synchronous", || {
        primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync"
    });
    (primary, standby)
}

fn both(first: &PrivatePostgres, second: &PrivatePostgres) -> String {
    format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", first.port(), second.port())
}

fn sign_in(edge: &Edge) -> bool {
    let post = |path: &str, body: serde_json::Value| {
        edge.request("POST", path).header("content-type", "application/json").body(body.to_string()).send()
    };
    if post("/auth/code", serde_json::json!({ "email": "demo@example.com" })).status != 201 {
        return false;
    }
    let code = edge.login_code("demo@example.com");
    let answer = post("/auth/token", serde_json::json!({ "email": "demo@example.com", "code": code }));
    answer.cookie("madome_access_token").is_some()
}

#[test]
fn no_acknowledged_change_is_lost_when_the_primary_ends_in_the_middle_of_a_load() {
    let (primary, standby) = pair();
    // The standby stands first: the services must find out which server takes writes.
    let mut edge = Edge::dev().variable("DATABASE_URL", &both(&standby, &primary)).start();
    assert!(sign_in(&edge), "before the failover");
    let token = edge.mint().good(BOT);
    let (acknowledged, others) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let next = AtomicUsize::new(0);
    let count = || acknowledged.lock().expect("no thread panicked").len();
    let create = || {
        let handle = format!("load-{}", next.fetch_add(1, Ordering::Relaxed));
        let body =
            serde_json::json!({ "name": handle, "handle": handle, "email": format!("{handle}@example.com") });
        let request = edge.request("POST", "/users").token(&token).header("content-type", "application/json");
        match request.body(body.to_string()).send().status {
            201 => acknowledged.lock().expect("no thread panicked").push(handle),
            status => others.lock().expect("no thread panicked").push(status),
        }
    };
    let three_at_once = || {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(create);
            }
        });
    };
    meanwhile(Duration::from_millis(1), three_at_once, || {
        eventually("changes are acknowledged", || count() > 20);
        primary.kill();
        // Nothing takes writes now: the services say so, and what needs no database goes on.
        eventually("a change fails", || !others.lock().expect("no thread panicked").is_empty());
        assert_eq!(edge.get("/books").send().status, 401);
        let before = count();
        standby.promote();
        eventually("changes are acknowledged again", || count() > before + 20);
    });
    let others = others.into_inner().expect("no thread panicked");
    assert!(others.iter().all(|status| *status == 500), "a database that is gone is 500: {others:?}");
    let kept = standby.sql("SELECT handle FROM users");
    let kept: std::collections::BTreeSet<&str> = kept.lines().collect();
    let acknowledged = acknowledged.into_inner().expect("no thread panicked");
    let lost: Vec<_> = acknowledged.iter().filter(|handle| !kept.contains(handle.as_str())).collect();
    assert!(lost.is_empty(), "of {} acknowledged changes {lost:?} are lost", acknowledged.len());
    eventually("people can sign in", || sign_in(&edge));
    assert!(edge.part(Part::Users).log().contains("connected to the database that takes writes"));
}
