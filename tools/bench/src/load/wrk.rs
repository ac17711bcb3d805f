//! HTTP/1.1 by wrk: one thread, 32 connections or more, each request of the next session.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::Counted;
use crate::sessions::Sessions;

const CONNECTIONS: u32 = 32;
const SCRIPT: &str = include_str!("sessions.lua");

/// Requests `path` as fast as it is answered; `scheme` is `http` or `https`. wrk accepts every certificate.
///
/// # Panics
/// When wrk is not installed.
pub(crate) fn run(
    scheme: &str,
    address: SocketAddr,
    path: &str,
    sessions: &Sessions,
    duration: Duration,
) -> Counted {
    run_with(CONNECTIONS, scheme, address, path, sessions, duration)
}

/// The same over `connections`.
///
/// # Panics
/// When wrk is not installed.
pub(crate) fn run_with(
    connections: u32,
    scheme: &str,
    address: SocketAddr,
    path: &str,
    sessions: &Sessions,
    duration: Duration,
) -> Counted {
    let script = sessions.file().with_extension("lua");
    std::fs::write(&script, SCRIPT).expect("the directory is writable");
    let output = Command::new("wrk")
        .args(["-t1", "-c", &connections.to_string(), "-d"])
        .arg(format!("{}s", duration.as_secs().max(1)))
        .arg("-s")
        .arg(&script)
        .arg(format!("{scheme}://{address}{path}"))
        .arg("--")
        .arg(sessions.file())
        .arg(sessions.next().to_string())
        .arg(path)
        .arg(harness::SESSION_COOKIE)
        .output()
        .expect("wrk is installed (`make setup`)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said: Option<Value> = text
        .lines()
        .rev()
        .find(|line| line.starts_with('{'))
        .and_then(|line| serde_json::from_str(line).ok());
    let figure = |name: &str| {
        said.as_ref()
            .and_then(|said| said.get(name)?.as_u64())
            .unwrap_or_else(|| panic!("wrk printed no {name}:\n{text}"))
    };
    #[expect(clippy::cast_precision_loss, reason = "microseconds of one measurement")]
    let seconds = |name| figure(name) as f64 / 1e6;
    Counted {
        requests: figure("requests"),
        refused: figure("refused") + figure("broken"),
        seconds: seconds("microseconds"),
        p95_ms: seconds("p95_us") * 1e3,
        p99_ms: seconds("p99_us") * 1e3,
    }
}
