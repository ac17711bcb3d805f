//! Tags: the things that a decision rests on.

use std::fmt;

/// One thing that a decision rests on, as 64 bits. The feed lists it when the thing ends.
///
/// A tag is a plain hash (FNV-1a), not a secret. When two things share a tag by chance, the end of one costs the other
/// full checks and nothing else: a tag can end leases, never create one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u64);

/// The kind of thing behind a tag. A session and a person with the same id have different tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A session, by its id.
    Session = 1,
    /// A person, by their id.
    Subject = 2,
    /// A tenant, by its id.
    Tenant = 3,
    /// A key that signs tokens, by issuer and `kid`, joined by a zero byte.
    Key = 4,
}

impl Tag {
    /// The tag of a thing, from its id in the one spelling that both sides use: a UUID with hyphens, in lower case.
    #[must_use]
    pub fn of(kind: Kind, id: &[u8]) -> Self {
        let start = (0xcbf2_9ce4_8422_2325 ^ u64::from(kind as u8)).wrapping_mul(PRIME);
        Self(id.iter().fold(start, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let written =
            text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        written.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(Self)
    }
}

const PRIME: u64 = 0x0100_0000_01b3;

/// Sixteen hexadecimal digits.
impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_kept_apart_and_a_tag_never_changes() {
        let id = b"00000000-0000-7000-8000-000000000001";
        let tags = [Kind::Session, Kind::Subject, Kind::Tenant, Kind::Key].map(|kind| Tag::of(kind, id));
        for (index, tag) in tags.iter().enumerate() {
            assert!(!tags[..index].contains(tag));
            assert_eq!(Tag::parse(&tag.to_string()), Some(*tag));
        }
        // Edge and authorizer may run two versions for a while.
        assert_eq!(Tag::of(Kind::Session, b"").to_string(), "af63bc4c8601b62c");
    }
}
