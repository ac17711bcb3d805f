//! Reads a golden file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_wire::answer::{Framing, Line, Version};
use http_wire::head::{StartLine, parse};

use super::write::{FIRST, FRAMINGS, NO_END, PACKED_ANEW};
use super::{Content, Golden, Recorded};
use crate::exchange::{Protocol, Request};
use crate::template::Template;

/// A golden file that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{file}:{line}: {what}; record the exchange again with `cutover contract capture`, or restore the line"
)]
pub struct GoldenError {
    file: String,
    line: usize,
    what: String,
}

/// The parts of a file so far.
#[derive(Default)]
struct Parts {
    name: String,
    source: String,
    protocol: Option<Protocol>,
    principal: Option<String>,
    request: Vec<Vec<u8>>,
    request_body: Lines,
    answer: Vec<Vec<u8>>,
    framing: Option<Framing>,
    packed_anew: bool,
    body: Lines,
    digest: Option<(u64, [u8; 32])>,
    trailers: Vec<Vec<u8>>,
}

/// The lines of a body.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    base64: Vec<u8>,
}

/// Reads the golden file `text`; `file` is its name for messages.
///
/// # Errors
/// [`GoldenError`], with the line.
pub fn read(file: &str, text: &[u8]) -> Result<Golden, GoldenError> {
    let error = |line: usize, what: String| GoldenError { file: file.to_owned(), line, what };
    let mut parts = Parts::default();
    let mut last = 1;
    let mut in_request_body = false;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        last = index + 1;
        if index == 0 {
            if line != FIRST.as_bytes() {
                return Err(error(1, format!("the first line is not `{FIRST}`")));
            }
        } else if line == NO_END.as_bytes() {
            let body = if in_request_body { &mut parts.request_body } else { &mut parts.body };
            if body.text.pop() != Some(b'\n') {
                return Err(error(
                    last,
                    "a line without its end does not follow a line of a body".to_owned(),
                ));
            }
        } else {
            in_request_body = line.starts_with(b">|") || line.starts_with(b">^");
            parts.add(line).map_err(|what| error(last, what))?;
        }
    }
    parts.golden().map_err(|what| error(last, what))
}

impl Parts {
    fn add(&mut self, line: &[u8]) -> Result<(), String> {
        let (mark, rest) = line.split_at(line.len().min(2));
        match mark {
            b"" => {}
            b"> " => self.request.push(unescaped(rest)?),
            b"< " => self.answer.push(unescaped(rest)?),
            b"+ " => self.trailers.push(unescaped(rest)?),
            b"| " | b"|" => self.body.line(rest, b"\n"),
            b"^ " | b"^" => self.body.line(rest, b"\r\n"),
            b"= " => self.body.base64.extend_from_slice(rest),
            b">|" => self.request_body.line(rest.strip_prefix(b" ").unwrap_or(rest), b"\n"),
            b">^" => self.request_body.line(rest.strip_prefix(b" ").unwrap_or(rest), b"\r\n"),
            b">=" => self.request_body.base64.extend_from_slice(rest.strip_prefix(b" ").unwrap_or(rest)),
            b"~ " => self.digest = Some(digest(rest).ok_or("the digest is not `~ N bytes, sha256 HEX`")?),
            _ => self.field(line)?,
        }
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?;
        if text == PACKED_ANEW {
            self.packed_anew = true;
            return Ok(());
        }
        let (name, value) =
            text.split_once(": ").ok_or_else(|| format!("`{text}` has no mark that is known"))?;
        match name {
            "name" => value.clone_into(&mut self.name),
            "source" => value.clone_into(&mut self.source),
            "as" => self.principal = Some(value.to_owned()),
            "protocol" => {
                self.protocol =
                    Some(Protocol::read(value).ok_or_else(|| format!("`{value}` is not h1 or h2"))?);
            }
            "framing" => {
                let known = FRAMINGS.iter().find(|(_, name)| *name == value);
                self.framing = Some(known.ok_or_else(|| format!("`{value}` is not a framing"))?.0);
            }
            _ => return Err(format!("`{name}` is not a field")),
        }
        Ok(())
    }

