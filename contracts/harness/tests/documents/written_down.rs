//! The tests that the documents name exist: every name in a table's last column `test` is a test, so that no promise
//! loses its test unnoticed. Comments are no wider than a page.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every file below `directory` with this extension, except build results and tools.
fn files(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("it can be listed").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                files(&path, extension, found);
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

/// The names of all tests: functions that follow an attribute `test`, or stand in a `proptest!`.
fn tests() -> BTreeSet<String> {
    let mut sources = Vec::new();
    files(&harness::repository(), "rs", &mut sources);
    let mut names = BTreeSet::new();
    for source in sources {
        let text = std::fs::read_to_string(&source).expect("it is readable");
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[") && line.contains("test") && !line.contains("cfg(") {
                is_test = true;
            } else if let Some(rest) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
                if is_test && let Some((name, _)) = rest.split_once('(') {
                    names.insert(name.to_owned());
                }
                is_test = false;
            }
        }
    }
    names
}

/// The names in the column `test` of every table in `text`.
fn named(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_named = false;
    for line in text.lines().map(str::trim) {
        let Some(row) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
            is_named = false;
            continue;
        };
        let last = row.rsplit('|').next().unwrap_or_default().trim();
        if last == "test" {
            is_named = true;
        } else if is_named {
            let quoted = last.split('`').skip(1).step_by(2);
            names.extend(quoted.map(|name| name.rsplit("::").next().unwrap_or(name).to_owned()));
        }
    }
    names
}

/// rustfmt wraps code at 110 columns and leaves comments as they are. They may be wider, but must fit beside a difference.
const WIDEST_COMMENT: usize = 130;

/// Whether `line` of a source file is a comment that is too wide. A row of a table and an example of JSON cannot be wrapped.
fn is_too_wide(line: &str) -> bool {
    let comment =
        line.trim_start().strip_prefix("//").map(|text| text.trim_start_matches(['/', '!']).trim_start());
    let is_prose = comment.is_some_and(|text| !text.starts_with(['|', '{']) && text.contains(' '));
    is_prose && line.chars().count() > WIDEST_COMMENT
}

#[test]
fn comments_fit_beside_a_difference() {
    assert!(is_too_wide(&format!("    /// {}", "word ".repeat(30))) && !is_too_wide("// a word"));
    let mut sources = Vec::new();
    files(&harness::repository(), "rs", &mut sources);
    let mut wide = Vec::new();
    for source in &sources {
        let text = std::fs::read_to_string(source).expect("it is readable");
        let lines = text.lines().enumerate().filter(|(_, line)| is_too_wide(line));
        wide.extend(lines.map(|(number, _)| format!("{}:{}", source.display(), number + 1)));
    }
    assert!(
        wide.is_empty(),
        "comments of more than {WIDEST_COMMENT} columns; wrap them at 120:\n{}",
        wide.join("\n")
    );
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let tests = tests();
    let mut documents = Vec::new();
    files(&harness::repository().join("docs"), "md", &mut documents);
    documents.push(harness::repository().join("ARCHITECTURE.md"));
    let mut count = 0;
    let mut missing = Vec::new();
    for document in documents {
        let text = std::fs::read_to_string(&document).expect("it is readable");
        for name in named(&text) {
            count += 1;
            if !tests.contains(&name) {
                missing.push(format!("{}: {name}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "named and not there:\n{}", missing.join("\n"));
    assert!(count > 100, "{count} names: the tables are not found any more");
}

/// In a table about dependencies every row has a test.
#[test]
fn every_row_about_a_dependency_names_a_test() {
    let text =
        std::fs::read_to_string(harness::repository().join("ARCHITECTURE.md")).expect("it is readable");
    let (_, section) = text.split_once("## When something is gone").expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    assert!(rows.len() > 30, "{} rows", rows.len());
    let bare: Vec<_> = rows.iter().filter(|row| !named_in_last(row)).collect();
    assert!(bare.is_empty(), "without a test: {bare:#?}");
}

fn named_in_last(row: &str) -> bool {
    row.trim_end_matches('|').rsplit('|').next().is_some_and(|last| last.contains('`'))
}

/// The crates that serve any product. Only `services/`, `contracts/` and the edge files that serve them name one.
const GENERAL: [&str; 5] = ["authz-service", "envoy/templates", "packages", "tools", "wasm-filters"];

/// The name of the product that the shipped edges and services serve.
const PRODUCT: &[u8] = b"madome";

/// The files below the general crates of `repository` that name the product, in any case, in their text or their path.
fn product_named(repository: &Path) -> Vec<String> {
    let names_it =
        |bytes: &[u8]| bytes.to_ascii_lowercase().windows(PRODUCT.len()).any(|window| window == PRODUCT);
    let mut below: Vec<PathBuf> = GENERAL.iter().map(|name| repository.join(name)).collect();
    let mut found = Vec::new();
    while let Some(directory) = below.pop() {
        for entry in std::fs::read_dir(&directory).expect("it can be listed").flatten() {
            let path = entry.path();
            // The skeleton is a crate of `services/`, where `cutover new-service` writes it.
            let skipped = entry.file_name().to_string_lossy().starts_with('.')
                || path.ends_with("target")
                || path.ends_with("tools/cutover/skeleton");
            if skipped {
                continue;
            }
            let shown = path.strip_prefix(repository).expect("it is below").display().to_string();
            if path.is_dir() {
                below.push(path);
            } else if names_it(shown.as_bytes()) || names_it(&std::fs::read(&path).expect("it is readable")) {
                found.push(shown);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn no_general_crate_names_the_product() {
    let found = product_named(&harness::repository());
    assert!(
        found.is_empty(),
        "these name a product; take the name from an edge file or a setting:\n{}",
        found.join("\n")
    );
}

#[test]
fn a_general_crate_that_names_the_product_is_found() {
    let root = tempfile::tempdir().expect("a directory");
    for name in GENERAL {
        std::fs::create_dir_all(root.path().join(name)).expect("it can be made");
    }
    let put =
        |name: &str, text: &str| std::fs::write(root.path().join(name), text).expect("it can be written");
    put("tools/plain.rs", "const NAME: &str = \"x-auth-subject\";");
    assert!(product_named(root.path()).is_empty());
    put("packages/named.rs", "const NAME: &str = \"X-Madome-Auth-Sub\";");
    put("envoy/templates/madome.yaml", "");
    assert_eq!(product_named(root.path()), ["envoy/templates/madome.yaml", "packages/named.rs"]);
}
