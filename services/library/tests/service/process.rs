//! The real binary: its ready line, its errors, its end.

use kit::testing::{Binary, TestHome};

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
    BINARY.assert_refuses_as_every_service("LIBRARY", "books:\n  - {id: 1}\n", "\"title\" is required");
}

#[test]
fn help_lists_every_variable() {
    BINARY.assert_help_lists(library::ABOUT.variables);
}
