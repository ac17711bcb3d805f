//! Five thousand open streams, nine tenths of which end at once with their sessions.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use harness::tokens::now;
use harness::{Edge, SESSION_COOKIE};
use serde_json::{Value, json};

use crate::backend::ENDLESS;
use crate::progress::Progress;
use crate::results::{Finding, rounded};
use crate::stage::{changed, edge_files};
use crate::variants::Form;

/// The number of open streams, each of a session of its own.
const STREAMS: usize = 5_000;
/// Every stream but these ends.
const KEPT: usize = STREAMS / 10;
/// A stream that is open for longer after its session has ended is counted as open.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at the connections: short compared with the two seconds of the promise.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Ends the sessions of most streams, for each form of the guard, and measures how long the streams live on.
pub(crate) fn streams(backend: SocketAddr, progress: &Progress) -> Finding {
    let mut said = vec![format!("{} of {STREAMS} open streams end with their sessions:", STREAMS - KEPT)];
    let mut figures = serde_json::Map::new();
    for (key, form) in [("native", Form::Native), ("wasm", Form::Wasm)] {
        progress.say(&format!("opening {STREAMS} streams, guard {key}"));
        let ended = measure(backend, form);
        let open = ended.open;
        said.push(format!(
            "  guard {key}: the first after {:.2} s, half after {:.2} s, the last after {:.2} s{}; {} of {KEPT} others live on",
            ended.seconds(1),
            ended.seconds(ended.times.len() / 2),
            ended.seconds(ended.times.len()),
            if open == 0 { String::new() } else { format!("; {open} are still open") },
            ended.others,
        ));
        figures.insert(key.to_owned(), ended.figures());
    }
    Finding { key: "streams", said, figures: figures.into() }
}

/// What became of the streams.
struct Ended {
    /// The time until each stream ended, shortest first.
    times: Vec<Duration>,
    /// Streams that did not end, though their session did.
    open: usize,
    /// Streams of other sessions that live on.
    others: usize,
}

impl Ended {
    /// Until this many had ended, in seconds.
    fn seconds(&self, count: usize) -> f64 {
        count.checked_sub(1).and_then(|at| self.times.get(at)).map_or(0.0, Duration::as_secs_f64)
    }

    fn figures(&self) -> Value {
        json!({
            "streams": STREAMS, "ended": self.times.len(), "still_open": self.open, "others": self.others,
            "first_s": rounded(self.seconds(1)), "half_s": rounded(self.seconds(self.times.len() / 2)),
            "last_s": rounded(self.seconds(self.times.len())),
        })
    }
}

fn measure(backend: SocketAddr, form: Form) -> Ended {
    let (_, text) = edge_files();
    let route = format!(
        "\nroutes:\n  - {{ name: endless, host: api, exact: {ENDLESS}, policy: signed-in, stream: true, to: legacy, answers: library }}\n"
    );
    let room = "\n  legacy:\n    circuit: { connections: 20000, requests: 20000 }\n";
    let text = changed(&changed(&text, "\nroutes:\n", &route), "\n  legacy:\n", room);
    let guard = form.guard().display().to_string();
    let edge = Edge::dev().variable("CUTOVER_GUARD", &guard).replace(&edge_files().1, &text);
    let edge = edge.every_backend(backend).workers(2).start();
    let mint = edge.mint();
    let name = |number: usize| format!("{number:08x}-0000-7000-8000-000000000000");
    let mut streams: Vec<Option<TcpStream>> = (0..STREAMS)
        .map(|number| {
            let token = mint.with(|claims| {
                claims.insert("sid".to_owned(), json!(name(number)));
                claims.insert("sub".to_owned(), json!(name(number)));
            });
            Some(open(edge.public(), &token))
        })
        .collect();
    let until = now() + 3_600;
    let ends: String = (KEPT..STREAMS)
        .map(|number| format!("{}\n", json!({ "sid": name(number), "from": 0, "until": until })))
        .collect();
    let path = edge.home().join("sessions/revoked.jsonl");
    let list = std::fs::OpenOptions::new().append(true).create(true).open(path);
    let ended = Instant::now();
    list.and_then(|mut list| list.write_all(ends.as_bytes())).expect("the list of revocations is writable");
    let mut times = Vec::with_capacity(STREAMS);
    while times.len() < STREAMS - KEPT && ended.elapsed() < PATIENCE {
        thread::sleep(LOOK_EVERY);
        for stream in streams.iter_mut().skip(KEPT) {
            if stream.as_mut().is_some_and(|stream| !is_open(stream)) {
                *stream = None;
                times.push(ended.elapsed());
            }
        }
    }
    let others = streams.iter_mut().take(KEPT).flatten().map(is_open).filter(|is_open| *is_open).count();
    Ended { open: STREAMS - KEPT - times.len(), times, others }
}

/// A stream that has begun.
fn open(address: SocketAddr, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the edge listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("the connection is open");
    let head =
        format!("GET {ENDLESS} HTTP/1.1\r\nHost: localhost\r\nCookie: {SESSION_COOKIE}={token}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("the edge reads");
    let mut start = [0; 12];
    stream.read_exact(&mut start).expect("the edge answers");
    assert!(start.starts_with(b"HTTP/1.1 200"), "it was refused: {}", String::from_utf8_lossy(&start));
    stream.set_nonblocking(true).expect("the connection is open");
    stream
}

/// Reads what has arrived, and returns whether the connection is still open.
fn is_open(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 1_024];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}
