//! Load, and what it cost whom.
//!
//! Three generators: [`wrk`] (HTTP/1.1, as fast as the other side answers), [`h2`] (the same over HTTP/2, ours,
//! because h2load sends the same headers with every request and sessions are headers), and [`steady`] (a fixed
//! rate, ours, for latencies: a generator that waits for answers hides how long they take).

pub(crate) mod h2;
pub(crate) mod steady;
pub(crate) mod wrk;

use std::net::SocketAddr;
use std::time::Duration;

use crate::sessions::Sessions;
use crate::watch::cpu_seconds;

/// What is put under load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its Envoy.
    pub(crate) envoy: u32,
    /// Its authorizer, where it has one.
    pub(crate) authorizer: Option<u32>,
}

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1, 32 connections.
    H1,
    /// HTTP/2 in the clear, 4 connections with 8 requests each.
    H2,
}

/// What a generator saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    /// Answers.
    pub(crate) requests: u64,
    /// Those of them that were not what was asked for.
    pub(crate) refused: u64,
    /// How long it took, seconds.
    pub(crate) seconds: f64,
    /// 99th percentile, milliseconds.
    pub(crate) p99_ms: f64,
}

/// What one variant did in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Requests.
    pub(crate) requests: u64,
    /// Those of them that were refused or broken.
    pub(crate) refused: u64,
    /// Requests in a second.
    pub(crate) rate: f64,
    /// 99th percentile, milliseconds. As many requests are on the way as there are connections, so this says how
    /// long the queue is; what a request waits at a sane load is the business of `tail`.
    pub(crate) p99_ms: f64,
    /// CPU time of Envoy for each request, microseconds.
    pub(crate) envoy_us: f64,
    /// CPU time of the authorizer for each request, microseconds.
    pub(crate) authorizer_us: f64,
}

/// A measurement in which too much went wrong is made again, this often.
const ATTEMPTS: u32 = 3;

/// Requests of the next sessions in turn, as fast as they are answered, for `duration`.
///
/// Where something else keeps the machine busy, an authorizer may miss its 200 ms now and then. A measurement with
/// more than one refusal in two hundred requests would mean something else, so it is made again.
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
        Protocol::H1 => wrk::run(target.address, path, sessions, duration),
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

/// The value below which `share` of the sorted `values` are.
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
