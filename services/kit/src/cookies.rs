//! Reads cookies by the same rule as the edge, which is in the crate [`cookies`].

use ::cookies::CookieFault;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// The value of one cookie name in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie<'a> {
    /// The request has no such cookie.
    Absent,
    /// The request has exactly this value.
    Value(&'a str),
    /// Several lines have different values, or the bytes are not text: no interpretation is safe.
    Ambiguous,
}

impl<'a> Cookie<'a> {
    /// Returns the value, if there is exactly one.
    #[must_use]
    pub const fn value(self) -> Option<&'a str> {
        match self {
            Cookie::Value(value) => Some(value),
            Cookie::Absent | Cookie::Ambiguous => None,
        }
    }
}

/// Reads the cookie called `name` (case-sensitive) in `headers`. The size of the headers is already limited where
/// they are received, so the number of pairs needs no limit here.
#[must_use]
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Cookie<'a> {
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    match ::cookies::find(lines, name.as_bytes(), usize::MAX).map(|value| value.map(std::str::from_utf8)) {
        Ok(None) => Cookie::Absent,
        Ok(Some(Ok(value))) => Cookie::Value(value),
        Ok(Some(Err(_))) | Err(CookieFault::Ambiguous | CookieFault::Parts | CookieFault::TooMany) => {
            Cookie::Ambiguous
        }
    }
}

/// Returns every value of the cookie called `name` in `headers`, in their order and each once. Values that are
/// not text are left out. Returns `None` when two lines disagree.
#[must_use]
pub fn all<'a>(headers: &'a HeaderMap, name: &str) -> Option<Vec<&'a str>> {
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let values = ::cookies::all(lines, name.as_bytes(), usize::MAX).ok()?;
    Some(values.into_iter().filter_map(|value| std::str::from_utf8(value).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

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
