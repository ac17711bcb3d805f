//! Shapes of volatile values: what stays the same about a value that is different in every answer.

use std::fmt;

/// A shape. `Option<usize>` is an exact length, or any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `Fri, 27 Nov 2026 03:33:39 GMT` (RFC 9110 §5.6.7).
    HttpDate,
    /// RFC 3339, with this number of fractional digits.
    Timestamp(Option<usize>),
    /// A UUID in lower or upper case.
    Uuid,
    /// Three parts of base64url, as JWTs have them.
    Jwt,
    /// Decimal digits, perhaps with a sign.
    Integer,
    /// A decimal number.
    Number,
    /// Hexadecimal digits.
    Hex(Option<usize>),
    /// Letters, digits and `_-.~+/=`.
    Token(Option<usize>),
    /// Text that is not empty.
    Text,
    /// Anything, also nothing.
    Any,
    /// A JSON value that is not a text.
    Json(JsonShape),
}

/// The shape of a JSON value, as it is written outside quotation marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonShape {
    /// A number without fraction and exponent.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Any value.
    Any,
}

/// The spellings of shapes, for messages.
pub const SPELLINGS: &str = "http-date, timestamp, timestamp N, uuid, jwt, integer, number, hex, hex N, token, token N, text, any, json integer, json number, json boolean, json any";

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, length) = match self {
            Self::HttpDate => ("http-date", None),
            Self::Timestamp(digits) => ("timestamp", *digits),
            Self::Uuid => ("uuid", None),
            Self::Jwt => ("jwt", None),
            Self::Integer => ("integer", None),
            Self::Number => ("number", None),
            Self::Hex(length) => ("hex", *length),
            Self::Token(length) => ("token", *length),
            Self::Text => ("text", None),
            Self::Any => ("any", None),
            Self::Json(JsonShape::Integer) => ("json integer", None),
            Self::Json(JsonShape::Number) => ("json number", None),
            Self::Json(JsonShape::Boolean) => ("json boolean", None),
            Self::Json(JsonShape::Any) => ("json any", None),
        };
        f.write_str(word)?;
        length.map_or(Ok(()), |length| write!(f, " {length}"))
    }
}

impl Shape {
    /// Reads a spelling.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (word, length) = match text.split_once(' ') {
            Some(("json", kind)) => {
                return Some(Self::Json(match kind {
                    "integer" => JsonShape::Integer,
                    "number" => JsonShape::Number,
                    "boolean" => JsonShape::Boolean,
                    "any" => JsonShape::Any,
                    _ => return None,
                }));
            }
            Some((word, length)) => (word, Some(length.parse().ok()?)),
            None => (text, None),
        };
        Some(match (word, length) {
            ("timestamp", digits) => Self::Timestamp(digits),
            ("hex", length) => Self::Hex(length),
            ("token", length) => Self::Token(length),
            ("http-date", None) => Self::HttpDate,
            ("uuid", None) => Self::Uuid,
            ("jwt", None) => Self::Jwt,
            ("integer", None) => Self::Integer,
            ("number", None) => Self::Number,
            ("text", None) => Self::Text,
            ("any", None) => Self::Any,
            _ => return None,
        })
    }

    /// Whether `value` has this shape.
    #[must_use]
    pub fn is_of(self, value: &[u8]) -> bool {
        let fits = |length: Option<usize>| length.is_none_or(|length| length == value.len());
        let all = |part: fn(&u8) -> bool| !value.is_empty() && value.iter().all(part);
        match self {
            Self::HttpDate => http_date(value) == Some(value.len()),
            Self::Timestamp(digits) => {
                fraction(value).is_some_and(|found| digits.is_none_or(|digits| digits == found))
            }
            Self::Uuid => {
                let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
                let part = |(at, byte): (usize, &u8)| {
                    if hyphen(at) { *byte == b'-' } else { byte.is_ascii_hexdigit() }
                };
                value.len() == 36 && value.iter().enumerate().all(part)
            }
            Self::Jwt => {
                let parts: Vec<&[u8]> = value.split(|byte| *byte == b'.').collect();
                let part = |part: &&[u8]| part.len() >= 4 && part.iter().all(is_base64url);
                value.starts_with(b"eyJ") && parts.len() == 3 && parts.iter().all(part)
            }
            Self::Integer => {
                let digits = value.strip_prefix(b"-").unwrap_or(value);
                !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
            }
            Self::Number => is_number(value),
            Self::Hex(length) => fits(length) && all(u8::is_ascii_hexdigit),
            Self::Token(length) => fits(length) && all(is_token),
            Self::Text => !value.is_empty(),
            Self::Any | Self::Json(JsonShape::Any) => true,
            Self::Json(JsonShape::Integer) => Self::Integer.is_of(value),
            Self::Json(JsonShape::Number) => is_number(value),
            Self::Json(JsonShape::Boolean) => matches!(value, b"true" | b"false"),
        }
    }

    /// The narrowest shape of both values.
    #[must_use]
    pub fn of_both(one: &[u8], other: &[u8]) -> Self {
        let length = (one.len() == other.len()).then_some(one.len());
        // Two short tokens are hexadecimal by chance; two of eight characters are not.
        let is_hex = one.len().min(other.len()) >= 8;
        let digits = fraction(one).filter(|digits| fraction(other) == Some(*digits));
        [
            Self::HttpDate,
            Self::Timestamp(digits),
            Self::Uuid,
            Self::Jwt,
            Self::Integer,
            Self::Number,
            Self::Hex(length),
            Self::Token(length),
            Self::Text,
        ]
        .into_iter()
        .filter(|shape| is_hex || !matches!(shape, Self::Hex(_)))
        .find(|shape| shape.is_of(one) && shape.is_of(other))
        .unwrap_or(Self::Any)
    }

    /// The narrowest shape of two JSON values that are not both texts.
    #[must_use]
    pub fn of_json(one: &[u8], other: &[u8]) -> Self {
        let shape = [JsonShape::Integer, JsonShape::Number, JsonShape::Boolean]
            .into_iter()
            .find(|shape| Self::Json(*shape).is_of(one) && Self::Json(*shape).is_of(other));
        Self::Json(shape.unwrap_or(JsonShape::Any))
    }
}

