//! The real binary: its ready line, its errors, its end.

use kit::testing::{Binary, Refusal, TestHome};

use crate::app::seed;

const BINARY: Binary = Binary(env!("CARGO_BIN_EXE_users"));

#[test]
fn it_starts_on_any_port_and_stops_on_sigterm() {
    let home = TestHome::new();
    BINARY.assert_starts_and_stops(&[
        ("USERS_ADDRESS", "127.0.0.1:0"),
        ("CUTOVER_HOME", home.path().to_str().unwrap()),
        ("USERS_SEED", seed().to_str().unwrap()),
    ]);
}

#[test]
fn errors_name_the_fault_and_the_fix() {
    BINARY.assert_refuses_as_every_service("USERS", "people:\n  - {id: 1}\n", "line 2");
    let home = TestHome::new();
    let listing = "tenants: [{ id: 00000000-0000-7000-8000-000000000001, name: One, status: active }]";
    std::fs::write(home.path().join("tenants.yaml"), listing).unwrap();
    let unknown = "*=00000000-0000-7000-8000-0000000000ee";
    let cases: [Refusal<'_>; 2] = [
        (
            &[("CUTOVER_HOME", home.path().to_str().unwrap()), ("USERS_TENANT_RULE", unknown)],
            64,
            &["USERS_TENANT_RULE", "00000000-0000-7000-8000-0000000000ee", "tenants.yaml"],
        ),
        (
            &[("USERS_SURFACE", "old"), ("USERS_TENANT_RULE", "example.com")],
            64,
            &["USERS_SURFACE=\"old\"", "`older`", "USERS_TENANT_RULE=\"example.com\"", "DOMAIN=TENANT"],
        ),
    ];
    BINARY.assert_refuses(&cases);
}

#[test]
fn help_lists_every_variable() {
    BINARY.assert_help_lists(users::ABOUT.variables);
}
