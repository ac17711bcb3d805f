//! A first edge file: `cutover init` and `cutover import` as their users see them.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};

/// Exit code, standard output and standard error of `cutover` in a directory, without a terminal.
fn cutover(place: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(arguments)
        .current_dir(place)
        .env_remove("CUTOVER_HOME")
        .env_remove("EDGE_ADDRESS")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const FLAGS: [&str; 6] =
    ["--backend", "shop.internal:3000", "--issuer", "https://login.example.com", "--audience", "shop-api"];

#[test]
fn init_writes_a_file_that_lints_clean_and_never_writes_over_one() {
    let place = tempfile::tempdir().unwrap();
    let (code, said, complaints) = cutover(
        place.path(),
        &[&["init", "--name", "shop", "--host", "api.example.com"], &FLAGS[..]].concat(),
    );
    assert_eq!(code, 0, "{complaints}");
    assert!(said.contains("edge.yaml") && said.contains("`cutover run edge.yaml`"), "{said}");
    let text = std::fs::read_to_string(place.path().join("edge.yaml")).unwrap();
    assert!(text.starts_with("# yaml-language-server: $schema=./edge.schema.json\n"), "{text}");
    assert!(place.path().join("edge.schema.json").exists());
    assert_eq!(cutover(place.path(), &["lint", "--deny-warnings", "edge.yaml"]).0, 0);
    let edge = edge_config::load(&place.path().join("edge.yaml"), &|_| None).unwrap();
    assert_eq!(
        (edge.name.as_str(), edge.hosts["api"].names.as_slice()),
        ("shop", &["api.example.com".to_owned()][..])
    );
    assert_eq!(edge.sessions.unwrap().issuers[0].audiences, ["shop-api"]);

    let (code, _, complaints) = cutover(place.path(), &[&["init"], &FLAGS[..]].concat());
    assert_eq!(code, 1);
    assert!(complaints.contains("edge.yaml exists and stays as it is"), "{complaints}");
    assert_eq!(std::fs::read_to_string(place.path().join("edge.yaml")).unwrap(), text);
}

/// Where `init` has written a file, a command that names none takes it, and a message never names a file of the repository.
#[test]
fn a_command_without_a_file_takes_the_one_that_init_wrote() {
    let place = tempfile::tempdir().unwrap();
    let (code, _, complaints) = cutover(place.path(), &["status"]);
    assert!(code == 64 && complaints.contains("`cutover init` writes a first one"), "{complaints}");
    assert_eq!(cutover(place.path(), &["init", "--backend", "127.0.0.1:3000"]).0, 0);
    // The file was read: what is missing now is a running edge.
    let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .arg("status")
        .current_dir(place.path())
        .env("ENVOY_ADMIN_ADDRESS", "127.0.0.1:1")
        .output()
        .unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(complaints.contains("Envoy at 127.0.0.1:1 does not answer"), "{complaints}");
}

#[test]
fn init_without_an_identity_provider_lets_nothing_be_changed() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(cutover(place.path(), &["init", "open.yaml", "--backend", "127.0.0.1:3000"]).0, 0);
    assert_eq!(cutover(place.path(), &["lint", "--deny-warnings", "open.yaml"]).0, 0);
    let edge = edge_config::load(&place.path().join("open.yaml"), &|_| None).unwrap();
    assert_eq!(edge.routes[0].methods, ["GET", "HEAD"]);
}

#[test]
fn init_says_which_flag_or_value_is_wrong_and_writes_nothing() {
    let place = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["init"][..], "--backend HOST:PORT"),
        (&["init", "--backend", "127.0.0.1:3000", "--issuer", "https://login.example.com"], "--audience"),
        (&["init", "--backend", "nonsense"], "write a host and a port"),
        (&["init", "--backend", "127.0.0.1:3000", "--listen", "8080"], "write an address with a port"),
        (&["init", "--backend", "127.0.0.1:3000", "--name", "My Shop"], "lower-case letters"),
        (&["init", "--backend", "127.0.0.1:3000", "--host", "API.example.com"], "lower-case host name"),
    ] {
        let (code, _, complaints) = cutover(place.path(), arguments);
        assert!(code == 2 && complaints.contains(expected), "{arguments:?}: {code}: {complaints}");
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn import_says_what_it_could_not_translate_with_line_and_mend() {
    let place = tempfile::tempdir().unwrap();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    for (form, file) in [("nginx", "nginx.conf"), ("openapi", "openapi.yaml"), ("kong", "kong.yml")] {
        let file = files.join(file).display().to_string();
        let to = format!("{form}.yaml");
        let (code, said, complaints) = cutover(place.path(), &["import", form, &file, "--out", &to]);
        assert_eq!(code, 0, "{complaints}");
        assert!(said.starts_with(&to), "{said}");
        assert!(complaints.contains("help | ") && complaints.contains("not translated"), "{complaints}");
        let (code, _, complaints) = cutover(place.path(), &["lint", &to]);
        assert_eq!(code, 0, "{complaints}");
        // The certificates that nginx names are not on this machine.
        let missing = complaints.lines().filter(|line| line.contains("warning: "));
        assert!(missing.clone().all(|line| line.contains("does not exist yet")), "{complaints}");
        assert_eq!(missing.count(), if form == "nginx" { 2 } else { 0 }, "{complaints}");
        let (code, _, complaints) = cutover(place.path(), &["import", form, &file, "--out", &to]);
        assert!(code == 1 && complaints.contains("never overwritten"), "{complaints}");

        let (code, said, _) = cutover(place.path(), &["import", form, &file, "--json"]);
        let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(code, 0);
        let written = std::fs::read_to_string(place.path().join(&to)).unwrap();
        assert_eq!(answer["edge"], written);
        let notes = answer["not_translated"].as_array().unwrap();
        assert!(!notes.is_empty());
        for note in notes {
            assert!(note["line"].as_u64().is_some_and(|line| line > 0) && note["mend"].is_string(), "{note}");
        }
    }
    let (code, said, complaints) = cutover(place.path(), &["import", "kong", "/nowhere.yml"]);
    assert!(code == 1 && said.is_empty() && complaints.contains("/nowhere.yml"), "{complaints}");
}
