//! `cutover ramp`: a backend gets more requests while every gate holds, and none as soon as one does not. `cutover
//! status` shows it.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use harness::wire::Request;
use harness::{
    Backend, Edge, EdgeBuilder, Port, Process, eventually, eventually_logged, meanwhile, pause, program,
    repository,
};

const BOOKS: &str = "prefix: /books, policy: signed-in, to: legacy";

/// An edge whose users backend answers with `status`, followed by a watch.
fn edge_with(status: &Arc<AtomicU16>) -> (Edge, Backend, Backend, Process) {
    let legacy = Backend::plain();
    let current = Arc::clone(status);
    let users = Backend::with(move |_| {
        format!("HTTP/1.1 {} X\r\ncontent-length: 3\r\n\r\nnew", current.load(Ordering::Relaxed)).into_bytes()
    });
    let (edge, watch) = edge_of(&legacy, &users, |edge| edge);
    (edge, legacy, users, watch)
}

/// An edge between `legacy` and `users`, followed by a watch.
fn edge_of(
    legacy: &Backend,
    users: &Backend,
    edit: impl FnOnce(EdgeBuilder) -> EdgeBuilder,
) -> (Edge, Process) {
    let edge = Edge::dev().every_backend(legacy.address()).stand_in("USERS_ADDRESS", users.address());
    let edge = edit(edge).start();
    let watch = edge.watch();
    eventually("the watch begins", || watch.log().contains("is in force"));
    (edge, watch)
}

/// The environment that a program needs to read the edge file of `edge`.
const ADDRESSES: [&str; 7] = [
    "EDGE_ADDRESS",
    "EDGE_SERVICE_ADDRESS",
    "ENVOY_ADMIN_ADDRESS",
    "AUTHZ_ADDRESS",
    "LEGACY_ADDRESS",
    "AUTH_ADDRESS",
    "USERS_ADDRESS",
];

/// Waits until the edge file deals books out so.
fn until_dealt(edge: &Edge, shares: &str) {
    eventually(&format!("the file says {shares}"), || edge.text().contains(shares));
}

fn ramp(edge: &Edge, arguments: &[&str]) -> Output {
    ramping(edge, arguments).output().expect("cutover can be started")
}

fn ramping(edge: &Edge, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("cutover"));
    command.arg("ramp").arg(edge.file()).args(["books", "--to", "users"]).args(arguments);
    command.current_dir(repository()).env("CUTOVER_HOME", edge.home());
    for name in ADDRESSES {
        command.env(name, edge.address(name).to_string());
    }
    command.stdin(Stdio::null());
    command
}

/// Sends requests for books until the work is done.
fn under_load<T>(edge: &Edge, work: impl FnOnce() -> T) -> T {
    let request = edge.get("/books").token(&edge.mint().good(0));
    let client = || drop(request.try_send());
    meanwhile(Duration::from_millis(5), client, work)
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_backend_that_answers_500_is_rolled_back_automatically() {
    let status = Arc::new(AtomicU16::new(200));
    let (edge, _legacy, users, watch) = edge_with(&status);
    let before = edge.text();
    let breaks = Arc::clone(&status);
    let output = under_load(&edge, || {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                until_dealt(&edge, "{ legacy: 50, users: 50 }");
                breaks.store(500, Ordering::Relaxed);
            });
            ramp(&edge, &["--steps", "30,50,100", "--every", "2s", "--gate", "5xx<1%"])
        })
    });
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("rolled back at 50 %: 5xx<1%"), "{}", said(&output));
    let after = edge.text();
    assert_eq!(after, before.replace(BOOKS, &BOOKS.replace("legacy", "{ legacy: 100, users: 0 }")));

    // Not only in the file: no request reaches it any more.
    let token = edge.mint().good(0);
    eventually_logged(
        "requests go there no more",
        || watch.log(),
        || {
            let reached = users.seen().len();
            let good = (0..50).all(|_| edge.get("/books").token(&token).send().status == 200);
            good && users.seen().len() == reached
        },
    );
}

#[test]
fn a_backend_that_refuses_callers_the_edge_allows_is_rolled_back_automatically() {
    // No other gate counts 403 as a failure.
    let status = Arc::new(AtomicU16::new(200));
    let (edge, _legacy, _users, _watch) = edge_with(&status);
    let refuses = Arc::clone(&status);
    let output = under_load(&edge, || {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                until_dealt(&edge, "{ legacy: 50, users: 50 }");
                refuses.store(403, Ordering::Relaxed);
            });
            let gates = ["--gate", "5xx<1%", "--gate", "agreement"];
            ramp(&edge, &[&["--steps", "50,100", "--every", "2s"], gates.as_slice()].concat())
        })
    });
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("rolled back at 50 %: agreement"), "{}", said(&output));
    let after = edge.text();
    assert!(after.contains("{ legacy: 100, users: 0 }"), "{after}");
}

