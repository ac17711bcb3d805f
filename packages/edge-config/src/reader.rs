//! Typed reading of a [`Node`] tree: every accessor reports a fault and continues.

mod values;

use std::collections::BTreeMap;

pub(crate) use values::{
    boolean, bytes, choice, cookie_name, is_name, is_number, millis, name, number, parsed, path, percent,
    text,
};

use crate::fault::{Collector, Place, suggest};
use crate::node::{Node, Value};
use crate::notes::{Note, Notes, Shape};
use values::NAME_RULE;

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The directory of a run where `CUTOVER_HOME` is not set: beside the work, and hidden.
pub const DEFAULT_HOME: &str = ".run";

/// The collector of faults and the environment, which every reader needs.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) faults: &'a Collector,
    pub(crate) environment: Environment<'a>,
    /// Where the reader notes what it looks for, while it describes itself.
    pub(crate) notes: Option<&'a Notes>,
}

impl Context<'_> {
    /// Notes that a value of this shape is expected at `node`. The functions of this module do; a section does that matches
    /// on the value itself.
    pub(crate) fn expects(self, node: &Node, shape: impl FnOnce() -> Shape) {
        if let Some(notes) = self.notes {
            notes.put(Note::Expects(node.place, shape()));
        }
    }

    /// The same without notes, for sections that no file holds.
    pub(crate) fn unnoted(self) -> Self {
        Self { notes: None, ..self }
    }

    /// Notes that the mapping at `node`, whose names the file chooses, has a field of this name. [`Fields`] does for others.
    pub(crate) fn looks_for(self, node: &Node, name: &'static str) {
        if let Some(notes) = self.notes {
            notes.put(Note::LooksFor { mapping: node.place, name, is_required: false });
        }
    }
}

/// The fields of one mapping. After reading them, [`Fields::finish`] reports every other field.
pub(crate) struct Fields<'a> {
    context: Context<'a>,
    what: String,
    pub(crate) place: Place,
    entries: BTreeMap<&'a str, (Place, &'a Node)>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The fields of `node`, which messages call `what`. Any value but a mapping is reported and read as an empty one.
    pub(crate) fn of(context: Context<'a>, node: &'a Node, what: impl Into<String>) -> Self {
        let what = what.into();
        context.expects(node, || Shape::Mapping);
        let mut entries = BTreeMap::new();
        if let Some(map) = mapping(context, node, &what) {
            for (key, value) in map {
                match &key.value {
                    Value::Text(name) => {
                        entries.insert(name.as_str(), (key.place, value));
                    }
                    Value::Null
                    | Value::Bool(_)
                    | Value::Int(_)
                    | Value::Float(_)
                    | Value::List(_)
                    | Value::Map(_) => {
                        let problem = format!("{what}: a field name is {}", key.value.kind());
                        context.faults.report(key.place, problem, "field names are text");
                    }
                }
            }
        }
        Self { context, what, place: node.place, entries, known: Vec::new() }
    }

    /// The field `name`, if it exists.
    pub(crate) fn optional(&mut self, name: &'static str) -> Option<&'a Node> {
        self.field(name, false)
    }

    fn field(&mut self, name: &'static str, is_required: bool) -> Option<&'a Node> {
        self.known.push(name);
        if let Some(notes) = self.context.notes {
            notes.put(Note::LooksFor { mapping: self.place, name, is_required });
        }
        self.entries.get(name).map(|(_, node)| *node)
    }

    /// The field `name`; its absence is reported with `mend`.
    pub(crate) fn required(&mut self, name: &'static str, mend: &str) -> Option<&'a Node> {
        let node = self.field(name, true);
        if node.is_none() {
            self.context.faults.report(self.place, format!("{} has no `{name}`", self.what), mend);
        }
        node
    }

    /// Reports every field that was not read.
    pub(crate) fn finish(self) {
        for (name, (place, _)) in &self.entries {
            if !self.known.contains(name) {
                let problem = format!("{} has no field `{name}`", self.what);
                self.context.faults.report(*place, problem, suggest(name, self.known.iter().copied()));
            }
        }
    }
}

fn mapping<'a>(context: Context<'a>, node: &'a Node, what: &str) -> Option<&'a [(Node, Node)]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        value @ (Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::List(_)) => {
            let problem = format!("{what} is {}", value.kind());
            context.faults.report(node.place, problem, "write a mapping: `{ field: value, … }`");
            None
        }
    }
}

/// The named entries of a mapping, for sections such as `backends`.
pub(crate) fn entries<'a>(
    context: Context<'a>,
    node: &'a Node,
    what: &str,
) -> Vec<(&'a str, Place, &'a Node)> {
    context.expects(node, || Shape::Entries);
    let mut named = Vec::new();
    for (key, value) in mapping(context, node, what).unwrap_or_default() {
        match &key.value {
            Value::Text(name) if is_name(name) => named.push((name.as_str(), key.place, value)),
            Value::Text(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::List(_)
            | Value::Map(_) => {
                let problem = format!("{what}: a name is not valid");
                context.faults.report(key.place, problem, NAME_RULE);
            }
        }
    }
    named
}

/// The entries of a mapping whose keys are texts of any form, for keys that are not names in the edge file.
pub(crate) fn texts<'a>(context: Context<'a>, node: &'a Node, what: &str) -> Vec<(&'a str, Place, &'a Node)> {
    context.expects(node, || Shape::Keyed);
    let mut named = Vec::new();
    for (key, value) in mapping(context, node, what).unwrap_or_default() {
        match &key.value {
            Value::Text(text) => named.push((text.as_str(), key.place, value)),
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::List(_)
            | Value::Map(_)) => {
                let problem = format!("{what}: a key is {}", other.kind());
                context.faults.report(key.place, problem, "write the key in quotes");
            }
        }
    }
    named
}

/// The elements of a list.
pub(crate) fn list<'a>(context: Context<'a>, node: &'a Node, what: &str) -> &'a [Node] {
    context.expects(node, || Shape::List);
    match &node.value {
        Value::List(elements) => elements,
        value @ (Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Map(_)) => {
            let problem = format!("{what} is {}", value.kind());
            context.faults.report(node.place, problem, "write a list: `[one, two]`");
            &[]
        }
    }
}
