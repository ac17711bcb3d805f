//! A book and its tags.

use time::OffsetDateTime;

/// The kinds of books on the older surface, as stored. Queries write them with `-`.
pub const OLDER_KINDS: [&str; 4] = ["doujinshi", "manga", "artist_cg", "game_cg"];

/// The kinds of books on the later surface, as stored.
pub const LATER_KINDS: [&str; 5] = ["doujinshi", "manga", "game_cg", "artist_cg", "image_set"];

/// The kinds of tags.
pub const TAG_KINDS: [&str; 7] = ["artist", "group", "series", "character", "female", "male", "misc"];

/// The most characters of a title. The legacy table has an index on it, whose rows hold about 2,700 bytes.
pub const MAX_TITLE: usize = 500;

/// The most characters of a tag's name.
pub const MAX_TAG_NAME: usize = 200;

/// The most characters of a language.
pub const MAX_LANGUAGE: usize = 100;

/// The most tags of a book. Real books have at most a few dozen.
pub const MAX_TAGS: usize = 200;

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// One of [`TAG_KINDS`]; a restored dump may have another one.
    pub kind: String,
    /// The name, with spaces.
    pub name: String,
}

impl Tag {
    /// Returns the tag that `text` writes as `kind-name`, where `-` in the name stands for a space.
    #[must_use]
    pub fn from_flat(text: &str) -> Self {
        let (kind, name) = text.split_once('-').unwrap_or((text, ""));
        Self { kind: kind.to_owned(), name: name.replace('-', " ") }
    }
}

/// A book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// The number that the source of the book gave it, from 1.
    pub id: i32,
    /// The title.
    pub title: String,
    /// The kind, as stored (`artist_cg`).
    pub kind: String,
    /// The language.
    pub language: String,
    /// The number of pages.
    pub page: i16,
    /// The tags, in the order in which they were given.
    pub tags: Vec<Tag>,
    /// When the book appeared at its source.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
    /// When it was released; absent before that.
    pub published_at: Option<OffsetDateTime>,
    /// The id of the book that replaces this one.
    pub renewed_as: Option<i32>,
}

/// Splits text into the words that the index holds: runs of letters and digits, in lower case.
///
/// Both databases get these words and nothing else, so that neither one's own rules for punctuation count.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    /// PostgreSQL refuses words of more than 2,046 bytes.
    const MAX_WORD: usize = 100;
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.to_lowercase().chars().take(MAX_WORD).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let all: Vec<String> = words("A-b 'c'  \u{c9}t\u{e9}\0%_:*9").collect();
        assert_eq!(all, ["a", "b", "c", "\u{e9}t\u{e9}", "9"]);
        assert_eq!(words(&"x".repeat(5000)).next().map(|word| word.len()), Some(100));
    }

    #[test]
    fn a_flat_tag_has_its_kind_before_the_first_dash() {
        let tag = Tag::from_flat("misc-full-color");
        assert_eq!((tag.kind.as_str(), tag.name.as_str()), ("misc", "full color"));
        assert_eq!(Tag::from_flat("misc").name, "");
    }
}
