//! `cutover plan` as a pull request runs it: its output and its exit code.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const BOOKS: &str = "prefix: /books, policy: signed-in, to: legacy";

/// Compares the edge file of the tests with the same after `edit`.
fn plan(edit: impl Fn(&str) -> String, options: &[&str]) -> Output {
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/edge.yaml");
    let text = fs::read_to_string(&old).unwrap();
    assert!(text.contains(BOOKS));
    let home = tempfile::tempdir().unwrap();
    let new = home.path().join("new.yaml");
    fs::write(&new, edit(&text)).unwrap();
    Command::new(env!("CARGO_BIN_EXE_cutover"))
        .arg("plan")
        .arg(&old)
        .arg(&new)
        .args(options)
        .output()
        .unwrap()
}

fn public(text: &str) -> String {
    text.replace(BOOKS, &BOOKS.replace("signed-in", "public"))
}

#[test]
fn a_route_that_became_public_fails_unless_it_is_allowed() {
    let refused = plan(public, &[]);
    let said = String::from_utf8(refused.stdout).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("**weaker**") && said.contains("/books"), "{said}");
    assert!(String::from_utf8(refused.stderr).unwrap().contains("--allow-weaker"));

    let meant = plan(public, &["--allow-weaker"]);
    assert_eq!(meant.status.code(), Some(0));
    assert_eq!(String::from_utf8(meant.stdout).unwrap(), said, "it is reported nevertheless");
}

#[test]
fn the_same_as_json_for_programs() {
    let output = plan(public, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let output: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.to_string().contains("weaker") && output.to_string().contains("/books"), "{output:#}");
}

#[test]
fn moving_a_route_is_reported_and_is_not_a_fault() {
    let moved =
        |text: &str| text.replace(BOOKS, &BOOKS.replace("to: legacy", "to: { legacy: 90, users: 10 }"));
    let output = plan(moved, &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("users 10 %"), "{said}");
    let nothing = plan(str::to_owned, &[]);
    assert_eq!(nothing.status.code(), Some(0));
    assert!(String::from_utf8(nothing.stdout).unwrap().contains("Every request is treated as before."));
}

#[test]
fn a_file_that_is_not_an_edge_file_is_invalid() {
    let output =
        plan(|text| text.replace("policy: signed-in, to: legacy", "policy: nonsense, to: legacy"), &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8(output.stderr).unwrap().contains("nonsense"));
}
