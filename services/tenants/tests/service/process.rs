//! The real binary: its ready line, its errors, its end.

use kit::testing::{Binary, TestHome};

pub(crate) const BINARY: Binary = Binary(env!("CARGO_BIN_EXE_tenants"));

#[test]
fn it_starts_on_any_port_and_stops_on_sigterm() {
    let home = TestHome::new();
    BINARY.assert_starts_and_stops(&[
        ("TENANTS_ADDRESS", "127.0.0.1:0"),
        ("TENANTS_GRPC_ADDRESS", "127.0.0.1:0"),
        ("CUTOVER_HOME", home.path().to_str().unwrap()),
    ]);
}

#[test]
fn help_lists_every_variable() {
    BINARY.assert_help_lists(tenants::ABOUT.variables);
}

#[test]
fn errors_name_the_fault_and_the_fix_and_no_password() {
    let home = TestHome::new();
    let home = home.path().to_str().unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let absent = format!("{home}/absent");
    let errors = BINARY.assert_refuses(&[
        (
            &[("CUTOVER_HOME", home), ("TENANTS_GRPC_ADDRESS", &taken), ("TENANTS_ADDRESS", "127.0.0.1:0")],
            1,
            &[&taken, "in use", "TENANTS_GRPC_ADDRESS"],
        ),
        (&[("CUTOVER_HOME", &absent)], 64, &["keys/identity.jwks.json", "cutover keys"]),
        (
            &[
                ("CUTOVER_HOME", home),
                ("TENANTS_MANAGERS", "Admin"),
                ("TENANTS_PARTICIPANTS", "users,users"),
                ("SERVICE_EDGE_URL", "edge"),
                ("REDIS_URL", "redis://:hunter2@"),
                ("AMQP_URL", "http://bob:hunter2@there"),
                ("EVENTS_PREFIX", "A b"),
            ],
            64,
            &[
                "TENANTS_MANAGERS=\"Admin\"",
                "users is listed twice",
                "SERVICE_EDGE_URL=\"edge\"",
                "REDIS_URL is not valid",
                "AMQP_URL is not valid",
                "EVENTS_PREFIX=\"A b\"",
            ],
        ),
    ]);
    assert!(errors.iter().all(|error| !error.contains("hunter2")), "{errors:?}");
}
