//! For whom a signed identity is made (RFC 7519 §4.1.3).

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A token for more names than this is a broadcast, not a token for an audience; it is refused unread.
const MAX_NAMES: usize = 32;

/// The audience of an identity: one backend, or all backends among which a route shares its requests. Each
/// accepts it when its own name is among them.
///
/// One name is a string on the wire, several are an array, as RFC 7519 has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Audience(Vec<String>);

impl Audience {
    /// Whether `name` is meant.
    #[must_use]
    pub fn includes(&self, name: &str) -> bool {
        self.0.iter().any(|named| named == name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl From<&str> for Audience {
    fn from(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }
}

impl From<&String> for Audience {
    fn from(name: &String) -> Self {
        Self(vec![name.clone()])
    }
}

impl From<&Self> for Audience {
    fn from(audience: &Self) -> Self {
        audience.clone()
    }
}

impl<'a> FromIterator<&'a str> for Audience {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [name] => name.serialize(serializer),
            names => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a name, or 1 to {MAX_NAMES} names")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Audience, E> {
                Ok(Audience::from(name))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Audience, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element::<String>()? {
                    if names.len() == MAX_NAMES {
                        return Err(A::Error::custom("too many names"));
                    }
                    names.push(name);
                }
                if names.is_empty() {
                    return Err(A::Error::custom("no name"));
                }
                Ok(Audience(names))
            }
        }

        deserializer.deserialize_any(Names)
    }
}
