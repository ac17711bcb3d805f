//! HTTP/1.1 byte by byte: requests of exactly the test's bytes, answers with every byte kept.

mod dial;
mod differences;
pub mod h2;

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::SESSION_COOKIE;

/// In a passing test no answer takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request that a test builds. Headers are sent in the order, case and number in which they were added.
#[derive(Clone, Debug)]
pub struct Request {
    address: SocketAddr,
    source: Option<IpAddr>,
    method: Vec<u8>,
    target: Vec<u8>,
    host: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    /// A request to `address`; its `Host` is the address unless another is set.
    #[must_use]
    pub fn new(address: SocketAddr, method: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self {
            address,
            source: None,
            method: method.as_ref().to_vec(),
            target: target.as_ref().to_vec(),
            host: Some(format!("localhost:{}", address.port()).into_bytes()),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Sends it from this address of this machine, such as 127.0.1.1.
    ///
    /// # Panics
    /// When it is not an address.
    #[must_use]
    pub fn from(mut self, source: &str) -> Self {
        self.source = Some(source.parse().expect("it is an address"));
        self
    }

    /// Another `Host`.
    #[must_use]
    pub fn host(mut self, host: impl AsRef<[u8]>) -> Self {
        self.host = Some(host.as_ref().to_vec());
        self
    }

    /// No `Host` at all.
    #[must_use]
    pub fn without_host(mut self) -> Self {
        self.host = None;
        self
    }

    /// One more header line.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// A cookie with an access token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("cookie", format!("{SESSION_COOKIE}={token}"))
    }

    /// A body with its `Content-Length`.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        let length = self.body.len().to_string();
        self.header("content-length", length)
    }

