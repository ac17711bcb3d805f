//! The start line and the header lines of a message.

use crate::answer::Line;

/// More lines than Envoy accepts from a backend (`max_headers_count` of the clusters).
const MAX_LINES: usize = 1000;

/// The line before the headers, which says what the message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartLine {
    /// The first line of a request.
    Request {
        /// The method, as it was spelt.
        method: Vec<u8>,
        /// The target, as it was spelt.
        target: Vec<u8>,
    },
    /// The first line of an answer.
    Status {
        /// The minor version: 1 for `HTTP/1.1`.
        minor: u8,
        /// The status, three digits.
        status: u16,
        /// The reason phrase, empty when there is none.
        reason: Vec<u8>,
    },
}

/// What stands before the body of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its first line.
    pub start: StartLine,
    /// The other lines, in order.
    pub lines: Vec<Line>,
}

/// Reads the lines of a head, given without their ends.
///
/// # Errors
/// Its fault, as a sentence.
pub fn parse(lines: &[Vec<u8>]) -> Result<Head, &'static str> {
    let (first, rest) = lines.split_first().ok_or("it is empty")?;
    if rest.len() > MAX_LINES {
        return Err("it has too many header lines");
    }
    let start = start_line(first).ok_or("its first line is not HTTP/1")?;
    let lines = rest.iter().map(|line| header(line)).collect::<Result<_, _>>()?;
    Ok(Head { start, lines })
}

fn start_line(line: &[u8]) -> Option<StartLine> {
    if let Some(rest) = line.strip_prefix(b"HTTP/1.") {
        let (minor, rest) = rest.split_first()?;
        let minor = minor.checked_sub(b'0').filter(|digit| *digit < 10)?;
        let rest = rest.strip_prefix(b" ")?;
        let digits = rest.get(..3)?;
        let status = std::str::from_utf8(digits).ok()?.parse().ok().filter(|s| (100..=999).contains(s))?;
        let reason = match rest.get(3..)? {
            [] => Vec::new(),
            [b' ', reason @ ..] => reason.to_vec(),
            [..] => return None,
        };
        return Some(StartLine::Status { minor, status, reason });
    }
    let line = line.strip_suffix(b" HTTP/1.1")?;
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (method, target) = (line.get(..space)?, line.get(space + 1..)?);
    let plain = !method.is_empty() && !target.is_empty() && !target.contains(&b' ');
    plain.then(|| StartLine::Request { method: method.to_vec(), target: target.to_vec() })
}

/// Reads one header line or trailer.
pub(super) fn header(line: &[u8]) -> Result<Line, &'static str> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or("a header line has no colon")?;
    let (name, value) = (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default());
    // Also a folded line (RFC 9112 §5.2), which begins with a space: no backend of this century sends one.
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if name.is_empty() || !name.iter().all(token) {
        return Err("a header's name is not a token");
    }
    Ok(Line { name: name.to_vec(), value: value.trim_ascii().to_vec() })
}
