//! Keeps the files of a crate readable one after another.
//!
//! 1. [`tree`] finds the files of a crate by its `mod` declarations.
//! 2. [`imports`] reads from each file which other files it names.
//! 3. [`circles`] finds files that import each other in a circle.
//! 4. [`order`] compares the imports with the layers that a crate declares in `layers.txt`, if it has one.
//!
//! Tests are not read: a test may import whatever it tests with.

pub mod circles;
pub mod imports;
pub mod order;
pub mod tree;

use std::path::{Path, PathBuf};

use crate::circles::Circle;
use crate::order::Uphill;
use crate::tree::Tree;

/// Why a crate cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not Rust.
    #[error("{}:{line}: {what}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What the parser said.
        what: String,
    },
    /// The directory holds no crate.
    #[error("{}: no src/lib.rs and no src/main.rs; name the directory of a crate", .0.display())]
    NoCrate(PathBuf),
    /// `layers.txt` and the crate have different modules.
    #[error("{}: {what}", path.display())]
    Layers {
        /// The file.
        path: PathBuf,
        /// What is wrong, and how it is put right.
        what: String,
    },
}

/// What is wrong with one crate.
#[derive(Debug, Default)]
pub struct Findings {
    /// How many files were read.
    pub files: usize,
    /// Files that import each other.
    pub circles: Vec<Circle>,
    /// Imports that run against the layers.
    pub uphill: Vec<Uphill>,
}

impl Findings {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.circles.is_empty() && self.uphill.is_empty()
    }
}

/// Reads the crate in `directory` and finds its circles, and what runs against its layers.
///
/// # Errors
/// [`Unreadable`], naming the file.
pub fn look(directory: &Path) -> Result<Findings, Unreadable> {
    let mut findings = Findings::default();
    let mut has_root = false;
    for root in ["src/lib.rs", "src/main.rs"] {
        let root = directory.join(root);
        if !root.is_file() {
            continue;
        }
        has_root = true;
        let tree = Tree::read(&root)?;
        let imports = imports::of(&tree);
        findings.files += tree.files().len();
        findings.circles.extend(circles::find(&tree, &imports));
        let layers = directory.join("layers.txt");
        if root.ends_with("lib.rs") && layers.is_file() {
            findings.uphill.extend(order::uphill(&layers, &tree, &imports)?);
        }
    }
    if has_root { Ok(findings) } else { Err(Unreadable::NoCrate(directory.to_owned())) }
}