#[test]
fn a_backend_that_is_as_good_gets_everything_and_status_shows_it() {
    let (edge, _legacy, users, _watch) = edge_with(&Arc::new(AtomicU16::new(200)));
    let gates = ["--gate", "5xx<1%", "--gate", "p95<10000ms", "--gate", "agreement"];
    let arguments = [&["--steps", "50,100", "--every", "1s"], gates.as_slice()].concat();
    let output = under_load(&edge, || ramp(&edge, &arguments));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("legacy 50 %, users 50 %"), "{}", said(&output));
    let text = edge.text();
    assert!(text.contains("to: { legacy: 0, users: 100 }"), "{text}");
    assert!(!users.seen().is_empty());

    let file = edge.file().display().to_string();
    let status = under_load(&edge, || edge.cutover(&["status", &file, "--json"]));
    let shown: serde_json::Value = serde_json::from_str(&status).expect("it is JSON");
    assert_eq!(shown["in_force"], true, "{shown:#}");
    let books = shown["routes"].as_array().and_then(|all| all.iter().find(|route| route["route"] == "books"));
    assert_eq!(books.map(|route| route["to"][1]["percent"].clone()), Some(100.into()), "{shown:#}");
    assert!(shown["backends"]["users"]["requests"].as_u64() > Some(0), "{shown:#}");
    let table = edge.cutover(&["status", &file]);
    assert!(table.contains("in force") && table.contains("legacy 0 %, users 100 %"), "{table}");
}

#[test]
fn after_an_interrupted_ramp_the_file_holds_the_shares_in_force() {
    let (edge, _legacy, users, _watch) = edge_with(&Arc::new(AtomicU16::new(200)));
    for name in ["-INT", "-KILL"] {
        let ramp = &mut ramping(&edge, &["--steps", "50,100", "--every", "1h", "--gate", "5xx<1%"]);
        let mut child = ramp.stdout(Stdio::null()).spawn().expect("cutover can be started");
        until_dealt(&edge, "{ legacy: 50, users: 50 }");
        let before = users.seen().len();
        // It is in force, and stays so after the ramp has ended.
        let token = edge.mint().good(0);
        eventually("requests go there", || {
            let _ = edge.get("/books").token(&token).try_send();
            users.seen().len() > before
        });
        let id = child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("kill runs").success());
        assert!(!child.wait().expect("it ends").success());
        let text = edge.text();
        assert!(text.contains("to: { legacy: 50, users: 50 }"), "{text}");
        let file = edge.file().display().to_string();
        let shown: serde_json::Value =
            serde_json::from_str(&edge.cutover(&["status", &file, "--json"])).expect("it is JSON");
        assert_eq!(shown["in_force"], true, "{shown:#}");
        edge.cutover(&["set", &file, "books", "--to", "legacy"]);
        until_dealt(&edge, "{ legacy: 100, users: 0 }");
    }
}

