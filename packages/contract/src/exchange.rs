//! A request, as it is sent.

use http_wire::answer::Line;

/// The protocol in which a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: with TLS by ALPN, otherwise with prior knowledge.
    Http2,
}

impl Protocol {
    /// Its spelling in golden files, reports and arguments.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "h1",
            Self::Http2 => "h2",
        }
    }

    /// Reads that spelling.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        [Self::Http1, Self::Http2].into_iter().find(|one| one.as_str() == text)
    }
}

/// One request of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its name: unique in a set, and the name of its golden file.
    pub name: String,
    /// Where it comes from, as `FILE:LINE`.
    pub source: String,
    /// The method.
    pub method: String,
    /// The target, byte for byte.
    pub target: Vec<u8>,
    /// The value of `Host`; absent when the source names none.
    pub host: Option<String>,
    /// The other header lines, in order, without `Host` and `Content-Length`.
    pub headers: Vec<Line>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Whether the method changes nothing (RFC 9110 §9.2.1), so that it may be sent twice.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    /// Method and target, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {}", self.method, String::from_utf8_lossy(&self.target))
    }

    /// Why it is no request: what is written into a line must not end it. A file of a stranger cannot send other requests than
    /// those that it shows, and its names lead to no other directory.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let is_token = |text: &[u8]| !text.is_empty() && text.iter().all(|byte| is_token(*byte));
        let ends_line = |text: &[u8]| text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        let is_word = |text: &[u8]| !text.iter().any(|byte| *byte <= b' ' || *byte == 0x7f);
        let shown = |text: &[u8]| String::from_utf8_lossy(text).escape_debug().to_string();
        if self.name.contains(['/', '\\']) || self.name.starts_with('.') || ends_line(self.name.as_bytes()) {
            return Some(format!(
                "its name {:?} is that of no file; write letters, digits and hyphens",
                self.name
            ));
        }
        if !is_token(self.method.as_bytes()) {
            return Some(format!("{:?} is not a method", self.method));
        }
        if !is_word(&self.target) {
            return Some(format!(
                "its target \"{}\" has a space or a control character; encode it",
                shown(&self.target)
            ));
        }
        if let Some(host) = self.host.as_ref().filter(|host| !is_word(host.as_bytes())) {
            return Some(format!("its host {host:?} has a space or a control character"));
        }
        let wrong = self.headers.iter().find(|line| !is_token(&line.name) || ends_line(&line.value));
        wrong.map(|line| {
            let (name, value) = (shown(&line.name), shown(&line.value));
            format!("its header \"{name}: {value}\" has a character that ends a line, or a name that is none")
        })
    }

    /// The header lines that are sent, with `more` after its own.
    #[must_use]
    pub fn lines(&self, host: &str, more: &[Line]) -> Vec<Line> {
        let line = |name: &str, value: &str| Line { name: name.into(), value: value.into() };
        let mut lines = vec![line("Host", host)];
        lines.extend(self.headers.iter().chain(more).cloned());
        // A method that may have a body says that it has none.
        if !self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") {
            lines.push(line("Content-Length", &self.body.len().to_string()));
        }
        lines
    }

    /// The bytes of the request in HTTP/1.1. They do not say that the connection ends with the answer: an application that
    /// shows its requests would show that, and an edge in between sends no such header.
    #[must_use]
    pub fn bytes(&self, lines: &[Line]) -> Vec<u8> {
        let mut bytes = [self.method.as_bytes(), b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        for line in lines {
            bytes.extend([line.name.as_slice(), b": ", &line.value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

/// The characters of a method and of a header's name (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Gives every request a name of its own: the second `get-books` becomes `get-books-2`.
pub fn name_apart(requests: &mut [Request]) {
    let mut taken = std::collections::BTreeSet::new();
    for request in requests {
        let mut name = request.name.clone();
        let mut number = 1_u32;
        while !taken.insert(name.clone()) {
            number = number.saturating_add(1);
            name = format!("{}-{number}", request.name);
        }
        request.name = name;
    }
}

/// A name of letters, digits and hyphens from `method`, or the name of an operation, and `target`: `GET /books/7?a=1` is
/// `get-books-7-a-1`.
#[must_use]
pub fn name_of(method: &str, target: &[u8]) -> String {
    /// File systems allow 255 bytes; a name must leave room for the protocol, the principal and a number.
    const LONGEST: usize = 80;
    let mut name = String::new();
    let of_method = method.bytes().map(|byte| (byte, matches!(byte, b'_' | b'.')));
    for (byte, is_kept) in of_method.chain(target.iter().map(|byte| (*byte, false))) {
        if byte.is_ascii_alphanumeric() || is_kept {
            name.push(char::from(byte).to_ascii_lowercase());
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(LONGEST);
    let name = name.trim_matches(['-', '.']);
    // An operation may be named in another script.
    if name.is_empty() { "request".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_apart() {
        assert_eq!(name_of("GET", b"/books/7?a=%20"), "get-books-7-a-20");
        assert_eq!(name_of("GET", b"/"), "get");
        assert_eq!(name_of("../../Books.list_all", b""), "books.list_all");
        assert_eq!(name_of(&"é".repeat(50), b""), "request");
        let one = Request {
            name: "get".to_owned(),
            source: "a:1".to_owned(),
            method: "GET".to_owned(),
            target: b"/".to_vec(),
            host: None,
            headers: Vec::new(),
            body: Vec::new(),
        };
        let mut all = [one.clone(), one.clone(), one];
        name_apart(&mut all);
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["get", "get-2", "get-3"]);
    }
}
