//! The files of a crate, as its `mod` declarations make them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, ItemMod};

use crate::Unreadable;

/// The names from the root of the crate to a module: `["limit", "gcra"]`; empty for the root.
pub type ModulePath = Vec<String>;

/// One source file.
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// Which module it is.
    pub module: ModulePath,
    /// What it says.
    pub(crate) items: Vec<Item>,
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The files of one crate.
#[derive(Debug)]
pub struct Tree {
    files: Vec<SourceFile>,
    /// The file that each module stands in, those inside a file included.
    homes: BTreeMap<ModulePath, usize>,
}

impl Tree {
    /// Reads the crate whose root is the file `root`.
    ///
    /// # Errors
    /// [`Unreadable`] when a file is missing or is not Rust.
    pub fn read(root: &Path) -> Result<Self, Unreadable> {
        let mut tree = Self { files: Vec::new(), homes: BTreeMap::new() };
        let beside = root.parent().unwrap_or(Path::new(".")).to_owned();
        tree.add(root.to_owned(), &[], &beside)?;
        Ok(tree)
    }

    /// Every file, the root first.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The file that holds the module that `names` leads to, or the nearest module above it: what is left of the names
    /// is an item there.
    #[must_use]
    pub fn home(&self, names: &[String]) -> Option<usize> {
        (0..=names.len()).rev().find_map(|length| self.homes.get(names.get(..length)?).copied())
    }

    /// Whether there is a module of exactly this path.
    #[must_use]
    pub fn has(&self, module: &[String]) -> bool {
        self.homes.contains_key(module)
    }

    /// Whether the file `top` is a module above the file `file`, and not the root of the crate.
    #[must_use]
    pub fn is_above(&self, top: usize, file: usize) -> bool {
        match (self.files.get(top), self.files.get(file)) {
            (Some(top), Some(file)) => {
                let length = top.module.len();
                length > 0 && length < file.module.len() && file.module.starts_with(&top.module)
            }
            (None, _) | (_, None) => false,
        }
    }

    /// Adds the file `path`, whose own modules are in the directory `below`.
    fn add(&mut self, path: PathBuf, module: &[String], below: &Path) -> Result<(), Unreadable> {
        let text = std::fs::read_to_string(&path)
            .map_err(|source| Unreadable::File { path: path.clone(), source })?;
        let file = syn::parse_file(&text).map_err(|error| Unreadable::Source {
            path: path.clone(),
            line: error.span().start().line,
            what: error.to_string(),
        })?;
        let number = self.files.len();
        let declared = declarations(&file.items);
        self.files.push(SourceFile { path, module: module.to_vec(), items: file.items });
        self.homes.insert(module.to_vec(), number);
        self.follow(number, declared, module, below)
    }

    fn follow(
        &mut self,
        file: usize,
        declared: Vec<Declared>,
        module: &[String],
        below: &Path,
    ) -> Result<(), Unreadable> {
        for Declared { name, path, inside } in declared {
            let child: ModulePath = module.iter().cloned().chain([name.clone()]).collect();
            let deeper = below.join(&name);
            match inside {
                Some(inside) => {
                    self.homes.insert(child.clone(), file);
                    self.follow(file, inside, &child, &deeper)?;
                }
                None => {
                    let path = path.map_or_else(|| below.join(format!("{name}.rs")), |path| below.join(path));
                    self.add(path, &child, &deeper)?;
                }
            }
        }
        Ok(())
    }
}

/// A `mod` that is not a test's.
struct Declared {
    name: String,
    path: Option<String>,
    inside: Option<Vec<Declared>>,
}

fn declarations(items: &[Item]) -> Vec<Declared> {
    let module = |item: &Item| {
        if let Item::Mod(module) = item { (!is_test(&module.attrs)).then(|| declared(module)) } else { None }
    };
    items.iter().filter_map(module).collect()
}

fn declared(module: &ItemMod) -> Declared {
    Declared {
        name: module.ident.to_string(),
        path: module.attrs.iter().find_map(path_of),
        inside: module.content.as_ref().map(|(_, items)| declarations(items)),
    }
}

fn path_of(attribute: &Attribute) -> Option<String> {
    if !attribute.path().is_ident("path") {
        return None;
    }
    let syn::Meta::NameValue(value) = &attribute.meta else { return None };
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) = &value.value else { return None };
    Some(path.value())
}

/// Whether what carries `attributes` is compiled for tests alone.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        list.path.is_ident("cfg") && {
            let words: Vec<String> = list.tokens.clone().into_iter().map(|token| token.to_string()).collect();
            // `cfg(test)` and `cfg(all(test, …))`; `any` and `not` compile the code elsewhere too.
            words.first().is_some_and(|word| word == "test")
                || words.first().is_some_and(|word| word == "all")
                    && words.get(1).is_some_and(|rest| rest.contains("test"))
        }
    })
}
