//! A fixed rate over open connections (HTTP/1.1): for latencies, and for many connections.
//!
//! Request n is due at n / rate and goes to the connection that has been free for longest. A request without a free
//! connection counts from its due time, so that a stall of the edge shows in every request that it delayed. A request that
//! the loader sent late counts from its sending, so that the loader's own sleep does not show. One thread does all of it:
//! with a thread for each connection, the measurement would include how threads wait for each other.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use super::percentile;

/// The requests and their rate.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The address.
    pub(crate) address: SocketAddr,
    /// What is requested in turn.
    pub(crate) asks: Vec<Ask>,
    /// Requests per second.
    pub(crate) rate: f64,
    /// The duration.
    pub(crate) duration: Duration,
    /// Open connections: the number of requests that can be in flight at once.
    pub(crate) connections: u32,
}

/// One request of a plan: a path, and the token of the session that requests it.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The path.
    pub(crate) path: String,
    /// The token.
    pub(crate) token: String,
}

/// The result.
#[derive(Clone, Debug)]
pub(crate) struct Steady {
    /// Answers per second.
    pub(crate) rate: f64,
    /// Requests that were sent.
    pub(crate) requests: usize,
    /// Connections that could not be opened, and requests without a 200.
    pub(crate) errors: usize,
    /// The same by what happened: a status, or the error of the connection.
    pub(crate) faults: BTreeMap<String, usize>,
    /// Median, milliseconds.
    pub(crate) p50_ms: f64,
    /// 95th percentile, milliseconds.
    pub(crate) p95_ms: f64,
    /// 99th percentile, milliseconds.
    pub(crate) p99_ms: f64,
}

/// The longest time of an answer: a request without one by then is an error.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest wait for events. They may come at any time, so its length does not matter.
const A_WHILE: Duration = Duration::from_millis(10);

/// Runs the load.
///
/// # Panics
/// When the machine gives no epoll.
pub(crate) fn run(plan: &Plan) -> Steady {
    let mut loader = Loader::new(plan);
    loader.warm();
    loader.ask(plan);
    loader.latencies.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    let rate = loader.latencies.len() as f64 / plan.duration.as_secs_f64();
    Steady {
        rate,
        requests: loader.latencies.len() + loader.errors,
        errors: loader.errors,
        faults: loader.faults,
        p50_ms: percentile(&loader.latencies, 0.50),
        p95_ms: percentile(&loader.latencies, 0.95),
        p99_ms: percentile(&loader.latencies, 0.99),
    }
}

/// One connection: the answer so far, and the time from which its request counts.
struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
    from: Option<Instant>,
}

struct Loader {
    epoll: rustix::fd::OwnedFd,
    address: SocketAddr,
    /// The bytes of each request, and the number of those that were sent.
    requests: Vec<Vec<u8>>,
    sent: usize,
    /// A connection that could not be opened is not counted.
    connections: Vec<Option<Connection>>,
    /// The free ones, the one that has been free for longest first.
    free: VecDeque<usize>,
    latencies: Vec<f64>,
    errors: usize,
    faults: BTreeMap<String, usize>,
}

