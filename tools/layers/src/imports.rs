//! Which files a file names, and in which line.
//!
//! Everything that is written counts: `use`, and paths in types, expressions and macros. Not counted: `mod`, documentation,
//! visibilities such as `pub(super)`, and code that is compiled for tests alone.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::tree::{Tree, is_test};

/// From each file the files that it names, with the first line that does.
pub type Imports = Vec<BTreeMap<usize, usize>>;

/// The imports of every file of `tree`.
#[must_use]
pub fn of(tree: &Tree) -> Imports {
    let read = |(number, file): (usize, &crate::tree::SourceFile)| {
        let mut reader = Reader { tree, file: number, module: file.module.clone(), found: BTreeMap::new() };
        for item in &file.items {
            reader.visit_item(item);
        }
        reader.found
    };
    tree.files().iter().enumerate().map(read).collect()
}

struct Reader<'t> {
    tree: &'t Tree,
    file: usize,
    module: Vec<String>,
    found: BTreeMap<usize, usize>,
}

impl Reader<'_> {
    /// Notes the path of `names` that stands in `line`.
    fn note(&mut self, names: &[String], line: usize) {
        let Some(absolute) = self.absolute(names) else { return };
        if let Some(home) = self.tree.home(&absolute)
            && home != self.file
        {
            self.found.entry(home).or_insert(line);
        }
    }

    /// `names` from the root of the crate; `None` when they lead out of it, or are only names of this module.
    fn absolute(&self, names: &[String]) -> Option<Vec<String>> {
        let (first, rest) = names.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some(self.module.iter().chain(rest).cloned().collect()),
            "super" => {
                let ups = names.iter().take_while(|name| *name == "super").count();
                let kept = self.module.len().checked_sub(ups)?;
                Some(self.module.iter().take(kept).chain(names.iter().skip(ups)).cloned().collect())
            }
            _ => {
                let child: Vec<String> = self.module.iter().chain([first]).cloned().collect();
                self.tree.has(&child).then(|| self.module.iter().chain(names).cloned().collect())
            }
        }
    }

    fn tree_of(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match tree {
            syn::UseTree::Path(path) => self.tree_of(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.leaf(before, &name.ident),
            syn::UseTree::Rename(rename) => self.leaf(before, &rename.ident),
            syn::UseTree::Glob(glob) => self.note(before, glob.star_token.spans[0].start().line),
            syn::UseTree::Group(group) => {
                for one in &group.items {
                    self.tree_of(before, one);
                }
            }
        }
    }

    fn leaf(&mut self, before: &[String], ident: &syn::Ident) {
        let line = ident.span().start().line;
        if ident == "self" {
            self.note(before, line);
        } else {
            let names: Vec<String> = before.iter().cloned().chain([ident.to_string()]).collect();
            self.note(&names, line);
        }
    }

    /// Paths among the tokens of a macro that begin with `crate`, `self` or `super`.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut names: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    let name = ident.to_string();
                    if colons == 2 && !names.is_empty() {
                        names.push(name);
                    } else {
                        self.end(&mut names, line);
                        if matches!(name.as_str(), "crate" | "self" | "super") {
                            line = ident.span().start().line;
                            names.push(name);
                        }
                    }
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.end(&mut names, line);
                    colons = 0;
                }
                TokenTree::Group(group) => {
                    self.end(&mut names, line);
                    colons = 0;
                    self.tokens(group.stream());
                }
            }
        }
        self.end(&mut names, line);
    }

    fn end(&mut self, names: &mut Vec<String>, line: usize) {
        // A lone `self` is a value, a lone `crate` a visibility.
        if names.len() > 1 {
            self.note(names, line);
        }
        names.clear();
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let Some((_, items)) = &module.content else { return };
        self.module.push(module.ident.to_string());
        for item in items {
            self.visit_item(item);
        }
        self.module.pop();
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        if import.leading_colon.is_none() {
            self.tree_of(&[], &import.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            if let Some(first) = path.segments.first()
                && names.len() > 1
            {
                self.note(&names, first.ident.span().start().line);
            }
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.tokens(called.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "syn's list is open, and what is not named here has no tests in it"
)]
fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
