//! The parts of a request that a signature can cover.

use std::borrow::Cow;

use crate::Fault;

/// The parts of a request that can be signed, exactly as on the wire: nothing is decoded or normalised.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The method, in the case in which it was sent.
    pub method: &'a str,
    /// The request target in origin form: path and query, byte for byte.
    pub target: &'a str,
    /// The scheme of the target URI, `https` or `http`; empty when it is not known, so that no component with it can be
    /// covered.
    pub scheme: &'a str,
    /// The requested host, with its port unless it is the default of the scheme.
    pub host: &'a str,
    /// Header lines in order. Names in any case.
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// The content as on the wire, without the transfer coding: a compressed body stays compressed.
    pub body: &'a [u8],
}

/// The supported derived components (RFC 9421 §2.2). `@query-param` has a parameter, and `@status` is one of responses.
pub const DERIVED: [&str; 7] =
    ["@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"];

impl<'a> Message<'a> {
    /// Returns the lines of the header `name`.
    pub fn lines<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// Returns the only line of the header `name`.
    ///
    /// # Errors
    /// [`Fault::Ambiguous`] when there are several.
    pub fn line(&self, name: &str) -> Result<Option<&'a [u8]>, Fault> {
        let mut lines = self.lines(name);
        match (lines.next(), lines.next()) {
            (line, None) => Ok(line),
            (_, Some(_)) => Err(Fault::Ambiguous),
        }
    }

    /// Returns the value of `component` (RFC 9421 §2.1 and §2.2).
    ///
    /// # Errors
    /// [`Fault::UnknownComponent`] for a derived component outside [`DERIVED`]; [`Fault::Incomplete`] for a
    /// missing header; [`Fault::Unsignable`] for a value that is not visible ASCII, and for an empty query:
    /// `/a?` would sign the same as `/a`.
    pub fn component(&self, component: &str) -> Result<Cow<'a, str>, Fault> {
        let (path, query) = match self.target.split_once('?') {
            Some((_, "")) => return Err(Fault::Unsignable),
            Some((path, query)) => (path, query),
            None => (self.target, ""),
        };
        match component {
            "@method" => visible(self.method).map(Cow::Borrowed),
            "@path" if path.starts_with('/') => visible(path).map(Cow::Borrowed),
            "@path" => Err(Fault::Unsignable),
            "@query" => Ok(Cow::Owned(format!("?{}", visible_or_empty(query)?))),
            "@authority" => Ok(Cow::Owned(authority(visible(self.host)?))),
            "@scheme" => self.scheme().map(Cow::Owned),
            "@request-target" if path.starts_with('/') => visible(self.target).map(Cow::Borrowed),
            "@request-target" => Err(Fault::Unsignable),
            "@target-uri" if path.starts_with('/') => {
                let (scheme, host) = (self.scheme()?, authority(visible(self.host)?));
                Ok(Cow::Owned(format!("{scheme}://{host}{}", visible(self.target)?)))
            }
            "@target-uri" => Err(Fault::Unsignable),
            name if name.starts_with('@') => Err(Fault::UnknownComponent),
            name => self.header(name).map(Cow::Owned),
        }
    }

    /// The scheme in lower case (RFC 9421 §2.2.4).
    fn scheme(&self) -> Result<String, Fault> {
        let scheme = self.scheme.to_ascii_lowercase();
        if matches!(scheme.as_str(), "http" | "https") { Ok(scheme) } else { Err(Fault::Unsignable) }
    }

    fn header(&self, name: &str) -> Result<String, Fault> {
        let mut lines = Vec::new();
        for line in self.lines(name) {
            let text = std::str::from_utf8(line).map_err(|_| Fault::Unsignable)?;
            let text = text.trim_matches([' ', '\t']);
            if !text.bytes().all(|b| b == b'\t' || (0x20..0x7f).contains(&b)) {
                return Err(Fault::Unsignable);
            }
            lines.push(text);
        }
        if lines.is_empty() { Err(Fault::Incomplete) } else { Ok(lines.join(", ")) }
    }
}

fn visible(text: &str) -> Result<&str, Fault> {
    if text.is_empty() { Err(Fault::Unsignable) } else { visible_or_empty(text) }
}

fn visible_or_empty(text: &str) -> Result<&str, Fault> {
    if text.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'#') {
        Ok(text)
    } else {
        Err(Fault::Unsignable)
    }
}

/// Normalises a host as RFC 9421 §2.2.3 requires: lower case, without the default port.
fn authority(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let bare = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80"));
    bare.map(str::to_owned).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(target: &str) -> Message<'_> {
        Message {
            method: "GET",
            target,
            scheme: "HTTPS",
            host: "API.test:443",
            headers: vec![("X-A", b" one "), ("x-b", b"\xff"), ("x-a", b"two")],
            body: b"",
        }
    }

    #[test]
    fn components_are_raw() {
        let raw = message("/a%2Fb/../%7e?x=%20&y");
        let component = |name: &str| raw.component(name).map(Cow::into_owned);
        assert_eq!(component("@method").unwrap(), "GET");
        assert_eq!(component("@path").unwrap(), "/a%2Fb/../%7e");
        assert_eq!(component("@query").unwrap(), "?x=%20&y");
        assert_eq!(component("@authority").unwrap(), "api.test");
        assert_eq!(component("x-a").unwrap(), "one, two");
        assert_eq!(component("x-b"), Err(Fault::Unsignable));
        assert_eq!(component("x-c"), Err(Fault::Incomplete));
        assert_eq!(component("@target-uri").unwrap(), "https://api.test/a%2Fb/../%7e?x=%20&y");
        assert_eq!(component("@request-target").unwrap(), "/a%2Fb/../%7e?x=%20&y");
        assert_eq!(component("@scheme").unwrap(), "https");
        for unknown in ["@status", "@query-param", "@path-info", "@"] {
            assert_eq!(component(unknown), Err(Fault::UnknownComponent), "{unknown}");
        }
        let unknown_scheme = Message { scheme: "", ..raw.clone() };
        for name in ["@scheme", "@target-uri"] {
            assert_eq!(unknown_scheme.component(name), Err(Fault::Unsignable), "{name}");
        }
        assert_eq!(message("/a").component("@query").unwrap(), "?");
        assert_eq!(message("/a?b?c").component("@query").unwrap(), "?b?c");
    }

    #[test]
    fn an_ambiguous_target_cannot_be_signed() {
        for target in ["/a?", "", "*", "/a b", "/a\n", "/\u{fffd}", "/a#b"] {
            for component in ["@path", "@request-target", "@target-uri"] {
                assert_eq!(message(target).component(component), Err(Fault::Unsignable), "{target:?}");
            }
        }
        for target in ["/a?", "/a?b c", "/a?b#c", "/a?\u{fffd}"] {
            assert_eq!(message(target).component("@query"), Err(Fault::Unsignable), "{target:?}");
        }
    }
}