fn is_base64url(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.~+/=".contains(byte)
}

fn is_number(value: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let text = std::str::from_utf8(value).ok().filter(|_| value.iter().all(plain));
    text.is_some_and(|text| text.parse::<f64>().is_ok())
}

/// Whether `value` looks like `pattern`, in which `0` stands for a digit and `a` for a letter.
fn looks_like(value: &[u8], pattern: &[u8]) -> bool {
    value.len() == pattern.len()
        && value.iter().zip(pattern).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            b'a' => byte.is_ascii_alphabetic(),
            _ => byte == wanted,
        })
}

/// The length of the HTTP date with which `value` begins.
#[must_use]
pub fn http_date(value: &[u8]) -> Option<usize> {
    let patterns: [&[u8]; 2] = [b"aaa, 00 aaa 0000 00:00:00 GMT", b"aaa, 00-aaa-0000 00:00:00 GMT"];
    let found = patterns
        .iter()
        .find(|pattern| value.get(..pattern.len()).is_some_and(|start| looks_like(start, pattern)));
    found.map(|pattern| pattern.len())
}

/// The number of fractional digits of an RFC 3339 time; nothing when `value` is none.
fn fraction(value: &[u8]) -> Option<usize> {
    let (date, rest) = value.split_at_checked(19)?;
    if !looks_like(date, b"0000-00-00T00:00:00") && !looks_like(date, b"0000-00-00 00:00:00") {
        return None;
    }
    let (digits, zone) = match rest.strip_prefix(b".") {
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            (digits, rest.get(digits..)?)
        }
        None => (0, rest),
    };
    let known = zone.is_empty() || zone == b"Z" || looks_like(zone, b"+00:00") || looks_like(zone, b"-00:00");
    known.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_shape_of_two_values_is_found() {
        for (one, other, shape) in [
            ("Fri, 27 Nov 2026 03:33:39 GMT", "Fri, 27 Nov 2026 03:33:40 GMT", "http-date"),
            ("2026-11-27T03:33:39.962Z", "2026-11-27T03:33:40.001Z", "timestamp 3"),
            ("2026-11-27T03:33:39Z", "2026-11-27T03:33:40.001Z", "timestamp"),
            ("01932c07-0000-7000-8000-00000000000a", "01932c07-0000-7000-8000-00000000000b", "uuid"),
            ("eyJhbGciOiJI.eyJpZCI6.AAAA", "eyJhbGciOiJI.eyJpZCI7.BBBB", "jwt"),
            ("7", "-12", "integer"),
            ("7.5", "1e3", "number"),
            ("00ff00ff", "12ab12ab", "hex 8"),
            ("00ff", "12ab", "token 4"),
            ("abcd_1", "abcd_2", "token 6"),
            ("abc", "abcd_2", "token"),
            ("two words", "word", "text"),
            ("", "x", "any"),
        ] {
            assert_eq!(Shape::of_both(one.as_bytes(), other.as_bytes()).to_string(), shape, "{one} {other}");
        }
        assert_eq!(Shape::of_json(b"1", b"2.5").to_string(), "json number");
        assert_eq!(Shape::of_json(b"null", b"2.5").to_string(), "json any");
    }

    #[test]
    fn every_spelling_is_read_back_and_others_are_not() {
        for spelling in SPELLINGS.split(", ").map(|one| one.replace('N', "12")) {
            assert_eq!(Shape::read(&spelling).map(|shape| shape.to_string()), Some(spelling));
        }
        for wrong in ["", "uuid 3", "hex x", "json text", "date"] {
            assert_eq!(Shape::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn another_format_is_another_shape() {
        for (shape, value) in [
            ("timestamp 3", "2026-11-27T03:33:39Z"),
            ("hex 4", "00fg"),
            ("json integer", "1.0"),
            ("json integer", "\"1\""),
            ("uuid", "01932c07-0000-7000-8000-00000000000"),
            ("jwt", "eyJh.eyJp"),
            ("number", "inf"),
            ("timestamp", "2026-11-27T03:33:39.Z"),
        ] {
            assert!(!Shape::read(shape).unwrap().is_of(value.as_bytes()), "{shape} {value}");
        }
    }
}
