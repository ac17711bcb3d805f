//! A recorded exchange: the request, and the answer with its volatile parts. One readable file for each.

mod read;
mod write;

use comparison::compare::{coding, json_values};
use http_wire::answer::{Answer, Body, Framing, Line, Version};

pub use read::{GoldenError, read};

use crate::exchange::{Protocol, Request};
use crate::shape::Shape;
use crate::template::Template;

/// The extension of golden files.
pub const EXTENSION: &str = "http";

/// A recorded exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Golden {
    /// The request, without the credentials of its principal.
    pub request: Request,
    /// The protocol in which it was recorded.
    pub protocol: Protocol,
    /// The name of the principal that sent it; absent without one.
    pub principal: Option<String>,
    /// The answer.
    pub answer: Recorded,
}

/// An answer with its volatile parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The HTTP version.
    pub version: Version,
    /// The status.
    pub status: u16,
    /// The reason phrase.
    pub reason: Vec<u8>,
    /// How the end of the body was marked.
    pub framing: Framing,
    /// The header lines: each name in its case, and its value.
    pub headers: Vec<(Vec<u8>, Template)>,
    /// The body.
    pub body: Content,
    /// Whether each answer is compressed into other bytes: what is in them is compared, and not they themselves. A body of
    /// [`Content::Text`] is what they unpack to.
    pub packed_anew: bool,
    /// The trailers, likewise.
    pub trailers: Vec<(Vec<u8>, Template)>,
}

/// A body with its volatile parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text(Template),
    /// Bytes that are not text.
    Bytes(Vec<u8>),
    /// More than a golden file keeps ([`http_wire::answer::KEPT_BYTES`]).
    Digest {
        /// The number of bytes.
        length: u64,
        /// Their SHA-256.
        sha256: [u8; 32],
    },
}

impl Golden {
    /// The name of its file: the request's, the principal's, and the protocol unless it is HTTP/1.1.
    #[must_use]
    pub fn file_name(&self) -> String {
        let principal = self.principal.as_ref().map(|name| format!(".as-{name}")).unwrap_or_default();
        let protocol = match self.protocol {
            Protocol::Http1 => "",
            Protocol::Http2 => ".h2",
        };
        format!("{}{principal}{protocol}.{EXTENSION}", self.request.name)
    }

    /// Its file.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        write::written(self)
    }
}

impl Recorded {
    /// The recorded answer, its volatile parts as placeholders.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let lines = |lines: &[(Vec<u8>, Template)]| {
            lines.iter().map(|(name, value)| Line { name: name.clone(), value: value.text() }).collect()
        };
        let mut answer = Answer {
            version: self.version,
            status: self.status,
            reason: self.reason.clone(),
            headers: lines(&self.headers),
            framing: self.framing,
            body: match &self.body {
                Content::Text(template) => Body::Whole(template.text()),
                Content::Bytes(bytes) => Body::Whole(bytes.clone()),
                Content::Digest { length, sha256 } => Body::Digest { length: *length, sha256: *sha256 },
            },
            trailers: lines(&self.trailers),
        };
        if let Some(template) = self.unpacked()
            && let Some(bytes) = coding::packed(&answer, &template.text())
        {
            answer.body = Body::Whole(bytes);
        }
        answer
    }

    /// What the compressed body unpacks to, where that is recorded.
    fn unpacked(&self) -> Option<&Template> {
        match &self.body {
            Content::Text(template) if self.packed_anew && !is_any(template) => Some(template),
            Content::Text(_) | Content::Bytes(_) | Content::Digest { .. } => None,
        }
    }

    /// `other` with placeholders where it has values of the recorded shapes.
    #[must_use]
    pub fn normal(&self, other: &Answer) -> Answer {
        let mut answer = other.clone();
        normal_lines(&self.headers, &mut answer.headers);
        normal_lines(&self.trailers, &mut answer.trailers);
        if let Some(template) = self.unpacked() {
            // Both sides are compressed in the same way, so that the comparison sees what differs inside.
            let content = coding::content(other).map(|content| template.normal(&content));
            if let Some(bytes) = content.and_then(|content| coding::packed(other, &content)) {
                answer.body = Body::Whole(bytes);
            }
        } else if let Content::Text(template) = &self.body {
            answer.body = match answer.body {
                _ if is_any(template) => Body::Whole(template.text()),
                Body::Whole(bytes) => Body::Whole(template.normal(&bytes)),
                digest @ Body::Digest { .. } => digest,
            };
        }
        answer
    }
}

