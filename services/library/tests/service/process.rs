//! The real binary: its ready line, its errors, its end.

use std::net::TcpListener;

use kit::testing::{Binary, Refusal, TestHome};

use crate::app::seed;

const BINARY: Binary = Binary(env!("CARGO_BIN_EXE_library"));

#[test]
fn it_starts_on_any_port_and_stops_on_sigterm() {
    let home = TestHome::new();
    BINARY.assert_starts_and_stops(&[
        ("LIBRARY_ADDRESS", "127.0.0.1:0"),
        ("CUTOVER_HOME", home.path().to_str().unwrap()),
        ("LIBRARY_SEED", seed().to_str().unwrap()),
    ]);
}

#[test]
fn errors_name_the_fault_and_the_fix() {
    let home = TestHome::new();
    let home_path = home.path().to_str().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let empty = tempfile::tempdir().unwrap();
    let empty_path = empty.path().to_str().unwrap();
    let not_yaml = empty.path().join("seed.yaml");
    std::fs::write(&not_yaml, "books:\n  - {id: 1}\n").unwrap();
    let cases: [Refusal<'_>; 4] = [
        (
            &[("CUTOVER_HOME", home_path), ("LIBRARY_ADDRESS", &taken)],
            1,
            &[&taken, "in use", "LIBRARY_ADDRESS"],
        ),
        (&[("CUTOVER_HOME", empty_path)], 64, &["keys/identity.jwks.json", "cutover keys"]),
        (
            &[("LIBRARY_ADDRESS", "localhost"), ("RUST_LOG", "a=b=c")],
            64,
            &["LIBRARY_ADDRESS=\"localhost\"", "RUST_LOG=\"a=b=c\""],
        ),
        (
            &[("CUTOVER_HOME", home_path), ("LIBRARY_SEED", not_yaml.to_str().unwrap())],
            64,
            &["seed.yaml", "\"title\" is required"],
        ),
    ];
    BINARY.assert_refuses(&cases);
}

#[test]
fn help_lists_every_variable() {
    BINARY.assert_help_lists(library::ABOUT.variables);
}
