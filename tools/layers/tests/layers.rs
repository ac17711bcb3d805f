//! What `layers` refuses, tried on crates that are written for the purpose.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use layers::{Findings, look};
use tempfile::TempDir;

/// A crate of these files below `src`.
fn written(files: &[(&str, &str)]) -> TempDir {
    let home = TempDir::new().unwrap();
    for (name, text) in files {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    home
}

fn found(files: &[(&str, &str)]) -> Findings {
    look(written(files).path()).unwrap()
}

/// The files of each circle, by their names alone, and the lines.
fn circles(findings: &Findings) -> Vec<Vec<(String, usize)>> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let steps = |circle: &layers::circles::Circle| {
        circle.0.iter().map(|step| (name(&step.path), step.line)).collect()
    };
    findings.circles.iter().map(steps).collect()
}

#[test]
fn a_circle_of_files_is_found_and_each_of_its_imports_is_named_with_its_line() {
    let findings = found(&[
        ("src/lib.rs", "mod a;\nmod b;\nmod c;\nmod calm;\n"),
        ("src/a.rs", "//! A.\nuse crate::b::B;\npub struct A(B);\n"),
        ("src/b.rs", "pub struct B(Option<Box<crate::c::C>>);\n"),
        (
            "src/c.rs",
            "use std::fmt;\n\npub fn c() { let _ = format!(\"{:?}\", crate::a::A::new()); }\npub struct C;\n",
        ),
        ("src/calm.rs", "use crate::a::A;\npub fn calm(_: A) {}\n"),
    ]);
    let steps = |names: &[(&str, usize)]| {
        names.iter().map(|(name, line)| ((*name).to_owned(), *line)).collect::<Vec<_>>()
    };
    assert_eq!(circles(&findings), [steps(&[("a.rs", 2), ("b.rs", 1), ("c.rs", 3)])]);
    let circle = findings.circles[0].to_string();
    assert!(circle.contains("a.rs:2 imports") && circle.contains("help: "), "{circle}");
}

#[test]
fn a_module_and_the_files_below_it_may_name_each_other_and_two_of_these_may_not() {
    let module = ("src/m.rs", "pub mod one;\npub mod two;\nuse self::one::One;\npub struct M(One);\n");
    let two = ("src/m/two.rs", "use super::M;\npub fn two(_: M) {}\n");
    let root = ("src/lib.rs", "pub mod m;\n");
    assert!(found(&[root, module, ("src/m/one.rs", "use super::two;\npub struct One;\n"), two]).is_empty());
    let both = ("src/m/two.rs", "use super::one::One;\npub fn two(_: One) {}\n");
    let findings =
        found(&[root, module, ("src/m/one.rs", "use crate::m::two::two;\npub struct One;\n"), both]);
    assert_eq!(circles(&findings).len(), 1);
}

#[test]
fn a_circle_that_leaves_a_module_by_the_file_above_is_found() {
    let findings = found(&[
        ("src/lib.rs", "pub mod far;\npub mod m;\n"),
        ("src/m.rs", "pub mod one;\nuse crate::far::Far;\npub struct M(Far);\n"),
        ("src/m/one.rs", "use crate::m::M;\npub struct One(M);\n"),
        ("src/far.rs", "pub fn far() { crate::m::one::go(); }\npub struct Far;\n"),
    ]);
    assert_eq!(circles(&findings).len(), 1, "m.rs -> far.rs -> m/one.rs -> m.rs");
}

#[test]
fn test_code_and_names_in_documents_are_not_imports() {
    let findings = found(&[
        ("src/lib.rs", "pub mod a;\npub mod b;\n"),
        ("src/a.rs", "use crate::b::B;\npub struct A(B);\n"),
        (
            "src/b.rs",
            "//! See [`A`](crate::a::A).\npub struct B;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n    fn t(_: A) {}\n}\n",
        ),
    ]);
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn an_import_against_the_declared_layers_is_found_and_every_module_has_a_layer() {
    let files = [
        ("src/lib.rs", "pub mod ground;\npub mod left;\npub mod right;\npub mod top;\n"),
        ("src/ground.rs", "pub struct Ground;\n"),
        ("src/left.rs", "pub mod inner;\n"),
        (
            "src/left/inner.rs",
            "use crate::ground::Ground;\nuse crate::right::Right;\npub struct I(Ground, Right);\n",
        ),
        ("src/right.rs", "pub struct Right;\n"),
        ("src/top.rs", "use crate::left::inner::I;\npub struct Top(I);\n"),
    ];
    let with = |layers: &'static str| {
        let mut all = files.to_vec();
        all.push(("layers.txt", layers));
        written(&all)
    };
    let uphill = |layers| {
        let found = look(with(layers).path()).unwrap().uphill;
        found.into_iter().map(|import| (import.from, import.to, import.line)).collect::<Vec<_>>()
    };
    assert_eq!(uphill("ground\nright # lower\nleft\ntop\n"), []);
    let beside = ("left".to_owned(), "right".to_owned(), 2);
    assert_eq!(uphill("ground\nleft right\ntop\n"), std::slice::from_ref(&beside), "none of its own line");
    let above = ("top".to_owned(), "left".to_owned(), 1);
    assert_eq!(uphill("ground\ntop\nright left\n"), [beside, above]);
    for (layers, what) in [
        ("ground\nright\nleft\n", "`top` has no layer"),
        ("ground\nright\nleft\ntop gone\n", "no module `gone`"),
        ("ground\nright\nleft\ntop left\n", "`left` is there twice"),
    ] {
        let why = look(with(layers).path()).unwrap_err().to_string();
        assert!(why.contains(what), "{why}");
    }
}

#[test]
fn a_directory_without_a_crate_and_invalid_rust_are_errors_that_name_the_file() {
    let empty = TempDir::new().unwrap();
    assert!(look(empty.path()).unwrap_err().to_string().contains("no src/lib.rs"));
    let broken = look(written(&[("src/lib.rs", "mod a;\n"), ("src/a.rs", "fn x() {\n")]).path());
    assert!(broken.unwrap_err().to_string().contains("a.rs:"));
    let missing = look(written(&[("src/lib.rs", "mod a;\n")]).path());
    assert!(missing.unwrap_err().to_string().contains("a.rs"));
}

/// The crates that a newcomer reads file by file.
#[test]
fn no_circle_is_in_the_authorizer_the_edge_files_reader_the_command_line_and_the_guard() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directories: [PathBuf; 4] =
        ["authz-service", "packages/edge-config", "tools/cutover", "wasm-filters/edge-guard"]
            .map(|directory| repository.join(directory));
    for directory in directories {
        let Findings { files, circles, uphill } = look(&directory).unwrap();
        assert!(files > 10, "{} files below {}", files, directory.display());
        let all: Vec<String> =
            circles.iter().map(ToString::to_string).chain(uphill.iter().map(ToString::to_string)).collect();
        assert!(all.is_empty(), "{}", all.join("\n"));
    }
}
