//! The layers of a crate: which of its modules may import which.
//!
//! `layers.txt` beside `Cargo.toml` has one layer in a line, the lowest first, with the names of the modules directly
//! below the root of the crate. A module imports modules of the lines before its own, and none of its own line or of a
//! later one. What follows `#` is a comment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::Unreadable;
use crate::imports::Imports;
use crate::tree::{SourceFile, Tree};

/// An import that runs against the layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uphill {
    /// The importing file.
    pub path: PathBuf,
    /// The line of the import.
    pub line: usize,
    /// The importing module.
    pub from: String,
    /// The imported module.
    pub to: String,
}

impl fmt::Display for Uphill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, from, to } = self;
        write!(
            f,
            "{}:{line}: `{from}` imports `{to}`, which is not below it in layers.txt\nhelp: move what it needs into a \
             lower module, or hand it in from above",
            path.display()
        )
    }
}

/// Every import of `tree` that runs against the layers in the file `layers`.
///
/// # Errors
/// [`Unreadable`] when the file cannot be read, or does not name each module exactly once.
pub fn uphill(layers: &Path, tree: &Tree, imports: &Imports) -> Result<Vec<Uphill>, Unreadable> {
    let text = std::fs::read_to_string(layers)
        .map_err(|source| Unreadable::File { path: layers.to_owned(), source })?;
    let wrong = |what: String| Unreadable::Layers { path: layers.to_owned(), what };
    let mut order: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let names = line.split('#').next().unwrap_or_default();
        for name in names.split_whitespace() {
            if order.insert(name, number).is_some() {
                return Err(wrong(format!("line {}: `{name}` is there twice; keep one", number + 1)));
            }
        }
    }
    let modules: BTreeSet<&str> = tree.files().iter().filter_map(top).collect();
    if let Some(missing) = modules.iter().find(|module| !order.contains_key(*module)) {
        return Err(wrong(format!("the module `{missing}` has no layer; add it to a line")));
    }
    if let Some((gone, line)) = order.iter().find(|(name, _)| !modules.contains(*name)) {
        return Err(wrong(format!("line {}: there is no module `{gone}`; remove it", line + 1)));
    }
    let mut found = Vec::new();
    for (file, others) in tree.files().iter().zip(imports) {
        let Some(from) = top(file) else { continue };
        for (other, line) in others {
            let Some(to) = tree.files().get(*other).and_then(top) else { continue };
            if from != to && order.get(to) >= order.get(from) {
                let path = file.path.clone();
                found.push(Uphill { path, line: *line, from: from.to_owned(), to: to.to_owned() });
            }
        }
    }
    Ok(found)
}

/// The module directly below the root that `file` belongs to.
fn top(file: &SourceFile) -> Option<&str> {
    file.module.first().map(String::as_str)
}
