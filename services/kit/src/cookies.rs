//! Reading cookies by the same rule as the edge.
//!
//! Two readers that disagree about a duplicate cookie are two different truths about who is calling. The rule,
//! shared with the authorizer: within one `Cookie` line the last cookie of a name wins; names are trimmed of
//! spaces and tabs; the value is everything after the first `=`, neither trimmed nor unquoted; several `Cookie`
//! lines that disagree are refused.

use http::HeaderMap;
use http::header::COOKIE;

/// What a request says under one cookie name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie<'a> {
    /// Nothing.
    Absent,
    /// Exactly this.
    Value(&'a str),
    /// Several lines with different values, or bytes that are not text: no reading of it is safe.
    Ambiguous,
}

impl<'a> Cookie<'a> {
    /// The value, if there is exactly one.
    #[must_use]
    pub const fn value(self) -> Option<&'a str> {
        match self {
            Cookie::Value(value) => Some(value),
            Cookie::Absent | Cookie::Ambiguous => None,
        }
    }
}

/// The cookie called `name` (case-sensitive) in `headers`.
#[must_use]
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Cookie<'a> {
    let mut found: Option<&[u8]> = None;
    for line in headers.get_all(COOKIE) {
        let Some(value) = last_in_line(line.as_bytes(), name.as_bytes()) else { continue };
        if found.is_some_and(|earlier| earlier != value) {
            return Cookie::Ambiguous;
        }
        found = Some(value);
    }
    match found.map(std::str::from_utf8) {
        None => Cookie::Absent,
        Some(Ok(value)) => Cookie::Value(value),
        Some(Err(_)) => Cookie::Ambiguous,
    }
}

fn last_in_line<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.split(|&b| b == b';').rev().find_map(|pair| {
        let mut parts = pair.splitn(2, |&b| b == b'=');
        let key = trim_blanks(parts.next()?);
        let value = parts.next()?;
        (key == name).then_some(value)
    })
}

fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_bytes(line).unwrap())).collect()
    }

    #[test]
    fn one_rule_for_every_spelling() {
        let cases: &[(&[&[u8]], Cookie<'_>)] = &[
            (&[], Cookie::Absent),
            (&[b"b=1"], Cookie::Absent),
            (&[b"a=1"], Cookie::Value("1")),
            (&[b"x=1;a=2"], Cookie::Value("2")),
            (&[b"a=1; a=2"], Cookie::Value("2")),
            (&[b"\ta \t=1"], Cookie::Value("1")),
            (&[b"a= 1"], Cookie::Value(" 1")),
            (&[b"a=1 ; b=2"], Cookie::Value("1 ")),
            (&[b"a=1=2"], Cookie::Value("1=2")),
            (&[b"a=\"1\""], Cookie::Value("\"1\"")),
            (&[b"a="], Cookie::Value("")),
            (&[b"a"], Cookie::Absent),
            (&[b"A=1"], Cookie::Absent),
            (&[b"\xc2\xa0a=1"], Cookie::Absent),
            (&[b"$Version=1; a=2"], Cookie::Value("2")),
            (&[b"b=1", b"a=2"], Cookie::Value("2")),
            (&[b"a=1", b"a=1"], Cookie::Value("1")),
            (&[b"a=1", b"a=2"], Cookie::Ambiguous),
            (&[b"a=2; a=1", b"a=1"], Cookie::Value("1")),
            (&[b"a=\xff"], Cookie::Ambiguous),
        ];
        for (lines, expected) in cases {
            assert_eq!(read(&headers(lines), "a"), *expected, "{lines:?}");
        }
    }
}
