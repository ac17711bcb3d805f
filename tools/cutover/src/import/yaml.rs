//! YAML or JSON in which every value has its line.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::Unreadable;

/// The most values in one file. The largest public OpenAPI document has half a million.
const MAX_VALUES: usize = 2_000_000;

/// A value and its line.
#[derive(Clone, Debug)]
pub(super) struct Yaml {
    pub(super) line: u64,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Null,
    Bool(bool),
    /// Text, or a number as it is shown.
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

/// Reads a file.
pub(super) fn read(text: &str) -> Result<Yaml, Unreadable> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: MAX_VALUES, max_events: 2 * MAX_VALUES },
    };
    serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options).map(Yaml::from).map_err(|error| {
        let line = error.location().map_or(1, |at| at.line());
        let said = error.to_string().lines().next().unwrap_or("the text is not YAML").to_owned();
        Unreadable::new(line, said, "correct the YAML or JSON")
    })
}

impl Yaml {
    /// A value that says nothing, at `line`.
    pub(super) const fn empty(line: u64) -> Self {
        Self { line, value: Value::Null }
    }

    /// The field `name` of a mapping.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.entries().iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The entries of a mapping; none of any other value.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) => &[],
        }
    }

    /// The elements of a list; none of any other value.
    pub(super) fn elements(&self) -> &[Self] {
        match &self.value {
            Value::List(elements) => elements,
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::Map(_) => &[],
        }
    }

    /// Whether it is a list.
    pub(super) const fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }

    /// The text, or the number as it is shown.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// `true` or `false`.
    pub(super) const fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The text of the field `name`.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.get(name)?.text()
    }

    /// The texts of the list `name`.
    pub(super) fn texts_of(&self, name: &str) -> Vec<&str> {
        self.get(name).map(|list| list.elements().iter().filter_map(Self::text).collect()).unwrap_or_default()
    }
}

impl From<Spanned<Value>> for Yaml {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { line: spanned.referenced.line(), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;

        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Text(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Text(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Text(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = sequence.next_element::<Spanned<Value>>()? {
                    list.push(element.into());
                }
                Ok(Value::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<Spanned<Value>>()? {
                    let value: Yaml = map.next_value::<Spanned<Value>>()?.into();
                    // Names such as the status 200 are numbers; a name of another kind names nothing here.
                    if let Value::Text(name) = key.value {
                        entries.push((name, value));
                    }
                }
                Ok(Value::Map(entries))
            }
        }

        deserializer.deserialize_any(ValueVisitor)
    }
}
