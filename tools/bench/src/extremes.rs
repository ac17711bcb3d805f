//! Ten thousand open connections, and bodies of a gibibyte.

use harness::SESSION_COOKIE;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::backend::GIBIBYTE;
use crate::load::steady::{self, Ask, Plan};
use crate::load::{Protocol, measure};
use crate::progress::Progress;
use crate::results::{Finding, rounded};
use crate::stage::{PATH, Stage};
use crate::variants::{Form, Variant};
use crate::watch::{MemoryWatch, resident_mib};

const CONNECTIONS: u32 = 10_000;
/// The edge in its intended form: with leases, if that one was started.
fn edge(stage: &Stage) -> Variant {
    if stage.has(Variant::Warm(Form::Native)) {
        Variant::Warm(Form::Native)
    } else {
        Variant::Cold(Form::Native)
    }
}

/// Ten thousand clients stay connected and send requests now and then: together half of the edge's highest rate.
pub(crate) fn connections(stage: &mut Stage, duration: Duration, progress: &Progress) -> Finding {
    let variant = edge(stage);
    let target = stage.target(variant);
    let full = measure(target, Protocol::H1, PATH, stage.sessions(1), duration);
    let rate = full.rate / 2.0;
    let before = resident_mib(target.envoy);
    progress.say("opening 10,000 connections");
    let watch = MemoryWatch::begin(target.envoy);
    let seen = steady::run(&Plan {
        address: target.address,
        asks: vec![Ask { path: PATH.to_owned(), token: stage.sessions(1).first().to_owned() }],
        rate,
        // Every connection has to be used at least once.
        duration: duration.max(Duration::from_secs_f64(1.2 * f64::from(CONNECTIONS) / rate)),
        connections: CONNECTIONS,
    });
    let most = watch.end();
    stage.empty_logs();
    #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
    let errors = seen.errors as f64 / seen.requests.max(1) as f64;
    Finding {
        key: "connections",
        said: vec![format!(
            "10,000 open connections, {:.0} requests/s (the edge {}): errors {:.3} %, p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms; Envoy {before:.0} → {most:.0} MiB",
            seen.rate,
            variant.name(),
            100.0 * errors,
            seen.p50_ms,
            seen.p95_ms,
            seen.p99_ms,
        )],
        figures: json!({
            "connections": CONNECTIONS, "variant": variant.name(),
            "requests_per_second": rounded(seen.rate), "errors": rounded(errors),
            "p50_ms": rounded(seen.p50_ms), "p95_ms": rounded(seen.p95_ms), "p99_ms": rounded(seen.p99_ms),
            "envoy_mib_before": rounded(before), "envoy_mib_most": rounded(most),
        }),
    }
}

/// Raises this process's own limit of open files, which later child processes inherit: both ends of ten thousand
/// connections are here.
///
/// # Panics
/// When the machine does not allow that many.
pub(crate) fn allow_open_files() {
    const WANTED: u32 = 65_536;
    let this = std::process::id().to_string();
    let run = |limit: String| {
        Command::new("prlimit").args(["--pid", &this, &limit]).output().is_ok_and(|o| o.status.success())
    };
    let enough = run(format!("--nofile={WANTED}:{WANTED}")) || run("--nofile=20000:20000".to_owned());
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let now = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    assert!(
        enough,
        "10,000 connections need 20,000 open files: raise `ulimit -Hn`, or leave `connections` out with --only ({now})"
    );
}

/// A gibibyte to the backend, and one from it.
pub(crate) fn bodies(stage: &mut Stage, progress: &Progress) -> Finding {
    let variant = edge(stage);
    let target = stage.target(variant);
    let token = stage.sessions(1).first().to_owned();
    let mut said = Vec::new();
    let mut figures = serde_json::Map::new();
    for (way, go) in [("up", upload as fn(SocketAddr, &str) -> u64), ("down", download)] {
        let before = resident_mib(target.envoy);
        let watch = MemoryWatch::begin(target.envoy);
        let started = Instant::now();
        let bytes = go(target.address, &token);
        let seconds = started.elapsed().as_secs_f64();
        let grown = watch.end() - before;
        assert!(bytes == GIBIBYTE, "{bytes} of {GIBIBYTE} bytes arrived ({way})");
        progress.say(&format!("1 GiB {way} in {seconds:.1} s"));
        said.push(format!(
            "1 GiB {way}: {:.0} MiB/s, Envoy's memory grew by {grown:.1} MiB",
            1024.0 / seconds
        ));
        figures.insert(
            way.to_owned(),
            json!({ "mib_per_second": rounded(1024.0 / seconds), "envoy_mib_grown": rounded(grown) }),
        );
    }
    Finding { key: "bodies", said, figures: figures.into() }
}

const PIECE: usize = 256 * 1024;

/// Sends a gibibyte; returns the number of bytes that the backend read.
fn upload(address: SocketAddr, token: &str) -> u64 {
    let mut connection = open(address);
    let head = format!(
        "POST /books/up HTTP/1.1\r\nHost: localhost\r\nCookie: {SESSION_COOKIE}={token}\r\nContent-Length: {GIBIBYTE}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).expect("the edge reads");
    let piece = vec![b'u'; PIECE];
    let mut left = GIBIBYTE;
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        connection.write_all(piece.get(..size).unwrap_or_default()).expect("the edge reads");
        left -= size as u64;
    }
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("the edge answers");
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    body.trim().parse().unwrap_or_else(|_| panic!("the backend returned no number of bytes:\n{answer}"))
}

/// Reads a gibibyte; returns the number of bytes after the head.
fn download(address: SocketAddr, token: &str) -> u64 {
    let mut connection = open(address);
    let head = format!(
        "GET /books/down HTTP/1.1\r\nHost: localhost\r\nCookie: {SESSION_COOKIE}={token}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).expect("the edge reads");
    let mut buffer = vec![0; PIECE];
    let (mut start, mut bytes, mut in_body) = (Vec::new(), 0_u64, false);
    loop {
        let read = connection.read(&mut buffer).expect("the edge sends");
        let piece = buffer.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return bytes;
        }
        if in_body {
            bytes += piece.len() as u64;
            continue;
        }
        start.extend_from_slice(piece);
        if let Some(end) = start.windows(4).position(|four| four == b"\r\n\r\n") {
            assert!(
                start.starts_with(b"HTTP/1.1 200"),
                "it was refused: {}",
                String::from_utf8_lossy(&start)
            );
            in_body = true;
            bytes = (start.len() - end - 4) as u64;
        }
    }
}

fn open(address: SocketAddr) -> TcpStream {
    let connection = TcpStream::connect(address).expect("the edge listens");
    connection.set_read_timeout(Some(Duration::from_secs(60))).expect("the connection is open");
    connection.set_write_timeout(Some(Duration::from_secs(60))).expect("the connection is open");
    connection
}
