//! Ids of people, tenants and sessions: texts, as their issuers write them.
//!
//! An id has 1 to [`MAX_BYTES`] bytes of UTF-8. Two ids are the same when their bytes are: `ALICE` is not `alice`, and a
//! UUID in upper case is not the same id as one in lower case.
//!
//! An id is written into a header byte for byte, so no id holds bytes that a header would lose or that would end it:
//!
//! * no control characters (C0, DEL, C1);
//! * no white space at the beginning or the end, which every parser of a header removes (RFC 9110 §5.5).
//!
//! Characters beyond ASCII are allowed. In a header they are their UTF-8 bytes (`obs-text` of RFC 9110 §5.5), which Envoy
//! forwards as they are. A backend whose framework reads headers as Latin-1 decodes them itself, or reads the signed
//! identity, which is JSON.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// The most bytes of an id: OpenID Connect Core 1.0 allows a subject 255.
pub const MAX_BYTES: usize = 255;

/// A text that is not a valid id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to 255 bytes, no control characters, and no white space at its beginning or end")]
pub struct InvalidId;

/// One id. A UUID in its usual spelling takes 16 bytes and no allocation; every other text is shared by its copies.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Id {
    /// A UUID whose text is lower-case with hyphens. No other spelling, so that equal values are equal texts.
    Uuid(Uuid),
    /// Any other text.
    Text(Arc<str>),
}

impl Id {
    fn read(text: &str) -> Result<Self, InvalidId> {
        if let Some(uuid) = usual_uuid(text) {
            return Ok(Self::Uuid(uuid));
        }
        let is_edged = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
        if text.is_empty() || text.len() > MAX_BYTES || is_edged || text.chars().any(char::is_control) {
            return Err(InvalidId);
        }
        Ok(Self::Text(text.into()))
    }

    fn with_text<T>(&self, read: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Uuid(uuid) => read(uuid.as_hyphenated().encode_lower(&mut Uuid::encode_buffer())),
            Self::Text(text) => read(text),
        }
    }

    const fn uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(uuid) => Some(*uuid),
            Self::Text(_) => None,
        }
    }

    fn allocated(&self) -> usize {
        match self {
            Self::Uuid(_) => 0,
            Self::Text(text) => text.len(),
        }
    }
}

/// The UUID that `text` spells in lower case with hyphens.
fn usual_uuid(text: &str) -> Option<Uuid> {
    if text.len() != Hyphenated::LENGTH || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    text.parse::<Hyphenated>().map(Hyphenated::into_uuid).ok()
}

impl Ord for Id {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            // Digits come before lower-case letters, so texts of UUIDs are in the order of the numbers.
            (Self::Uuid(one), Self::Uuid(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Uuid(_), Self::Text(_)) | (Self::Text(_), Self::Uuid(_)) => {
                self.with_text(|one| other.with_text(|other| one.cmp(other)))
            }
        }
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.pad(text))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| fmt::Debug::fmt(text, f))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|text| serializer.serialize_str(text))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a text: {InvalidId}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
                Id::read(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

macro_rules! id {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Id);

        impl $name {
            /// The UUID, when the id is one in its usual spelling.
            #[must_use]
            pub const fn uuid(&self) -> Option<Uuid> {
                self.0.uuid()
            }

            /// Passes the text to `read`, without an allocation.
            pub fn with_text<T>(&self, read: impl FnOnce(&str) -> T) -> T {
                self.0.with_text(read)
            }

            /// How many bytes the id takes beside its own size: none for a UUID. Caches count them.
            #[must_use]
            pub fn allocated(&self) -> usize {
                self.0.allocated()
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(Id::Uuid(uuid))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Id::read(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }
    };
}

id! {
    /// A person's id: the subject of their tokens.
    ///
    /// It may have the form of a [`ServiceName`](crate::ServiceName) or a [`ClientName`](crate::ClientName): an issuer may
    /// call a person `orders`. Compare it with other subjects of persons alone. The [signed identity](crate::assertion) says
    /// which kind of caller it names.
    SubjectId
}

id! {
    /// A tenant's id.
    TenantId
}

id! {
    /// A session's id: one login on one device. Revoking it ends every token that was issued for it.
    SessionId
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Result<SubjectId, InvalidId> {
        text.parse()
    }

    #[test]
    fn any_text_of_255_bytes_that_survives_a_header_is_an_id() {
        let (longest, umlauts) = ("x".repeat(255), "ü".repeat(127));
        for text in [
            "auth0|5f7c8e1f2a3b4c0069d1e2f3",
            "110169484474386276334",
            "zoë@example.com",
            "0192D3C0-0000-7000-8000-000000000001",
            "0192d3c0-0000-7000-8000-000000000001",
            "{0192d3c0-0000-7000-8000-000000000001}",
            "CN=Zoë, OU=Sales",
            "a b",
            "-",
            "100%25",
            &longest,
            &umlauts,
        ] {
            let read = id(text).unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(serde_json::to_value(&read).unwrap(), text);
            assert_eq!(serde_json::from_value::<SubjectId>(text.into()).unwrap(), read);
        }
        let long = "x".repeat(256);
        for text in
            ["", " ", " a", "a ", "a\u{a0}", "\u{2003}a", "a\tb", "a\nb", "a\0", "\u{7f}", "\u{85}", &long]
        {
            assert_eq!(id(text), Err(InvalidId), "{text:?}");
            assert!(serde_json::from_value::<SubjectId>(text.into()).is_err());
        }
        assert!(serde_json::from_value::<SubjectId>(7.into()).is_err(), "a number is not a text");
    }

    #[test]
    fn ids_are_compared_as_bytes() {
        let texts = [
            "0192D3C0-0000-7000-8000-000000000001",
            "0192d3c0-0000-7000-8000-000000000001",
            "0192d3c000007000800000000000000a",
            "f192d3c0-0000-7000-8000-000000000001",
            "0192d3c0-0000-7000-8000-0000000000zz",
            "alice",
            "ALICE",
            "z",
            "zoë",
        ];
        for one in texts {
            for other in texts {
                let (a, b) = (id(one).unwrap(), id(other).unwrap());
                assert_eq!(a.cmp(&b), one.cmp(other), "{one} {other}");
                assert_eq!(a == b, one == other);
            }
        }
    }

    #[test]
    fn a_uuid_takes_no_memory_of_its_own() {
        let uuid = id("0192d3c0-0000-7000-8000-000000000001").unwrap();
        assert!(uuid.uuid().is_some());
        assert_eq!((uuid.allocated(), id("alice").unwrap().allocated()), (0, 5));
        assert_eq!(id("0192D3C0-0000-7000-8000-000000000001").unwrap().uuid(), None);
        assert!(size_of::<Option<SubjectId>>() <= 24);
    }
}