    fn golden(self) -> Result<Golden, String> {
        if self.name.is_empty() || self.name.contains('/') {
            return Err("the file has no `name`, or one with a slash".to_owned());
        }
        let head = parse(&self.request).map_err(|what| format!("the request: {what}"))?;
        let StartLine::Request { method, target } = head.start else {
            return Err("the request does not begin with its method".to_owned());
        };
        let method = String::from_utf8(method).map_err(|_| "the method is not text")?;
        let mut host = None;
        let mut headers = Vec::new();
        for line in head.lines {
            if line.is("host") {
                host = Some(String::from_utf8(line.value).map_err(|_| "the host is not text")?);
            } else {
                headers.push(line);
            }
        }
        let (answer, trailers) = (recorded_head(&self.answer)?, templates(&trailers(&self.trailers)?)?);
        let (version, status, reason, lines) = answer;
        let body = match self.digest {
            Some((length, sha256)) => Content::Digest { length, sha256 },
            None if self.body.base64.is_empty() => Content::Text(Template::read(&self.body.text)?),
            None => Content::Bytes(self.body.bytes()?),
        };
        let request = Request {
            name: self.name,
            source: self.source,
            method,
            target,
            host,
            headers,
            body: self.request_body.bytes()?,
        };
        Ok(Golden {
            request,
            protocol: self.protocol.ok_or("the file has no `protocol`")?,
            principal: self.principal,
            answer: Recorded {
                version,
                status,
                reason,
                framing: self.framing.ok_or("the file has no `framing`")?,
                headers: templates(&lines)?,
                body,
                packed_anew: self.packed_anew,
                trailers,
            },
        })
    }
}

type StatusLine = (Version, u16, Vec<u8>, Vec<Line>);

/// Reads status line and header lines. The parser knows HTTP/1 alone, so the version is taken off first.
fn recorded_head(lines: &[Vec<u8>]) -> Result<StatusLine, String> {
    let mut lines = lines.to_vec();
    let first = lines.first_mut().ok_or("the file has no answer")?;
    let two = first.strip_prefix(b"HTTP/2 ").map(|rest| [b"HTTP/1.1 ", rest].concat());
    let is_two = two.is_some();
    if let Some(two) = two {
        *first = two;
    }
    let head = parse(&lines).map_err(|what| format!("the answer: {what}"))?;
    match head.start {
        StartLine::Status { minor, status, reason } => {
            let version = if is_two { Version::Two } else { Version::One(minor) };
            Ok((version, status, reason, head.lines))
        }
        StartLine::Request { .. } => Err("the answer does not begin with a status line".to_owned()),
    }
}

fn trailers(lines: &[Vec<u8>]) -> Result<Vec<Line>, String> {
    let with_start: Vec<Vec<u8>> =
        std::iter::once(b"HTTP/1.1 200".to_vec()).chain(lines.iter().cloned()).collect();
    parse(&with_start).map(|head| head.lines).map_err(|what| format!("the trailers: {what}"))
}

fn templates(lines: &[Line]) -> Result<Vec<(Vec<u8>, Template)>, String> {
    lines.iter().map(|line| Ok((line.name.clone(), Template::read(&line.value)?))).collect()
}

impl Lines {
    fn line(&mut self, line: &[u8], end: &[u8]) {
        self.text.extend_from_slice(line);
        self.text.extend_from_slice(end);
    }

    fn bytes(self) -> Result<Vec<u8>, String> {
        if self.base64.is_empty() {
            return Ok(self.text);
        }
        STANDARD.decode(&self.base64).map_err(|error| format!("the base64 of a body: {error}"))
    }
}

fn digest(text: &[u8]) -> Option<(u64, [u8; 32])> {
    let (length, hex) = std::str::from_utf8(text).ok()?.split_once(" bytes, sha256 ")?;
    let mut sha256 = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (at, byte) in sha256.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some((length.parse().ok()?, sha256))
}

/// Reads `\\` and `\xNN`.
fn unescaped(line: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(before);
        if let Some(after) = after.strip_prefix(b"\\\\") {
            out.push(b'\\');
            rest = after;
            continue;
        }
        let digits = after.strip_prefix(b"\\x").and_then(|digits| digits.get(..2));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(byte.ok_or("a backslash is neither `\\\\` nor `\\xNN`")?);
        rest = after.get(4..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Ok(out)
}
