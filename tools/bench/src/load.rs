//! Load, and the CPU time that it costs.
//!
//! There are three generators: [`wrk`] (HTTP/1.1, as fast as the edge answers), [`h2`] (our own, the same over HTTP/2,
//! because h2load sends the same headers with every request, and sessions are headers), and [`steady`] (our own, a fixed rate
//! for latencies: a generator that waits for answers hides how long they take).

pub(crate) mod h2;
pub(crate) mod steady;
pub(crate) mod wrk;

use std::net::SocketAddr;
use std::time::Duration;

use crate::sessions::Sessions;
use crate::watch::cpu_seconds;

/// The target of the load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// Its Envoy.
    pub(crate) envoy: u32,
    /// Its authorizer, where it has one.
    pub(crate) authorizer: Option<u32>,
}

/// The protocol of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1, 32 connections.
    H1,
    /// HTTP/2 in the clear, 4 connections with 8 requests each.
    H2,
    /// HTTP/1.1 over TLS, 32 connections.
    Tls,
}

/// The result of a generator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    /// Answers.
    pub(crate) requests: u64,
    /// Answers other than the expected one.
    pub(crate) refused: u64,
    /// The duration in seconds.
    pub(crate) seconds: f64,
    /// 95th percentile, milliseconds.
    pub(crate) p95_ms: f64,
    /// 99th percentile, milliseconds.
    pub(crate) p99_ms: f64,
}

/// The measurement of one variant in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Requests.
    pub(crate) requests: u64,
    /// Refused or failed requests.
    pub(crate) refused: u64,
    /// Requests per second.
    pub(crate) rate: f64,
    /// 99th percentile, milliseconds. Every connection has a request in progress, so this is the length of the queue; `tail`
    /// measures the latency at a moderate load.
    pub(crate) p99_ms: f64,
    /// CPU time of Envoy for each request, microseconds.
    pub(crate) envoy_us: f64,
    /// CPU time of the authorizer for each request, microseconds.
    pub(crate) authorizer_us: f64,
}

/// How often a measurement with too many errors is repeated.
const ATTEMPTS: u32 = 3;

/// Sends requests of the next sessions in turn, as fast as they are answered, for `duration`.
///
/// On a busy machine an authorizer may miss its 200 ms now and then. A measurement with more than one refusal in two hundred
/// requests would not be comparable, so it is repeated.
///
/// # Panics
/// When that happens three times in a row.
pub(crate) fn measure(
    target: Target,
    protocol: Protocol,
    path: &str,
    sessions: &Sessions,
    duration: Duration,
) -> Measured {
    for _ in 0..ATTEMPTS {
        let one = once(target, protocol, path, sessions, duration);
        if one.requests > 0 && one.refused * 200 <= one.requests {
            return one;
        }
        eprintln!("       {} of {} requests were refused: once more", one.refused, one.requests);
    }
    panic!("{} refuses too many requests", target.address)
}

fn once(target: Target, protocol: Protocol, path: &str, sessions: &Sessions, duration: Duration) -> Measured {
    let cpu = |process: Option<u32>| process.map_or(0.0, cpu_seconds);
    let (envoy, authorizer) = (cpu(Some(target.envoy)), cpu(target.authorizer));
    let counted = match protocol {
        Protocol::H1 => wrk::run("http", target.address, path, sessions, duration),
        Protocol::Tls => wrk::run("https", target.address, path, sessions, duration),
        Protocol::H2 => h2::run(target.address, path, sessions, duration),
    };
    sessions.advance(counted.requests);
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    let count = counted.requests as f64;
    Measured {
        requests: counted.requests,
        refused: counted.refused,
        rate: count / counted.seconds,
        p99_ms: counted.p99_ms,
        envoy_us: (cpu(Some(target.envoy)) - envoy) * 1e6 / count,
        authorizer_us: (cpu(target.authorizer) - authorizer) * 1e6 / count,
    }
}

/// The value below which `share` of the sorted `values` lie.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into what was measured"
    )]
    let index = (share * sorted.len() as f64) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