    /// The bytes to send.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.method.as_slice(), b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        if let Some(host) = &self.host {
            bytes.extend([b"host: ".as_slice(), host, b"\r\n"].concat());
        }
        for (name, value) in &self.headers {
            bytes.extend([name.as_slice(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }

    /// Sends it on a connection of its own and reads the answer.
    ///
    /// # Panics
    /// When the answer is not whole.
    #[must_use]
    pub fn send(&self) -> Answer {
        self.try_send().unwrap_or_else(|e| {
            panic!(
                "{} {} was not answered: {e}",
                String::from_utf8_lossy(&self.method),
                String::from_utf8_lossy(&self.target)
            )
        })
    }

    /// Like [`Request::send`], for a test that may get no answer.
    ///
    /// # Errors
    /// The connection failed or was closed.
    pub fn try_send(&self) -> io::Result<Answer> {
        let mut connection = match self.source {
            Some(source) => Connection::open_from(source, self.address)?,
            None => Connection::open(self.address)?,
        };
        connection.write(&self.bytes())?;
        connection.answer(self.method == b"HEAD")
    }
}

/// A connection on which a test chooses every byte.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// When no program listens there.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        Self::on(TcpStream::connect(address)?)
    }

    /// Opens one from the address `source` of this machine.
    ///
    /// # Errors
    /// When no program listens there.
    pub fn open_from(source: IpAddr, address: SocketAddr) -> io::Result<Self> {
        Self::on(dial::from(source, address)?)
    }

    fn on(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends `bytes`. The peer may already have closed the connection; then the answer is more useful than this error.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.stream.write_all(bytes) {
            Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                Ok(())
            }
            other => other,
        }
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut chunk = vec![0; 65_536];
        let count = loop {
            match self.stream.read(&mut chunk) {
                // A signal to this process says nothing about the connection.
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.buffer.extend(&chunk[..count]);
        Ok(count)
    }

    fn at_least(&mut self, length: usize) -> io::Result<()> {
        while self.buffer.len() < length {
            if self.more()? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection ended within an answer",
                ));
            }
        }
        Ok(())
    }

    fn until(&mut self, from: usize, end: &[u8]) -> io::Result<usize> {
        loop {
            if let Some(at) = self.buffer[from..].windows(end.len()).position(|window| window == end) {
                return Ok(from + at);
            }
            let length = self.buffer.len();
            self.at_least(length + 1)?;
        }
    }

    /// Reads one final answer, skipping interim ones (1xx).
    ///
    /// # Errors
    /// The connection ended before the answer did.
    pub fn answer(&mut self, to_head: bool) -> io::Result<Answer> {
        loop {
            let answer = self.one(to_head)?;
            if answer.status >= 200 {
                return Ok(answer);
            }
        }
    }

    fn one(&mut self, to_head: bool) -> io::Result<Answer> {
        let end = self.until(0, b"\r\n\r\n")? + 4;
        let mut answer = Answer::parse(&self.buffer[..end - 2])?;
        let without_body = to_head || answer.status < 200 || answer.status == 204 || answer.status == 304;
        let chunked = answer.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case(b"chunked"));
        let mut next = end;
        if without_body {
        } else if chunked {
            loop {
                let line_end = self.until(next, b"\r\n")?;
                let size = std::str::from_utf8(&self.buffer[next..line_end])
                    .ok()
                    .and_then(|s| usize::from_str_radix(s.trim(), 16).ok());
                let size =
                    size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a chunk has no size"))?;
                let start = line_end + 2;
                self.at_least(start + size + 2)?;
                answer.body.extend(&self.buffer[start..start + size]);
                next = start + size + 2;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = answer.header("content-length") {
            let length: usize = std::str::from_utf8(length).ok().and_then(|s| s.parse().ok()).unwrap_or(0);
            self.at_least(end + length)?;
            answer.body = self.buffer[end..end + length].to_vec();
            next = end + length;
        } else {
            while self.more()? > 0 {}
            answer.body = self.buffer[end..].to_vec();
            next = self.buffer.len();
        }
        self.buffer.drain(..next);
        Ok(answer)
    }

    /// Every final answer until the peer closes the connection.
    ///
    /// # Panics
    /// When it stays open for too long after the last one.
    pub fn answers(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        loop {
            match self.answer(false) {
                Ok(answer) => answers.push(answer),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    panic!("the connection is still open after {answers:?}")
                }
                Err(_) => return answers,
            }
        }
    }

    /// Says that no further request comes. A peer that would have kept the connection open closes it then.
    pub fn end(&self) {
        // An error means that the peer has closed it already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// All bytes up to and including the first `end`.
    ///
    /// # Errors
    /// The connection ended before that.
    pub fn read_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let at = self.until(0, end)? + end.len();
        Ok(self.buffer.drain(..at).collect())
    }

    /// All remaining bytes until the peer closes the connection; an error ends it, too.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more().is_ok_and(|count| count > 0) {}
        std::mem::take(&mut self.buffer)
    }

    /// Sets how long to wait for bytes before reading fails.
    ///
    /// # Panics
    /// Never for a duration other than zero.
    pub fn patience(&self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).expect("a timeout can be set");
    }
}

/// An answer with every byte of its head.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status line without its line end.
    pub status_line: Vec<u8>,
    /// The status.
    pub status: u16,
    /// The header lines: names and values with their original bytes, case and order.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body, without chunk sizes.
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(head: &[u8]) -> io::Result<Self> {
        let wrong = |what: &str| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {}", String::from_utf8_lossy(head)))
        };
        let mut lines =
            head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let status_line = lines.next().unwrap_or_default().to_vec();
        let status = status_line
            .get(9..12)
            .and_then(|s| std::str::from_utf8(s).ok()?.parse().ok())
            .ok_or_else(|| wrong("no status"))?;
        let mut headers = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let colon = line
                .iter()
                .position(|byte| *byte == b':')
                .ok_or_else(|| wrong("a header without a colon"))?;
            let value = line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]);
            headers.push((line[..colon].to_vec(), value.to_vec()));
        }
        Ok(Self { status_line, status, headers, body: Vec::new() })
    }

    /// The first header with this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.as_slice())
    }

    /// Every value of `name`, in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        let named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{self:?} is not JSON: {e}"))
    }

    /// The value of the cookie `name` that this answer sets.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.all("set-cookie").iter().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix('=')?;
            Some(value.split(';').next().unwrap_or_default().to_owned())
        })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", String::from_utf8_lossy(&self.status_line))?;
        for (name, value) in &self.headers {
            writeln!(f, "{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))?;
        }
        let shown = &self.body[..self.body.len().min(400)];
        write!(f, "\n{} ({} bytes)", String::from_utf8_lossy(shown), self.body.len())
    }
}
