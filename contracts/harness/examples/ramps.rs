//! Runs many ramps on a real edge and counts how they end: how often a healthy backend is rolled back, and how often a slow
//! one passes. `docs/cutover.md` has the numbers.
//!
//! ```text
//! cargo build -p cutover -p authz-service -p users -p auth
//! cargo run -p harness --example ramps -- --old-ms 2 --new-ms 3 --ramps 50      # healthy
//! cargo run -p harness --example ramps -- --old-ms 100 --new-ms 200 --ramps 50  # twice as slow
//! ```
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program for people who develop the edge"
)]

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::{Backend, Edge, Part};

/// Clients at one time; together they send 40 requests a second, also to a backend that takes 200 ms.
const CLIENTS: u64 = 16;
const EACH: Duration = Duration::from_millis(1_000 * CLIENTS / 40);

struct Arguments {
    old_ms: u64,
    new_ms: u64,
    ramps: u32,
}

fn arguments() -> Arguments {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: u64| {
        let at = given.iter().position(|argument| argument == name);
        let value = at.and_then(|at| given.get(at + 1));
        value.map_or(default, |value| {
            value.parse().unwrap_or_else(|_| panic!("{name} needs a number, not {value}"))
        })
    };
    Arguments {
        old_ms: number("--old-ms", 2),
        new_ms: number("--new-ms", 3),
        ramps: u32::try_from(number("--ramps", 50)).expect("fewer ramps"),
    }
}

/// A backend that takes `ms` milliseconds.
fn taking(ms: u64) -> Backend {
    Backend::with(move |_| {
        std::thread::sleep(Duration::from_millis(ms));
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()
    })
}

fn cutover(edge: &Edge, arguments: &[&str]) -> std::process::Output {
    let mut command = edge.cutover_program();
    command.args(arguments).stdin(Stdio::null()).output().expect("cutover can be started")
}

fn main() {
    let Arguments { old_ms, new_ms, ramps } = arguments();
    let (old, new) = (taking(old_ms), taking(new_ms));
    let edge = Edge::dev()
        .stand_in("LEGACY_ADDRESS", old.address())
        .stand_in("USERS_ADDRESS", new.address())
        .without(Part::Auth)
        .start();
    let _watch = edge.watch();
    let file = edge.file().display().to_string();
    let token = edge.mint().good(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let request = edge.get("/books").token(&token);
            let stop = &stop;
            scope.spawn(move || {
                std::thread::sleep(EACH * u32::try_from(client).unwrap_or(0) / 16);
                while !stop.load(Ordering::Relaxed) {
                    let next = Instant::now() + EACH;
                    let _ = request.try_send();
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                }
            });
        }
        let (mut done, mut back) = (0, 0);
        for ramp in 1..=ramps {
            cutover(&edge, &["set", &file, "books", "--to", "legacy"]);
            let gates = ["--gate", "p95<+50%", "--gate", "5xx<1%"];
            let steps = ["ramp", &file, "books", "--to", "users", "--steps", "50,100", "--every", "3s"];
            let output = cutover(&edge, &[&steps[..], &gates[..]].concat());
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            match output.status.code() {
                Some(0) => done += 1,
                Some(1) if error.contains("p95<+50%") || error.contains("5xx<1%") => back += 1,
                code => panic!("the ramp ended with {code:?}: {error}"),
            }
            let last =
                String::from_utf8_lossy(&output.stdout).lines().rev().nth(1).unwrap_or_default().to_owned();
            println!("{ramp}: {done} done, {back} rolled back; {} {last}", error.trim());
        }
        stop.store(true, Ordering::Relaxed);
        println!("{old_ms} ms and {new_ms} ms: {done} of {ramps} done, {back} of {ramps} rolled back");
    });
}
