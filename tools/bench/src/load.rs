//! One measurement: load from wrk, and what it cost whom.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// What one variant did in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Requests in a second.
    pub(crate) rate: f64,
    /// 99th percentile, milliseconds.
    pub(crate) p99_ms: f64,
    /// CPU time of Envoy for each request, microseconds.
    pub(crate) envoy_us: f64,
    /// CPU time of the authorizer for each request, microseconds.
    pub(crate) authorizer_us: f64,
}

/// Puts load on `address` and watches the processes.
pub(crate) fn measure(
    address: SocketAddr,
    token: &str,
    duration: Duration,
    connections: usize,
    envoy: u32,
    authorizer: Option<u32>,
) -> Measured {
    let cpu = |process: Option<u32>| process.map_or(0.0, cpu_seconds);
    let (envoy_before, authorizer_before) = (cpu(Some(envoy)), cpu(authorizer));
    let output = Command::new("wrk")
        .args(["-t1", "--latency", "-c"])
        .arg(connections.to_string())
        .arg("-d")
        .arg(format!("{}s", duration.as_secs()))
        .args([
            "-H",
            &format!("Cookie: theme=dark; madome_access_token={token}"),
            "-H",
            "User-Agent: bench",
            "-H",
            "Host: localhost",
        ])
        .arg(format!("http://{address}/users/@me"))
        .output()
        .expect("wrk is installed (`make setup`)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("Non-2xx"), "some requests were refused:\n{text}");
    let figure = |label: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(label));
        line.and_then(|line| line.split_whitespace().last())
            .unwrap_or_else(|| panic!("wrk said no {label}:\n{text}"))
            .to_owned()
    };
    let rate: f64 = figure("Requests/sec:").parse().expect("a rate is a number");
    let count = rate * duration.as_secs_f64();
    Measured {
        rate,
        p99_ms: milliseconds(&figure("99%")),
        envoy_us: (cpu(Some(envoy)) - envoy_before) * 1e6 / count,
        authorizer_us: (cpu(authorizer) - authorizer_before) * 1e6 / count,
    }
}

fn milliseconds(text: &str) -> f64 {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().expect("a latency is a number");
    match text.strip_prefix(digits) {
        Some("us") => number / 1e3,
        Some("s") => number * 1e3,
        Some(_) | None => number,
    }
}

/// User and system time of a process so far (proc(5): fields 14 and 15 of `stat`, in ticks of 10 ms).
fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}
