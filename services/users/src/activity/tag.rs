//! Tags of books, as people like them.

use serde::{Deserialize, Serialize};

/// A tag of the library.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// Its kind, such as `artist`.
    pub kind: String,
    /// Its name, with spaces.
    pub name: String,
}

impl Tag {
    /// Returns whether a row can hold the tag. PostgreSQL stores no NUL, so no tag has one.
    #[must_use]
    pub fn is_storable(&self) -> bool {
        !self.kind.contains('\0') && !self.name.contains('\0')
    }
}

/// A tag as the pair `[kind, name]`, the form in which services and clients write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair(pub String, pub String);

impl From<Pair> for Tag {
    fn from(Pair(kind, name): Pair) -> Self {
        Self { kind, name }
    }
}

impl From<Tag> for Pair {
    fn from(Tag { kind, name }: Tag) -> Self {
        Self(kind, name)
    }
}
