//! HTTP/2 byte by byte (RFC 9113, prior knowledge): requests with any names, values and pseudo-headers, also those that a
//! library would not send.
//!
//! Headers are sent as literals that are never indexed and not Huffman-coded (RFC 7541 §6.2.3). Of an answer's headers only
//! the status is read.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// In a passing test no answer takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest frame that every HTTP/2 endpoint accepts.
const MAX_FRAME: usize = 16_384;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered {
        /// The final status.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// Its stream was reset with this error code (RFC 9113 §7).
    Reset(u32),
    /// The whole connection was closed, with this error code if there was one.
    Closed(Option<u32>),
}

impl Outcome {
    /// The status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::Reset(_) | Self::Closed(_) => None,
        }
    }

    /// Whether the request was refused: reset, closed, or answered with 4xx.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.status().is_none_or(|status| (400..500).contains(&status))
    }
}

/// Header lines with pseudo-headers, in the order and spelling in which they are sent.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// The headers of an ordinary request without a body.
#[must_use]
pub fn headers(method: &str, authority: &str, path: impl AsRef<[u8]>) -> Headers {
    let pseudo = [
        (":method", method.as_bytes()),
        (":scheme", b"http"),
        (":authority", authority.as_bytes()),
        (":path", path.as_ref()),
    ];
    pseudo.map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).to_vec()
}

/// A connection with one request after another.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    next: u32,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// When no program listens there.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        Self::on(TcpStream::connect(address)?, &[])
    }

    /// Opens one from the address `source` of this machine.
    ///
    /// # Errors
    /// When no program listens there.
    pub fn open_from(source: IpAddr, address: SocketAddr) -> io::Result<Self> {
        Self::on(super::dial::from(source, address)?, &[])
    }

    /// Opens one from the address `source` of this machine, with `before` as the first bytes.
    ///
    /// # Errors
    /// When no program listens there.
    pub fn open_after(source: IpAddr, address: SocketAddr, before: &[u8]) -> io::Result<Self> {
        Self::on(super::dial::from(source, address)?, before)
    }

    fn on(mut stream: TcpStream, before: &[u8]) -> io::Result<Self> {
        stream.write_all(before)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        let mut connection = Self { stream, next: 1 };
        connection.frame(4, 0, 0, &[]);
        Ok(connection)
    }

    /// Sends a request without a body and reads its outcome.
    pub fn ask(&mut self, headers: &[(Vec<u8>, Vec<u8>)]) -> Outcome {
        let stream = self.begin(headers, true);
        self.outcome(stream)
    }

    /// Sends the headers of a request; with `last` nothing follows. Returns the stream's number.
    pub fn begin(&mut self, headers: &[(Vec<u8>, Vec<u8>)], last: bool) -> u32 {
        let stream = self.next;
        self.next += 2;
        self.header_block(stream, headers, last);
        stream
    }

    /// Sends a piece of a body, at most one frame.
    pub fn data(&mut self, stream: u32, piece: &[u8], last: bool) {
        self.frame(0, if last { END_STREAM } else { 0 }, stream, piece);
    }

    /// Ends a request with trailers.
    pub fn trailers(&mut self, stream: u32, trailers: &[(Vec<u8>, Vec<u8>)]) {
        self.header_block(stream, trailers, true);
    }

    fn header_block(&mut self, stream: u32, headers: &[(Vec<u8>, Vec<u8>)], last: bool) {
        let mut block = Vec::new();
        for (name, value) in headers {
            block.push(0x10);
            literal(&mut block, name);
            literal(&mut block, value);
        }
        let pieces: Vec<&[u8]> = block.chunks(MAX_FRAME).collect();
        for (index, piece) in pieces.iter().enumerate() {
            let mut flags = if index + 1 == pieces.len() { END_HEADERS } else { 0 };
            if index == 0 && last {
                flags |= END_STREAM;
            }
            self.frame(if index == 0 { 1 } else { 9 }, flags, stream, piece);
        }
    }

    /// The peer may already have closed the connection; then its last frames are more useful than this error.
    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        let _ = self.stream.write_all(&[head.as_slice(), payload].concat());
    }

    fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap_or_default()];
        self.stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads until the outcome of the request on `stream` is known.
    ///
    /// # Panics
    /// When nothing comes for too long.
    pub fn outcome(&mut self, stream: u32) -> Outcome {
        let mut final_status = 0;
        let mut whole = Vec::new();
        loop {
            let frame = match self.read() {
                Ok(frame) => frame,
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    panic!("the request on stream {stream} had no outcome")
                }
                Err(_) => return Outcome::Closed(None),
            };
            match frame.kind {
                4 if frame.flags & ACK == 0 => self.frame(4, ACK, 0, &[]),
                6 if frame.flags & ACK == 0 => self.frame(6, ACK, 0, &frame.payload),
                7 => return Outcome::Closed(Some(code(frame.payload.get(4..8)))),
                3 if frame.stream == stream => return Outcome::Reset(code(frame.payload.get(..4))),
                0 if frame.stream == stream => whole.extend(&frame.payload),
                // Trailers have no status: the answer's own stays.
                1 if frame.stream == stream => final_status = status(&frame.payload).unwrap_or(final_status),
                _ => {}
            }
            if matches!(frame.kind, 0 | 1) && frame.stream == stream && frame.flags & END_STREAM != 0 {
                return Outcome::Answered { status: final_status, body: whole };
            }
        }
    }
}

