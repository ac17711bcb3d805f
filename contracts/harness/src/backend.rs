//! A backend of exact bytes: it keeps requests as they arrived, and sends the test's answers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::ports::Port;

/// One request as the backend received it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Request line and header lines, byte for byte, without the empty line.
    pub head: Vec<u8>,
    /// The body as it was framed (chunk sizes included when it came in chunks).
    pub body: Vec<u8>,
}

impl Seen {
    /// The request line.
    #[must_use]
    pub fn request_line(&self) -> String {
        String::from_utf8_lossy(self.head.split(|b| *b == b'\r').next().unwrap_or_default()).into_owned()
    }

    /// Every value of a header, in order, by its name in any case.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.head).into_owned();
        let lines = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned()).collect()
    }

    /// The one value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }

    /// Every header name in its original spelling.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.head).into_owned();
        text.split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(n, _)| n.to_owned())
            .collect()
    }
}

type Respond = dyn Fn(&Seen) -> Vec<u8> + Send + Sync;

/// A backend on a leased port. It listens until it is dropped.
pub struct Backend {
    port: Port,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Backend {
    /// A backend that answers every request with `answer`.
    #[must_use]
    pub fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::with(move |_| answer.clone())
    }

    /// A backend that answers 200 with the body `seen`.
    #[must_use]
    pub fn plain() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nseen")
    }

    /// A backend that sends the answers of `respond`. An empty answer closes the connection.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn with(respond: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let port = Port::lease();
        let listener = TcpListener::bind(port.address()).expect("a leased port can be bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let respond: Arc<Respond> = Arc::new(respond);
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (respond, seen) = (Arc::clone(&respond), Arc::clone(&shared));
                thread::spawn(move || serve(stream, &seen, &*respond));
            }
        });
        Self { port, seen }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Every request so far.
    ///
    /// # Panics
    /// When a serving thread panicked.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no serving thread panicked").clone()
    }

    /// The last request.
    ///
    /// # Panics
    /// When it received no request.
    #[must_use]
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("the backend saw no request")
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Seen>>, respond: &Respond) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer) {
        let answer = respond(&request);
        seen.lock().expect("no serving thread panicked").push(request);
        if answer.is_empty() || stream.write_all(&answer).is_err() {
            return;
        }
    }
}

fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let head_end = fill(stream, buffer, |b| b.windows(4).position(|w| w == b"\r\n\r\n"))?;
    let head = buffer[..head_end].to_vec();
    buffer.drain(..head_end + 4);
    let mut seen = Seen { head, body: Vec::new() };
    let length = if seen.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        fill(stream, buffer, |b| {
            // The last chunk, then trailers, then an empty line.
            let last =
                if b.starts_with(b"0\r\n") { 0 } else { b.windows(5).position(|w| w == b"\r\n0\r\n")? + 2 };
            b[last..].windows(4).position(|w| w == b"\r\n\r\n").map(|at| last + at + 4)
        })?
    } else {
        let length: usize = seen.header("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
        fill(stream, buffer, |b| (b.len() >= length).then_some(length))?
    };
    seen.body = buffer.drain(..length).collect();
    Some(seen)
}

fn fill(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    done: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    loop {
        if let Some(at) = done(buffer) {
            return Some(at);
        }
        let mut chunk = vec![0; 65_536];
        let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
        buffer.extend(&chunk[..count]);
    }
}
