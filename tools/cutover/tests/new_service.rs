//! `cutover new-service` as its users see it. That what it writes compiles and works is tested by the crate `skeleton`, of which
//! it is a copy.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A checkout, as far as the command looks at it.
fn checkout() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    fs::copy(manifest, place.path().join("Cargo.toml")).unwrap();
    place
}

/// Exit code, standard output and standard error of `cutover new-service`.
fn new_service(place: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    let output = command.arg("new-service").args(arguments).current_dir(place).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn files(directory: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(path) } else { vec![path] }).collect()
}

#[test]
fn a_new_service_is_the_skeleton_under_another_name() {
    let place = checkout();
    let (code, said, complaints) = new_service(place.path(), &["reviews", "--port", "3055"]);
    assert_eq!(code, 0, "{complaints}");
    for text in ["cargo test -p reviews", "${REVIEWS_ADDRESS:-127.0.0.1:3055}", "prefix: /reviews"] {
        assert!(said.contains(text), "{text:?} is missing in: {said}");
    }
    let skeleton = Path::new(env!("CARGO_MANIFEST_DIR")).join("skeleton");
    let service = place.path().join("services/reviews");
    let written = files(service.clone());
    assert_eq!(written.len(), files(skeleton.clone()).len());
    for path in written {
        let model = fs::read_to_string(skeleton.join(path.strip_prefix(&service).unwrap())).unwrap();
        let model =
            model.replace("skeleton", "reviews").replace("SKELETON", "REVIEWS").replace("3040", "3055");
        assert_eq!(fs::read_to_string(&path).unwrap(), model, "{}", path.display());
    }
    let manifest = fs::read_to_string(place.path().join("Cargo.toml")).unwrap();
    assert_eq!(manifest.matches("    \"services/reviews\",\n").count(), 2, "members and default-members");
}

#[test]
fn what_cannot_be_a_service_is_refused_and_nothing_is_written() {
    let place = checkout();
    let before = fs::read_to_string(place.path().join("Cargo.toml")).unwrap();
    let (long, elsewhere) = ("a".repeat(33), tempfile::tempdir().unwrap());
    for (name, text) in [
        ("Reviews", "`Reviews` cannot be"),
        ("my-reviews", "`my-reviews` cannot be"),
        ("../x", "`../x` cannot be"),
        ("9lives", "`9lives` cannot be"),
        ("a", "`a` cannot be"),
        (&long, "small letters and digits"),
        ("match", "a word of Rust"),
        ("skeleton", "another name"),
        ("users", "Cargo.toml has the package `users`"),
        ("tokio", "Cargo.toml has the package `tokio`"),
    ] {
        let (code, _, complaints) = new_service(place.path(), &[name]);
        assert!(code == 2 && complaints.contains(text), "{name}: {code} {complaints}");
    }
    fs::create_dir_all(place.path().join("services/reviews")).unwrap();
    let (code, _, complaints) = new_service(place.path(), &["reviews"]);
    assert!(code == 1 && complaints.contains("services/reviews exists and stays as it is"), "{complaints}");
    let (code, _, complaints) = new_service(elsewhere.path(), &["reviews"]);
    assert!(code == 2 && complaints.contains("name its checkout with --into"), "{complaints}");
    assert_eq!(fs::read_to_string(place.path().join("Cargo.toml")).unwrap(), before);
    assert!(files(place.path().join("services")).is_empty());
}
