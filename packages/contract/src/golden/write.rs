//! Writes a golden file.
//!
//! ```text
//! # cutover contract 1
//! name: get-books
//! source: books.hurl:3
//! protocol: h1
//!
//! > GET /books HTTP/1.1
//! > Host: api.test
//!
//! < HTTP/1.1 200 OK
//! < Content-Type: application/json
//! < ETag: "«hex 32»"
//! framing: length
//!
//! | [{"id":1,"added":"«timestamp 3»"}]
//! \ no newline at the end
//! ```
//!
//! A line of a body begins with `| `, or with `^ ` when it ends with CR LF; the lines of a request's body have a `>` before
//! that. Bytes that are not text are base64 behind `= `. Bytes of a head that are not printable are `\xNN`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_wire::answer::{Framing, Version};

use super::{Content, Golden, is_text};
use crate::template::Template;

/// The first line: the format and its version.
pub(super) const FIRST: &str = "# cutover contract 1";
/// Follows a last line without its end.
pub(super) const NO_END: &str = "\\ no newline at the end";
/// Each answer is compressed into other bytes, such as a gzip file with the time in it.
pub(super) const PACKED_ANEW: &str = "compressed: anew";
/// Base64 characters in one line, as in MIME.
const BASE64_COLUMNS: usize = 76;

pub(super) const FRAMINGS: [(Framing, &str); 5] = [
    (Framing::None, "none"),
    (Framing::Length, "length"),
    (Framing::Chunked, "chunked"),
    (Framing::Close, "close"),
    (Framing::Frames, "frames"),
];

pub(super) fn written(golden: &Golden) -> Vec<u8> {
    let mut out = Vec::new();
    let Golden { request, protocol, principal, answer } = golden;
    text(&mut out, FIRST);
    text(&mut out, &format!("name: {}", request.name));
    text(&mut out, &format!("source: {}", request.source));
    text(&mut out, &format!("protocol: {}", protocol.as_str()));
    if let Some(principal) = principal {
        text(&mut out, &format!("as: {principal}"));
    }
    text(&mut out, "");
    line(&mut out, "> ", &[request.method.as_bytes(), b" ", &request.target, b" HTTP/1.1"].concat());
    if let Some(host) = &request.host {
        line(&mut out, "> Host: ", host.as_bytes());
    }
    for header in &request.headers {
        line(&mut out, "> ", &[&header.name, b": ".as_slice(), &header.value].concat());
    }
    if !request.body.is_empty() {
        text(&mut out, "");
        body(&mut out, ">", &request.body, is_text(&request.body));
    }
    text(&mut out, "");
    let version = match answer.version {
        Version::One(minor) => format!("HTTP/1.{minor}"),
        Version::Two => "HTTP/2".to_owned(),
    };
    let mut status = format!("{version} {}", answer.status).into_bytes();
    if !answer.reason.is_empty() {
        status.extend([b" ".as_slice(), &answer.reason].concat());
    }
    line(&mut out, "< ", &status);
    for (name, value) in &answer.headers {
        header(&mut out, "< ", name, value);
    }
    let framing = FRAMINGS.iter().find(|(framing, _)| *framing == answer.framing);
    text(&mut out, &format!("framing: {}", framing.map_or("none", |(_, name)| name)));
    if answer.packed_anew {
        text(&mut out, PACKED_ANEW);
    }
    match &answer.body {
        Content::Text(template) => {
            let escaped = template.escaped();
            if !escaped.is_empty() {
                text(&mut out, "");
                body(&mut out, "", &escaped, true);
            }
        }
        Content::Bytes(bytes) => {
            text(&mut out, "");
            body(&mut out, "", bytes, false);
        }
        Content::Digest { length, sha256 } => {
            let digest: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
            text(&mut out, &format!("\n~ {length} bytes, sha256 {digest}"));
        }
    }
    if !answer.trailers.is_empty() {
        text(&mut out, "");
        for (name, value) in &answer.trailers {
            header(&mut out, "+ ", name, value);
        }
    }
    out
}

fn text(out: &mut Vec<u8>, line: &str) {
    out.extend_from_slice(line.as_bytes());
    out.push(b'\n');
}

fn header(out: &mut Vec<u8>, mark: &str, name: &[u8], value: &Template) {
    line(out, mark, &[name, b": ", &value.escaped()].concat());
}

/// One line of a head. Control characters, bytes that are not UTF-8, and backslashes are escaped.
fn line(out: &mut Vec<u8>, mark: &str, bytes: &[u8]) {
    out.extend_from_slice(mark.as_bytes());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.extend_from_slice(b"\\\\"),
                c if c.is_control() => {
                    let mut buffer = [0; 4];
                    escape(out, c.encode_utf8(&mut buffer).as_bytes());
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        escape(out, chunk.invalid());
    }
    out.push(b'\n');
}

fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
    }
}

fn body(out: &mut Vec<u8>, mark: &str, bytes: &[u8], is_text: bool) {
    if !is_text {
        let encoded = STANDARD.encode(bytes);
        for piece in encoded.as_bytes().chunks(BASE64_COLUMNS) {
            out.extend_from_slice(&[mark.as_bytes(), b"= ", piece, b"\n"].concat());
        }
        return;
    }
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (kind, line, ends) = match piece.strip_suffix(b"\n") {
            Some(line) => match line.strip_suffix(b"\r") {
                Some(line) => (b"^ ", line, true),
                None => (b"| ", line, true),
            },
            None => (b"| ", piece, false),
        };
        out.extend_from_slice(&[mark.as_bytes(), kind, line, b"\n"].concat());
        if !ends {
            text(out, NO_END);
        }
    }
}
