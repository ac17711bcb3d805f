//! What an edge file may say, found by watching the reader itself.
//!
//! The list of fields is not written down anywhere: [`edge_file`] has the reader read many small documents, and notes which
//! field it looks for, where, and what value it expects there. Each new field is then given values of every kind, so that the
//! reader goes on into it, until a round finds nothing new. A field that is added to the reader is therefore in the
//! description, and a removed one is not.
//!
//! What a reader cannot show (a sentence, the default and its reason, an example) is in `fields/*.yaml`, by the field's path.

mod docs;
mod document;
mod explore;

pub use crate::notes::Shape;
pub use docs::{Doc, Sample};

/// One value of the edge file: which forms it may have, and what is inside.
#[derive(Clone, Debug, Default)]
pub struct Described {
    /// The forms that the reader expects here, in the order in which it was seen to expect them. Empty when the reader never
    /// said one: a test lists such fields.
    pub shapes: Vec<Shape>,
    /// The fields of a mapping, in the order in which the reader looks for them.
    pub fields: Vec<Field>,
    /// What stands under a name that the file chooses, as in `backends`.
    pub entry: Option<Box<Described>>,
    /// An element of a list.
    pub element: Option<Box<Described>>,
}

/// One field of a mapping.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its path: `sessions.cookie`, `routes[].name`, `backends.*.address`.
    pub path: String,
    /// Whether every such mapping must have it, whatever else it has.
    pub is_required: bool,
    /// Its words; absent while they are not written yet.
    pub doc: Option<Doc>,
    /// Its value.
    pub value: Described,
}

impl Described {
    /// Every field inside, depth first.
    #[must_use]
    pub fn all(&self) -> Vec<&Field> {
        let mut all = Vec::new();
        self.collect(&mut all);
        all
    }

    fn collect<'a>(&'a self, all: &mut Vec<&'a Field>) {
        for field in &self.fields {
            all.push(field);
            field.value.collect(all);
        }
        for inside in [&self.entry, &self.element].into_iter().flatten() {
            inside.collect(all);
        }
    }
}

/// Describes the edge file.
#[must_use]
pub fn edge_file() -> Described {
    explore::edge_file()
}

#[cfg(test)]
mod tests;