/// Whether a body is declared to be anything.
fn is_any(template: &Template) -> bool {
    *template == Template::volatile(Shape::Any)
}

/// The n-th line of a name has the n-th template of that name; a `Set-Cookie` has the one of its cookie.
fn normal_lines(own: &[(Vec<u8>, Template)], lines: &mut [Line]) {
    let mut seen: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for line in lines {
        let key = line_key(&line.name, &line.value);
        let number = seen.entry(key.clone()).or_default();
        let same = own.iter().filter(|(name, value)| line_key(name, &value.text()) == key);
        if let Some((_, template)) = same.clone().nth(*number) {
            let is_cookie = line.is("set-cookie");
            line.value = if is_cookie { cookie(template, &line.value) } else { template.normal(&line.value) };
        }
        *number += 1;
    }
}

/// A `Set-Cookie` with placeholders. When its attributes stand in another order, each still has its own shape, so that the
/// order is the one difference.
fn cookie(template: &Template, value: &[u8]) -> Vec<u8> {
    let whole = template.normal(value);
    if whole == template.text() {
        return whole;
    }
    let escaped = template.escaped();
    let name = |part: &[u8]| {
        part.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii().to_ascii_lowercase()
    };
    let own: Vec<&[u8]> = escaped.split(|byte| *byte == b';').collect();
    let attributes = value.split(|byte| *byte == b';').map(|part| {
        let same = own.iter().find(|one| name(one) == name(part));
        let template = same.and_then(|one| Template::read(one.trim_ascii()).ok());
        let (space, plain) = part.split_at(part.len() - part.trim_ascii_start().len());
        [space, &template.map_or_else(|| plain.to_vec(), |template| template.normal(plain))].concat()
    });
    attributes.collect::<Vec<_>>().join(&b';')
}

/// The name of a header in lower case; of a `Set-Cookie`, with the cookie's name.
#[must_use]
pub fn line_key(name: &[u8], value: &[u8]) -> String {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    if name != "set-cookie" {
        return name;
    }
    let cookie = value.split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default();
    format!("set-cookie {}", String::from_utf8_lossy(cookie).trim())
}

/// Whether a body can be shown as lines of text.
#[must_use]
pub fn is_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut before = ' ';
    // A carriage return belongs to the end of a line, where it has a mark of its own.
    let mut lone_return = false;
    for c in text.chars() {
        lone_return |= before == '\r' && c != '\n';
        before = c;
    }
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    !lone_return && before != '\r' && text.chars().all(plain)
}

/// The content of an answer's body without volatile parts.
#[must_use]
pub fn content(body: &Body) -> Content {
    match body {
        Body::Whole(bytes) if is_text(bytes) => Content::Text(Template::literal(bytes)),
        Body::Whole(bytes) => Content::Bytes(bytes.clone()),
        Body::Digest { length, sha256 } => Content::Digest { length: *length, sha256: *sha256 },
    }
}

/// The text of a JSON body with placeholders: `change` chooses, for each value, what to write in its place.
#[must_use]
pub fn json_template(
    text: &[u8],
    mut change: impl FnMut(&comparison::compare::JsonValue, &[u8]) -> Option<Template>,
) -> Option<Template> {
    let values = json_values(text)?;
    let mut template = Template::default();
    let mut done = 0;
    for value in &values {
        let raw = text.get(value.span.clone())?;
        if let Some(changed) = change(value, raw) {
            template = template.and(text.get(done..value.span.start)?).and_all(&changed);
            done = value.span.end;
        }
    }
    Some(template.and(text.get(done..)?))
}

/// The template of one JSON value: a volatile text keeps its quotation marks, any other value gets some.
#[must_use]
pub fn json_volatile(shape: Shape) -> Template {
    Template::literal(b"\"").and_volatile(shape).and(b"\"")
}

#[cfg(test)]
mod tests;
