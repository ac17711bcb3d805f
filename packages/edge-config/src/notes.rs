//! What the reader says about itself while it reads: which field it looks for, and what it expects.

use std::cell::RefCell;

use crate::fault::Place;

/// The form of a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// A mapping with known fields.
    Mapping,
    /// A mapping under names that the file chooses.
    Entries,
    /// A mapping under other names that the file chooses, such as host names.
    Keyed,
    /// A list.
    List,
    /// Text, exactly as written.
    Text,
    /// A name of the edge file: 1 to 64 lower-case letters, digits and `-`.
    Name,
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds.
    Number {
        /// The smallest accepted number.
        least: u64,
        /// The largest accepted number.
        most: u64,
    },
    /// A percentage from 0 to 100 with at most three decimals.
    Percent,
    /// One of a few words.
    Choice(Vec<&'static str>),
    /// Text with a form of its own, in which `${NAME:-default}` is replaced from the environment. The name of its type.
    Expanded(&'static str),
}

/// One thing that the reader said, at a place of the document.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// It expects a value of this shape.
    Expects(Place, Shape),
    /// It looks for a field of the mapping at this place.
    LooksFor { mapping: Place, name: &'static str, is_required: bool },
}

/// Everything that the reader said while it read one document.
#[derive(Debug, Default)]
pub(crate) struct Notes(RefCell<Vec<Note>>);

impl Notes {
    pub(crate) fn put(&self, note: Note) {
        self.0.borrow_mut().push(note);
    }

    pub(crate) fn into_notes(self) -> Vec<Note> {
        self.0.into_inner()
    }
}