fn code(bytes: Option<&[u8]>) -> u32 {
    bytes.and_then(|b| b.try_into().ok()).map_or(u32::MAX, u32::from_be_bytes)
}

/// A string literal (RFC 7541 §5.2), its length in a 7-bit prefix.
fn literal(block: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text.len();
    if rest < 127 {
        block.push(rest as u8);
    } else {
        block.push(127);
        rest -= 127;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 0x80);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend(text);
}

/// The status at the beginning of a header block: an index into the static table, or a literal.
fn status(block: &[u8]) -> Option<u16> {
    // Updates of the table's size come first (RFC 7541 §6.3).
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20)?;
    let (&first, rest) = block[start..].split_first()?;
    if first & 0x80 != 0 {
        let known = [200, 204, 206, 304, 400, 404, 500];
        return known.get(usize::from(first & 0x7f).checked_sub(8)?).copied();
    }
    // A literal whose name is entry 8 of the static table, `:status`; with or without indexing.
    if !matches!(first, 0x48 | 0x08 | 0x18) {
        return None;
    }
    let (&length, value) = rest.split_first()?;
    let value = value.get(..usize::from(length & 0x7f))?;
    let digits = if length & 0x80 == 0 { value.to_vec() } else { huffman_digits(value) };
    std::str::from_utf8(digits.get(..3)?).ok()?.parse().ok()
}

/// Digits in the code of RFC 7541 Appendix B: 0, 1 and 2 have five bits, the others six.
fn huffman_digits(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |n| byte >> n & 1)).collect();
    let mut rest = bits.as_slice();
    let mut digits = Vec::new();
    let number = |bits: &[u8]| bits.iter().fold(0_u8, |n, bit| n << 1 | bit);
    loop {
        match rest {
            [a, b, c, d, e, after @ ..] if number(&[*a, *b, *c, *d, *e]) < 3 => {
                digits.push(b'0' + number(&[*a, *b, *c, *d, *e]));
                rest = after;
            }
            [a, b, c, d, e, f, after @ ..] if (0x19..=0x1f).contains(&number(&[*a, *b, *c, *d, *e, *f])) => {
                digits.push(b'3' + number(&[*a, *b, *c, *d, *e, *f]) - 0x19);
                rest = after;
            }
            _ => return digits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_in_every_form() {
        assert_eq!(status(&[0x88]), Some(200));
        assert_eq!(status(&[0x20, 0x8d]), Some(404));
        assert_eq!(status(&[0x48, 3, b'4', b'0', b'1']), Some(401));
        // RFC 7541 C.6.1: 302 in two bytes.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
    }

    #[test]
    fn lengths_have_a_seven_bit_prefix() {
        let mut block = Vec::new();
        literal(&mut block, &[b'a'; 1337]);
        // 1337 = 127 + 1210: RFC 7541 C.1.2, with a longer prefix.
        assert_eq!(&block[..3], [127, 0xba, 0x09]);
    }
}
