//! Queries the admin interfaces of running programs: small HTTP requests with a bounded answer and a bounded wait.

pub mod authorizer;
pub mod envoy;

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Generous, because admin interfaces answer from memory.
const WITHIN: Duration = Duration::from_secs(5);

/// Envoy's counters of 10,000 routes are far below it.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;

/// The status and the body of an empty POST.
///
/// # Errors
/// As [`get`].
pub fn post(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    ask("POST", address, path)
}

/// The status and the body of a GET.
///
/// # Errors
/// The connection fails, no answer comes within five seconds, or the answer is not HTTP.
pub fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    ask("GET", address, path)
}

/// The status and the body of a DELETE.
///
/// # Errors
/// As [`get`].
pub fn delete(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    ask("DELETE", address, path)
}

fn ask(method: &str, address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{length}Connection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    parsed(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

fn parsed(answer: &[u8]) -> Option<(u16, String)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(answer.get(..end)?).ok()?, answer.get(end + 4..)?);
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked");
    let body = if chunked { unchunked(body)? } else { body.to_vec() };
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(rest.get(..line)?).ok()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let start = line + 2;
        body.extend_from_slice(rest.get(start..start.checked_add(size)?)?);
        rest = rest.get(start.checked_add(size)?.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::parsed;

    #[test]
    fn both_framings_are_read_and_a_cut_off_answer_is_an_error() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        assert_eq!(parsed(whole), Some((200, "ok".to_owned())));
        let chunks = b"HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        assert_eq!(parsed(chunks), Some((503, "abc".to_owned())));
        for length in 0..chunks.len() - 5 {
            assert_eq!(parsed(&chunks[..length]), None, "{length}");
        }
        assert_eq!(
            parsed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
            None
        );
    }
}
