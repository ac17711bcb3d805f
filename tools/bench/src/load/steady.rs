//! A fixed rate over open connections (HTTP/1.1): for latencies, and for many connections.
//!
//! Request n is due at n / rate. Each thread has connections of its own, uses one after the other, and waits for
//! each answer. A request whose thread was still waiting when it was due counts from when it was due, so that a
//! stall of the other side shows in every request that it held up; one whose thread merely overslept counts from
//! when it was sent, so that the loader's own sleep does not.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use super::percentile;

/// What is asked, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where.
    pub(crate) address: SocketAddr,
    /// For what.
    pub(crate) path: String,
    /// By whom.
    pub(crate) token: String,
    /// Requests in a second.
    pub(crate) rate: f64,
    /// For how long.
    pub(crate) duration: Duration,
    /// So many requests can be on the way at once.
    pub(crate) threads: u32,
    /// Open connections of each thread.
    pub(crate) connections: u32,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Steady {
    /// Answers in a second.
    pub(crate) rate: f64,
    /// Requests that were sent.
    pub(crate) requests: usize,
    /// Connections that could not be opened, and requests without a 200.
    pub(crate) errors: usize,
    /// Median, milliseconds.
    pub(crate) p50_ms: f64,
    /// 95th percentile, milliseconds.
    pub(crate) p95_ms: f64,
    /// 99th percentile, milliseconds.
    pub(crate) p99_ms: f64,
}

/// Does it.
pub(crate) fn run(plan: &Plan) -> Steady {
    let begin = Arc::new(Barrier::new(usize::try_from(plan.threads).unwrap_or(1)));
    let threads: Vec<_> = (0..plan.threads)
        .map(|number| {
            let (plan, begin) = (plan.clone(), Arc::clone(&begin));
            std::thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn(move || ask(&plan, number, &begin))
                .expect("a thread starts")
        })
        .collect();
    let (mut latencies, mut errors) = (Vec::new(), 0);
    for thread in threads {
        let (some, failed) = thread.join().expect("asking does not panic");
        latencies.extend(some);
        errors += failed;
    }
    latencies.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    let rate = latencies.len() as f64 / plan.duration.as_secs_f64();
    Steady {
        rate,
        requests: latencies.len() + errors,
        errors,
        p50_ms: percentile(&latencies, 0.50),
        p95_ms: percentile(&latencies, 0.95),
        p99_ms: percentile(&latencies, 0.99),
    }
}

fn ask(plan: &Plan, number: u32, begin: &Barrier) -> (Vec<f64>, usize) {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nCookie: theme=dark; madome_access_token={}\r\n\r\n",
        plan.path, plan.token
    );
    let mut errors = 0;
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    for _ in 0..plan.connections {
        let connection = open(plan.address);
        errors += usize::from(connection.is_err());
        connections.push(connection.ok());
    }
    // What this thread's and its connection's first request costs is not what is measured.
    if let Some(Some(connection)) = connections.first_mut() {
        let _ = exchange(connection, request.as_bytes());
    }
    begin.wait();
    let started = Instant::now();
    let (mut latencies, mut turn) = (Vec::new(), 0_u32);
    loop {
        let due = f64::from(turn) * f64::from(plan.threads) + f64::from(number);
        let due = started + Duration::from_secs_f64(due / plan.rate);
        if due >= started + plan.duration {
            return (latencies, errors);
        }
        let early = due.saturating_duration_since(Instant::now());
        std::thread::sleep(early);
        let from = if early.is_zero() { due } else { Instant::now() };
        let at = usize::try_from(turn % plan.connections).unwrap_or_default();
        turn += 1;
        let Some(slot) = connections.get_mut(at) else { continue };
        let answered = match slot {
            Some(connection) => exchange(connection, request.as_bytes()),
            None => Err(io::Error::from(io::ErrorKind::NotConnected)),
        };
        if matches!(answered, Ok(200)) {
            latencies.push(from.elapsed().as_secs_f64() * 1e3);
        } else {
            errors += 1;
            *slot = open(plan.address).ok();
        }
    }
}

fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let connection = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(connection)
}

/// One request and its whole answer; its status.
fn exchange(connection: &mut TcpStream, request: &[u8]) -> io::Result<u16> {
    connection.write_all(request)?;
    let (mut buffer, mut filled) = ([0_u8; 4096], 0);
    loop {
        let free = buffer.get_mut(filled..).filter(|free| !free.is_empty());
        let read = connection.read(free.ok_or(io::ErrorKind::InvalidData)?)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        let text = std::str::from_utf8(buffer.get(..filled).unwrap_or_default());
        let text = text.map_err(|_| io::ErrorKind::InvalidData)?;
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let field = |line: &str| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            };
            let length = head.lines().find_map(field).ok_or(io::ErrorKind::InvalidData)?;
            if body.len() >= length {
                let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
                return status.ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
        }
    }
}