impl Loader {
    fn new(plan: &Plan) -> Self {
        let request = |ask: &Ask| {
            let (path, cookie, token) = (&ask.path, harness::SESSION_COOKIE, &ask.token);
            format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nCookie: theme=dark; {cookie}={token}\r\n\r\n"
            )
            .into_bytes()
        };
        let mut loader = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).expect("the kernel gives an epoll"),
            address: plan.address,
            requests: plan.asks.iter().map(request).collect(),
            sent: 0,
            connections: Vec::new(),
            free: VecDeque::new(),
            latencies: Vec::new(),
            errors: 0,
            faults: BTreeMap::new(),
        };
        for at in 0..usize::try_from(plan.connections).unwrap_or_default() {
            loader.connections.push(None);
            loader.open(at);
        }
        loader
    }

    /// A new connection at `at`, free if it can be opened.
    fn open(&mut self, at: usize) {
        let opened = connect(self.address).and_then(|stream| {
            let data = epoll::EventData::new_u64(u64::try_from(at).unwrap_or_default());
            epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN)?;
            Ok(Connection { stream, answer: Vec::new(), from: None })
        });
        match (opened, self.connections.get_mut(at)) {
            (Ok(connection), Some(slot)) => {
                *slot = Some(connection);
                self.free.push_back(at);
            }
            (Ok(_), None) => {}
            (Err(error), _) => self.fault(format!("connect: {}", error.kind())),
        }
    }

    fn fault(&mut self, what: String) {
        self.errors += 1;
        *self.faults.entry(what).or_default() += 1;
    }

    /// The first requests, which do not count: their cost is not measured.
    fn warm(&mut self) {
        for _ in 0..self.free.len().min(16) {
            self.send(Instant::now());
        }
        let until = Instant::now() + PATIENCE;
        while self.on_the_way() > 0 && Instant::now() < until {
            self.receive(A_WHILE);
        }
        self.latencies.clear();
    }

    fn ask(&mut self, plan: &Plan) {
        let started = Instant::now();
        let due_at = |turn: u32| started + Duration::from_secs_f64(f64::from(turn) / plan.rate);
        let end = started + plan.duration;
        // Until then there was no free connection.
        let (mut turn, mut held_until) = (0_u32, started);
        while due_at(turn) < end {
            let due = due_at(turn);
            let now = Instant::now();
            if self.free.is_empty() {
                if now > end + PATIENCE || self.connections.iter().all(Option::is_none) {
                    break;
                }
                self.receive(A_WHILE);
                held_until = Instant::now();
            } else if due <= now {
                self.send(if due <= held_until { due } else { now });
                turn += 1;
            } else {
                self.receive(due - now);
            }
        }
        let until = end.max(Instant::now()) + PATIENCE;
        while self.on_the_way() > 0 && Instant::now() < until {
            self.receive(A_WHILE);
        }
        for _ in 0..self.on_the_way() {
            self.fault(format!("no answer within {PATIENCE:?}"));
        }
    }

    fn on_the_way(&self) -> usize {
        self.connections.iter().flatten().filter(|connection| connection.from.is_some()).count()
    }

    /// One request over the connection that has been free for longest.
    fn send(&mut self, from: Instant) {
        let Some(at) = self.free.pop_front() else { return };
        let Some(Some(connection)) = self.connections.get_mut(at) else { return };
        let Some(request) = self.requests.get(self.sent % self.requests.len().max(1)) else { return };
        self.sent += 1;
        connection.from = Some(from);
        if let Err(error) = connection.stream.write_all(request) {
            self.failed(at, format!("send: {}", error.kind()));
        }
    }

    /// Reads the available answers, and waits at most this long for them.
    fn receive(&mut self, longest: Duration) {
        let mut events =
            [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 64];
        let longest = Timespec::try_from(longest).ok();
        let count = epoll::wait(&self.epoll, &mut events, longest.as_ref()).unwrap_or(0);
        for event in events.iter().take(count) {
            let Ok(at) = usize::try_from({ event.data }.u64()) else { continue };
            let Some(Some(connection)) = self.connections.get_mut(at) else { continue };
            match connection.read() {
                Ok(None) => {}
                Ok(Some(200)) => {
                    if let Some(from) = connection.from.take() {
                        self.latencies.push(from.elapsed().as_secs_f64() * 1e3);
                        self.free.push_back(at);
                    }
                }
                Ok(Some(status)) => self.failed(at, status.to_string()),
                Err(error) => self.failed(at, format!("receive: {}", error.kind())),
            }
        }
    }

    /// The request has no good answer, or the peer closed the connection.
    fn failed(&mut self, at: usize, what: String) {
        self.fault(what);
        self.free.retain(|free| *free != at);
        if let Some(slot) = self.connections.get_mut(at) {
            *slot = None;
        }
        self.open(at);
    }
}

impl Connection {
    /// The status, once the answer is complete.
    fn read(&mut self) -> io::Result<Option<u16>> {
        let mut buffer = [0_u8; 4096];
        let read = match self.stream.read(&mut buffer) {
            Ok(read) => read,
            // The event belongs to an earlier connection at this place.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(e) => return Err(e),
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.answer.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let text = std::str::from_utf8(&self.answer).map_err(|_| io::ErrorKind::InvalidData)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        };
        let length = head.lines().find_map(field).ok_or(io::ErrorKind::InvalidData)?;
        if body.len() < length {
            return Ok(None);
        }
        let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
        self.answer.clear();
        status.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::{Ask, Plan, run};

    /// Answers one connection's requests; the tenth only after `stall`, and the twentieth with `status`.
    fn serve(stall: Duration, status: &'static str) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut number = 0;
            while let Ok((mut stream, _)) = listener.accept() {
                stream.set_nodelay(true).unwrap();
                let mut buffer = [0_u8; 4096];
                while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                    number += 1;
                    if number == 10 {
                        std::thread::sleep(stall);
                    }
                    let status = if number == 20 { status } else { "200 OK" };
                    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nhi");
                    // In two pieces, so that the loader has to put them together.
                    let (one, two) = answer.split_at(30);
                    let sent = stream.write_all(one.as_bytes()).and_then(|()| stream.flush());
                    if sent.and_then(|()| stream.write_all(two.as_bytes())).is_err() {
                        break;
                    }
                }
            }
        });
        address
    }

    fn plan(address: std::net::SocketAddr) -> Plan {
        Plan {
            address,
            asks: vec![Ask { path: "/".to_owned(), token: "none".to_owned() }],
            rate: 200.0,
            duration: Duration::from_millis(500),
            connections: 1,
        }
    }

    #[test]
    fn a_stall_shows_in_every_request_that_it_held_up() {
        let seen = run(&plan(serve(Duration::from_millis(400), "200 OK")));
        assert_eq!((seen.requests, seen.errors), (100, 0));
        // About eighty of a hundred were due within the stall: the first of them waited 400 ms, the last one nearly nothing. If
        // each had counted from its sending, only one would have waited.
        assert!(seen.p50_ms > 100.0, "{seen:?}");
        assert!(seen.p99_ms >= 390.0, "{seen:?}");
    }

    #[test]
    fn a_bad_answer_is_counted_and_the_loader_goes_on() {
        let seen = run(&plan(serve(Duration::ZERO, "503 No")));
        assert_eq!((seen.requests, seen.errors), (100, 1));
    }

    #[test]
    fn a_missing_server_is_an_error_at_once() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let seen = run(&plan(gone));
        assert!(seen.errors > 0 && seen.rate == 0.0, "{seen:?}");
    }
}
