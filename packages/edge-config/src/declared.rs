//! Named things of one kind, and references to them.

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::{Place, suggest};
use crate::node::Node;
use crate::reader::{self, Context};

/// Things of one kind: the valid ones, and the names of all, so that a reference to a faulty one is not reported as a
/// reference to an undefined one.
pub(crate) struct Declared<T> {
    pub(crate) good: BTreeMap<String, T>,
    names: BTreeSet<String>,
}

impl<T> Declared<T> {
    /// Reads a section of named things. A missing section is an empty one.
    pub(crate) fn read<'a>(
        context: Context<'a>,
        section: Option<&'a Node>,
        what: &str,
        mut one: impl FnMut(&str, &'a Node) -> Option<T>,
    ) -> Self {
        let mut declared = Self { good: BTreeMap::new(), names: BTreeSet::new() };
        for (name, _, node) in section.map(|node| reader::entries(context, node, what)).unwrap_or_default() {
            declared.names.insert(name.to_owned());
            if let Some(thing) = one(name, node) {
                declared.good.insert(name.to_owned(), thing);
            }
        }
        declared
    }

    /// The name to which `node` refers, if it is defined.
    pub(crate) fn reference(&self, context: Context<'_>, node: &Node, what: &str) -> Option<String> {
        let name = reader::text(context, node, what)?;
        self.named(context, name, node.place, what)
    }

    /// Defines `name`, unless the file does. Returns whether it did.
    pub(crate) fn or_insert(&mut self, name: &str, thing: impl FnOnce() -> T) -> bool {
        let is_new = self.names.insert(name.to_owned());
        if is_new {
            self.good.insert(name.to_owned(), thing());
        }
        is_new
    }

    /// The only one, when the file defines exactly one.
    pub(crate) fn only(&self) -> Option<&str> {
        let mut names = self.names.iter();
        names.next().filter(|_| names.next().is_none()).map(String::as_str)
    }

    /// Whether `name` is defined, validly or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether the file defines any, validly or not.
    pub(crate) fn has_any(&self) -> bool {
        !self.names.is_empty()
    }

    /// The `name` at `place`, if it is defined.
    pub(crate) fn named(&self, context: Context<'_>, name: &str, place: Place, what: &str) -> Option<String> {
        if self.names.contains(name) {
            return Some(name.to_owned());
        }
        let mend = suggest(name, self.names.iter().map(String::as_str));
        context.faults.report(place, format!("{what} is `{name}`, which does not exist"), mend);
        None
    }
}
