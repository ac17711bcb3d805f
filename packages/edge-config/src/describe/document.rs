//! A document to try on the reader, whose values have their paths as their places.

use super::docs::Sample;
use crate::fault::Place;
use crate::node::{Node, Value};

/// The name of an entry where the file chooses names.
pub(super) const ENTRY: &str = "entry";

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Document {
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Document>),
    Map(Vec<(String, Document)>),
}

/// A step from a value to one inside of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Field(String),
    Entry,
    Element,
}

/// The way from the whole document to a value.
pub(super) type Path = Vec<Step>;

/// The path as the documentation writes it: `routes[].name`, `backends.*.address`.
pub(super) fn shown(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Element => text.push_str("[]"),
            Step::Field(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Step::Entry => text.push_str(".*"),
        }
    }
    text
}

impl Document {
    /// A document with this sample.
    pub(super) fn of(sample: &Sample) -> Self {
        match sample {
            Sample::Boolean(value) => Self::Bool(*value),
            Sample::Number(number) => Self::Int(*number),
            Sample::Text(text) => Self::Text(text.clone()),
            Sample::List(elements) => Self::List(elements.iter().map(Self::of).collect()),
            Sample::Mapping(entries) => {
                Self::Map(entries.iter().map(|(name, value)| (name.clone(), Self::of(value))).collect())
            }
        }
    }

    /// Removes the field at `path`.
    #[cfg(test)]
    pub(super) fn remove(&mut self, path: &[Step]) {
        let Some((Step::Field(last), before)) = path.split_last() else { return };
        let mut inside = self;
        for step in before {
            let next = match (inside, step) {
                (Self::List(elements), Step::Element) => elements.first_mut(),
                (Self::Map(entries), Step::Field(_) | Step::Entry) => {
                    let key = if let Step::Field(name) = step { name } else { ENTRY };
                    entries.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
                }
                (Self::Bool(_) | Self::Int(_) | Self::Text(_) | Self::List(_) | Self::Map(_), _) => None,
            };
            let Some(next) = next else { return };
            inside = next;
        }
        if let Self::Map(entries) = inside {
            entries.retain(|(name, _)| name != last);
        }
    }

    /// Puts `value` at `path`. A value of another kind on the way is replaced.
    pub(super) fn put(&mut self, path: &[Step], value: Document) {
        let Some((step, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        match step {
            Step::Element => {
                let Self::List(elements) = self else {
                    *self = Self::List(Vec::new());
                    return self.put(path, value);
                };
                match elements.first_mut() {
                    Some(first) => first.put(rest, value),
                    None => {
                        let mut first = Self::Map(Vec::new());
                        first.put(rest, value);
                        elements.push(first);
                    }
                }
            }
            Step::Field(_) | Step::Entry => {
                let key = if let Step::Field(name) = step { name } else { ENTRY };
                let Self::Map(entries) = self else {
                    *self = Self::Map(Vec::new());
                    return self.put(path, value);
                };
                if let Some((_, inside)) = entries.iter_mut().find(|(name, _)| name == key) {
                    return inside.put(rest, value);
                }
                let mut inside = Self::Map(Vec::new());
                inside.put(rest, value);
                entries.push((key.to_owned(), inside));
            }
        }
    }

    /// The tree that the reader reads, and the path of each of its places.
    pub(super) fn tree(&self) -> (Node, Vec<Path>) {
        let mut paths = Vec::new();
        let node = self.node(&mut Vec::new(), &mut paths);
        (node, paths)
    }

    fn node(&self, path: &mut Path, paths: &mut Vec<Path>) -> Node {
        let place = place_of(paths.len());
        paths.push(path.clone());
        let mut inside = |step: Step, document: &Self| {
            path.push(step);
            let node = document.node(path, paths);
            path.pop();
            node
        };
        let value = match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(number) => Value::Int(*number),
            Self::Text(text) => Value::Text(text.clone()),
            Self::List(elements) => {
                Value::List(elements.iter().map(|element| inside(Step::Element, element)).collect())
            }
            Self::Map(entries) => {
                let of = |name: &String| match name.as_str() {
                    ENTRY => Step::Entry,
                    name => Step::Field(name.to_owned()),
                };
                // A name is not a value of the description.
                let nowhere = Place { line: u64::MAX, column: 0 };
                let key = |name: &String| Node { value: Value::Text(name.clone()), place: nowhere };
                Value::Map(entries.iter().map(|(name, value)| (key(name), inside(of(name), value))).collect())
            }
        };
        Node { value, place }
    }
}

/// The place that stands for the path with this index.
fn place_of(index: usize) -> Place {
    Place { line: u64::try_from(index).unwrap_or(u64::MAX), column: 0 }
}

/// The path for which `place` stands.
pub(super) fn path_of(paths: &[Path], place: Place) -> Option<&Path> {
    // A place of the reader's own, as of a section that the file leaves out, is that of the whole document.
    paths.get(usize::try_from(place.line).ok()?)
}