#[test]
fn status_repeats_with_the_option_for_it() {
    let (edge, _legacy, _users, _watch) = edge_with(&Arc::new(AtomicU16::new(200)));
    let mut command = Command::new(program("cutover"));
    command.arg("status").arg(edge.file()).args(["--json", "--watch"]).stdout(Stdio::piped());
    for name in ADDRESSES {
        command.env(name, edge.address(name).to_string());
    }
    let mut child = command.env("CUTOVER_HOME", edge.home()).spawn().expect("cutover can be started");
    let lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
    let file = edge.file().display().to_string();
    let mut seen = Vec::new();
    for line in lines.map_while(Result::ok) {
        let shown: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
        let books = shown["routes"].as_array().and_then(|all| all.iter().find(|one| one["route"] == "books"));
        let percent = books.and_then(|route| route["to"][1]["percent"].as_u64()).unwrap_or_default();
        if seen.last() != Some(&percent) {
            seen.push(percent);
            if percent == 0 {
                edge.cutover(&["set", &file, "books", "--to", "users=25,legacy=75"]);
            }
        }
        if seen == [0, 25] && shown["in_force"] == true {
            break;
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(seen, [0, 25], "one line after the other, as things are");
}

#[test]
fn a_route_that_does_not_exist_and_steps_that_fall_change_nothing() {
    let (edge, _legacy, _users, _watch) = edge_with(&Arc::new(AtomicU16::new(200)));
    let before = edge.text();
    for (arguments, code) in [
        (["--steps", "50,10", "--gate", "5xx<1%"].as_slice(), 2),
        (&["--gate", "5xx>1%"], 2),
        (&["--every", "8d", "--gate", "5xx<1%"], 2),
        (&[], 2),
        // A gate without readable numbers does not hold.
        (&["--steps", "10", "--every", "1s", "--gate", "diff=0", "--comparator-admin", "127.0.0.1:1"], 1),
    ] {
        let output = ramp(&edge, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
    }
    let after = edge.text();
    assert_eq!(after, before.replace(BOOKS, &BOOKS.replace("legacy", "{ legacy: 100, users: 0 }")));
}

/// A backend that answers with the current `body`.
fn saying(body: &Arc<AtomicU64>) -> Backend {
    let body = Arc::clone(body);
    Backend::with(move |_| {
        let json = format!("{{\"title\":\"Momo {}\"}}", body.load(Ordering::Relaxed));
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
        format!("{head}Content-Length: {}\r\n\r\n{json}", json.len()).into_bytes()
    })
}

#[test]
fn one_changed_byte_of_a_body_is_rolled_back_automatically() {
    let (old, new) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(1)));
    let (legacy, users) = (saying(&old), saying(&new));
    let (copies, admin) = (Port::lease(), Port::lease());
    let section = "  admin: \"${COMPARATOR_ADMIN_ADDRESS:-127.0.0.1:9292}\"\n";
    let (edge, _watch) = edge_of(&legacy, &users, |edge| {
        edge.replace(section, &format!("{section}  sample_percent: 100\n"))
            .replace(BOOKS, &BOOKS.replace("to: legacy", "to: { legacy: 100, users: 0 }, shadow: users"))
            .variable("COMPARATOR_ADDRESS", &copies.address().to_string())
            .variable("COMPARATOR_ADMIN_ADDRESS", &admin.address().to_string())
    });
    let before = edge.text();
    let mut comparator = Command::new(program("comparator"));
    comparator.env("CUTOVER_HOME", edge.home()).env("EDGE_FILE", edge.file());
    comparator.env("COMPARATOR_ADDRESS", copies.address().to_string());
    comparator.env("COMPARATOR_ADMIN_ADDRESS", admin.address().to_string());
    for name in ADDRESSES {
        comparator.env(name, edge.address(name).to_string());
    }
    let _comparator = Process::start("comparator", &mut comparator, &edge.home().join("logs/comparator.log"));
    let report = Request::new(admin.address(), "GET", "/report?route=books");
    eventually("the comparator is ready", || report.try_send().is_ok_and(|answer| answer.status == 200));

    let admin = admin.address().to_string();
    let output = under_load(&edge, || {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                until_dealt(&edge, "{ legacy: 50, users: 50 }");
                new.store(2, Ordering::Relaxed);
            });
            // Longer than it takes to find the difference; a step that fails ends at once.
            let steps = ["--steps", "10,50", "--every", "20s"];
            ramp(&edge, &[&steps[..], &["--gate", "diff=0", "--comparator-admin", &admin]].concat())
        })
    });
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("rolled back at 50 %: diff=0"), "{}", said(&output));
    let after = edge.text();
    assert_eq!(after, before, "back at 0 %");
    let found = report.send().json()["routes"]["books"]["by_kind"].clone();
    assert!(found["body_value"].as_u64() > Some(0) && found.as_object().map(|all| all.len()) == Some(1));
}

#[test]
fn a_backend_that_becomes_slow_on_this_route_is_rolled_back_despite_other_routes() {
    // The times differ by more than a busy machine adds to both.
    let slow = Arc::new(AtomicU64::new(100));
    let waits = Arc::clone(&slow);
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nseen".to_vec();
    let (same, other) = (answer.clone(), answer);
    let legacy = Backend::with(move |_| {
        pause(Duration::from_millis(100), "as slow as the other at first");
        same.clone()
    });
    let users = Backend::with(move |seen| {
        if seen.request_line().contains("/books") {
            pause(Duration::from_millis(waits.load(Ordering::Relaxed)), "this backend becomes slow");
        }
        other.clone()
    });
    let (edge, _watch) = edge_of(&legacy, &users, |edge| edge);
    // Another route of the same backend is quick and has most of its requests.
    let quick = edge.get("/users/@me").token(&edge.mint().good(0));
    let crowd = || {
        for _ in 0..40 {
            let _ = quick.try_send();
        }
    };
    let output = meanwhile(Duration::from_millis(50), crowd, || {
        under_load(&edge, || {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    until_dealt(&edge, "{ legacy: 50, users: 50 }");
                    slow.store(2000, Ordering::Relaxed);
                });
                // The slow backend gives its one client few answers, so the gate asks for fewer than by default.
                let steps = ["--steps", "20,50", "--every", "8s", "--least", "30"];
                ramp(&edge, &[&steps[..], &["--gate", "p95<+500%"]].concat())
            })
        })
    });
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("rolled back at 50 %: p95<+500%"), "{}", said(&output));
    let text = edge.text();
    assert!(text.contains("to: { legacy: 100, users: 0 }"), "{text}");
}
