//! The words about the fields of the edge file, from `fields/*.yaml`.

use std::collections::BTreeMap;

use crate::load;
use crate::node::{Node, Value};

/// The words about one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doc {
    /// What the field says.
    pub says: String,
    /// Its default, as the file would write it.
    pub default: Option<Sample>,
    /// What holds without it, where that is not one value.
    pub otherwise: Option<String>,
    /// The reason of the default or of the bounds.
    pub why: Option<String>,
    /// A value to copy.
    pub example: Option<Sample>,
    /// Whether these words are those of the same field elsewhere.
    pub is_inherited: bool,
}

/// A value as YAML writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sample {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Number(i64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Sample>),
    /// A mapping.
    Mapping(Vec<(String, Sample)>),
}

/// All words, by path.
pub(super) struct Docs {
    words: BTreeMap<String, Doc>,
    /// Paths whose inside is described at another path.
    same: BTreeMap<String, String>,
}

/// The files with the words.
const FILES: [(&str, &str); 5] = [
    ("edge.yaml", include_str!("../../fields/edge.yaml")),
    ("callers.yaml", include_str!("../../fields/callers.yaml")),
    ("backends.yaml", include_str!("../../fields/backends.yaml")),
    ("routes.yaml", include_str!("../../fields/routes.yaml")),
    ("answers.yaml", include_str!("../../fields/answers.yaml")),
];

impl Docs {
    /// Reads the files that are built in. A file that is not as it should be has no words; a test reports that.
    pub(super) fn read() -> Self {
        let mut docs = Self { words: BTreeMap::new(), same: BTreeMap::new() };
        for (_, text) in FILES {
            let Ok(tree) = load::tree(text) else { continue };
            let Value::Map(entries) = tree.value else { continue };
            for (key, value) in entries {
                if let Value::Text(path) = key.value {
                    docs.add(path, &value);
                }
            }
        }
        docs
    }

    fn add(&mut self, path: String, node: &Node) {
        let text = |name: &str| match field(node, name).map(|node| &node.value) {
            Some(Value::Text(text)) => Some(text.trim().to_owned()),
            Some(_) | None => None,
        };
        if let Some(other) = text("as") {
            self.same.insert(path.clone(), other);
        }
        let Some(says) = text("says") else { return };
        let sample = |name: &str| field(node, name).and_then(Sample::of);
        let doc = Doc {
            says,
            default: sample("default"),
            otherwise: text("otherwise"),
            why: text("why"),
            example: sample("example"),
            is_inherited: false,
        };
        self.words.insert(path, doc);
    }

    /// The words about the field at `path`.
    pub(super) fn of(&self, path: &str) -> Option<Doc> {
        if let Some(doc) = self.words.get(path) {
            return Some(doc.clone());
        }
        let other = self.same.iter().find_map(|(inside, other)| {
            let rest = path.strip_prefix(inside.as_str()).filter(|rest| rest.starts_with(['.', '[']))?;
            Some(format!("{other}{rest}"))
        })?;
        Some(Doc { is_inherited: true, ..self.of(&other)? })
    }

    /// The paths with words or a reference.
    #[cfg(test)]
    pub(super) fn paths(&self) -> impl Iterator<Item = &String> {
        self.words.keys().chain(self.same.keys())
    }
}

fn field<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let Value::Map(entries) = &node.value else { return None };
    let is_it = |key: &Node| matches!(&key.value, Value::Text(text) if text == name);
    entries.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value)
}

impl Sample {
    fn of(node: &Node) -> Option<Self> {
        Some(match &node.value {
            Value::Bool(value) => Self::Boolean(*value),
            Value::Int(number) => Self::Number(*number),
            Value::Text(text) => Self::Text(text.clone()),
            Value::List(elements) => Self::List(elements.iter().map(Self::of).collect::<Option<_>>()?),
            Value::Map(entries) => {
                let one = |(key, value): &(Node, Node)| match &key.value {
                    Value::Text(name) => Some((name.clone(), Self::of(value)?)),
                    Value::Null
                    | Value::Bool(_)
                    | Value::Int(_)
                    | Value::Float(_)
                    | Value::List(_)
                    | Value::Map(_) => None,
                };
                Self::Mapping(entries.iter().map(one).collect::<Option<_>>()?)
            }
            Value::Null | Value::Float(_) => return None,
        })
    }
}
