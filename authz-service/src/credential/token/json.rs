//! Reads JSON that every program reads alike.
//!
//! To skip a value would be to trust that it is JSON: a parser that skips passes over half a surrogate pair (`"\ud800"`), a
//! number that no `f64` holds (`1e999`) and a hundred thousand brackets. A program behind the edge may replace, round or
//! refuse them, and then two programs disagree about one token. So every value is read to its end, at most 128 deep, and a
//! member that stands twice in one object is refused, at every depth: parsers differ in which of the two they keep.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The members of the object in `text`; `None` when it is not one, or not JSON, or has a member twice.
pub(super) fn object(text: &[u8]) -> Option<Map<String, Value>> {
    // Text that is not UTF-8 is not JSON (RFC 8259, section 8.1).
    let text = std::str::from_utf8(text).ok()?;
    match serde_json::from_str(text).ok()? {
        Distinct(Value::Object(members)) => Some(members),
        Distinct(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            None
        }
    }
}

/// A value without duplicate members.
struct Distinct(Value);

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DistinctVisitor).map(Self)
    }
}

struct DistinctVisitor;

impl<'de> Visitor<'de> for DistinctVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number =
            Number::from_f64(value).ok_or_else(|| E::custom("a number too large for a 64-bit float"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Distinct(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == AS_WRITTEN && members.is_empty() {
                return number(&map.next_value::<String>()?).ok_or_else(|| A::Error::custom("not a number"));
            }
            let Distinct(value) = map.next_value()?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a duplicate member"));
            }
        }
        Ok(Value::Object(members))
    }
}

/// The member that the parser hands a number over in, when a crate of the build makes it keep numbers as they are written
/// (`arbitrary_precision`).
const AS_WRITTEN: &str = "$serde_json::private::Number";

/// The number in `text`, within 64 bits.
fn number(text: &str) -> Option<Value> {
    let whole = text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from));
    let number = whole.ok().or_else(|| Number::from_f64(text.parse().ok()?))?;
    Some(Value::Number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_programs_read_differently_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[{"y":{"a":1,"a":2}}]}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1e999}"#,
            r#"{"a":1}{}"#,
            "[]",
            "null",
            "",
            &deep,
        ] {
            assert_eq!(object(text.as_bytes()), None, "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), None);
        let read = object(br#"{"a":{"b":[1,-2,2.5,null,true,"\ud83d\ude00"]},"c":{"b":1}}"#).unwrap();
        assert_eq!(
            Value::Object(read),
            serde_json::json!({ "a": { "b": [1, -2, 2.5, null, true, "\u{1f600}"] }, "c": { "b": 1 } })
        );
    }
}
