//! The header `Forwarded` (RFC 7239).
//!
//! It is read from the right like any list of proxies, quotes included: were it read from the left, a client could open a
//! quotation that swallows what the proxies add.

use std::borrow::Cow;

/// One element: what one proxy says about its peer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// `for`
    pub(super) node: Option<Cow<'a, [u8]>>,
    pub(super) proto: Option<Cow<'a, [u8]>>,
    pub(super) host: Option<Cow<'a, [u8]>>,
}

/// The parts of `text` between `separator`s outside quotations, the last one first.
pub(super) fn from_the_right(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let cut = last_outside_quotations(text, separator);
        let (before, after) = match cut {
            Some(at) => (text.get(..at), text.get(at.saturating_add(1)..)),
            None => (None, Some(text)),
        };
        rest = before;
        after
    })
}

fn last_outside_quotations(text: &[u8], separator: u8) -> Option<usize> {
    let mut quoted = false;
    for (at, &byte) in text.iter().enumerate().rev() {
        if byte == b'"' {
            let before = text.get(..at).unwrap_or_default();
            let slashes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
            // Within a quotation, a backslash escapes the byte after it.
            if !quoted || slashes % 2 == 0 {
                quoted = !quoted;
            }
        } else if byte == separator && !quoted {
            return Some(at);
        }
    }
    None
}

/// Reads one element. `None` when it is malformed: a pair without `=`, a broken quotation, a parameter twice.
pub(super) fn element(text: &[u8]) -> Option<Element<'_>> {
    let mut element = Element::default();
    for pair in from_the_right(text, b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()) {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        let value = unquoted(value.get(1..)?)?;
        let place = if name.eq_ignore_ascii_case(b"for") {
            &mut element.node
        } else if name.eq_ignore_ascii_case(b"proto") {
            &mut element.proto
        } else if name.eq_ignore_ascii_case(b"host") {
            &mut element.host
        } else {
            continue;
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    Some(element)
}

/// A token, or the content of a quotation. Also accepts an address with colons or brackets without quotes, which RFC 7239
/// forbids and proxies write.
fn unquoted(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(inner) = value.strip_prefix(b"\"") else {
        let plain = !value.is_empty() && value.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'"');
        return plain.then_some(Cow::Borrowed(value));
    };
    let inner = inner.strip_suffix(b"\"")?;
    if !inner.iter().any(|&byte| matches!(byte, b'"' | b'\\')) {
        return Some(Cow::Borrowed(inner));
    }
    let mut bytes = inner.iter();
    let mut plain = Vec::with_capacity(inner.len());
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => plain.push(*bytes.next()?),
            b'"' => return None,
            _ => plain.push(byte),
        }
    }
    Some(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, String, String)> {
        let shown = |value: Option<Cow<'_, [u8]>>| {
            value.map(|value| String::from_utf8_lossy(&value).into_owned()).unwrap_or_default()
        };
        element(text.as_bytes()).map(|e| (shown(e.node), shown(e.proto), shown(e.host)))
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        for (text, node, proto, host) in [
            (r#"for="_gazonk""#, "_gazonk", "", ""),
            (r#"For="[2001:db8:cafe::17]:4711""#, "[2001:db8:cafe::17]:4711", "", ""),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60", "http", ""),
            (r#"PROTO=https; for=a;host="example.com:8080""#, "a", "https", "example.com:8080"),
            ("for=unknown;secret=x;", "unknown", "", ""),
            (r#"for="a\"b\\c""#, r#"a"b\c"#, "", ""),
            ("for=192.0.2.60:80", "192.0.2.60:80", "", ""),
            ("proto=https", "", "https", ""),
            ("", "", "", ""),
        ] {
            let expected = (node.to_owned(), proto.to_owned(), host.to_owned());
            assert_eq!(read(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_malformed_element_says_nothing() {
        for text in [
            "192.0.2.60",
            "for",
            "for=",
            r#"for="192.0.2.60"#,
            r#"for=192.0.2.60""#,
            r#"for="a"b""#,
            r#"for="a\""#,
            "for=a b",
            "for=a;for=b",
            "for=a;FOR=b",
            "for=a;proto=http;proto=https",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn separators_in_quotations_do_not_count_and_the_left_never_changes_the_right() {
        let parts = |text: &'static str| {
            let parts = from_the_right(text.as_bytes(), b',');
            parts.map(|part| std::str::from_utf8(part).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(parts("a,b,c"), ["c", "b", "a"]);
        assert_eq!(parts(""), [""]);
        assert_eq!(parts(r#"a="x,y",b="\",",c"#), ["c", r#"b="\",""#, r#"a="x,y""#]);
        // A client that opens a quotation does not reach what a proxy adds after it.
        assert_eq!(parts(r#"for="198.51.100.1, for=192.0.2.7"#)[0], " for=192.0.2.7");
        assert_eq!(parts(r#"for="\, for="192.0.2.7""#)[0], r#" for="192.0.2.7""#);
        assert_eq!(parts(r#"x\", for="192.0.2.7""#)[0], r#" for="192.0.2.7""#);
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_client_writes_the_last_element_is_the_proxy_s(left: Vec<u8>) {
            for own in [&b"for=192.0.2.7;proto=https"[..], b"for=\"[2001:db8::1]:4711\""] {
                let text = [&left, &b","[..], own].concat();
                assert_eq!(from_the_right(&text, b',').next(), Some(own));
            }
        }
    }
}
