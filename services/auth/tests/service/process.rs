//! The real binary: its ready line, its errors, its end, and the secrets that it never prints.

use std::net::TcpListener;
use std::process::Command;

use kit::testing::{Binary, Refusal, TestHome};

const BINARY: Binary = Binary(env!("CARGO_BIN_EXE_auth"));

#[test]
fn it_starts_on_any_port_and_stops_on_sigterm() {
    let home = TestHome::new();
    let environment = [("AUTH_ADDRESS", "127.0.0.1:0"), ("CUTOVER_HOME", home.path().to_str().unwrap())];
    BINARY.assert_starts_and_stops(&environment);
    assert!(
        home.path().join("sessions/revoked.jsonl").exists(),
        "the edge has a file to follow from the start"
    );
}

/// Returns the permissions of `path` below the home.
fn mode(home: &TestHome, path: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777
}

#[test]
fn its_files_are_for_its_user_alone() {
    let home = TestHome::new();
    // A directory that an earlier version left open.
    std::fs::create_dir(home.path().join("db")).unwrap();
    std::fs::set_permissions(home.path().join("db"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let environment = [("AUTH_ADDRESS", "127.0.0.1:0"), ("CUTOVER_HOME", home.path().to_str().unwrap())];
    let running = BINARY.start(&environment);
    for (path, expected) in
        [("db", 0o700), ("db/auth.sqlite", 0o600), ("sessions", 0o700), ("sessions/revoked.jsonl", 0o600)]
    {
        assert_eq!(mode(&home, path), expected, "{path}");
    }
    assert_eq!(running.terminate().0.code(), Some(0));
}

#[test]
fn a_private_key_that_others_can_read_is_refused() {
    for name in ["session.pem", "auth.pem"] {
        let home = TestHome::new();
        std::fs::set_permissions(home.key(name), std::os::unix::fs::PermissionsExt::from_mode(0o640))
            .unwrap();
        let output = Command::new(BINARY.0).env_clear().env("CUTOVER_HOME", home.path()).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{complaint}");
        assert!(complaint.contains(name) && complaint.contains("chmod 600"), "{complaint}");
    }
}

#[test]
fn errors_name_the_fault_and_the_fix() {
    let home = TestHome::new();
    let home_path = home.path().to_str().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let mixed = TestHome::new();
    std::fs::copy(TestHome::new().key("session.jwks.json"), mixed.key("session.jwks.json")).unwrap();
    let keyless = TestHome::new();
    secret_file::write(&keyless.key("session.pem"), b"-----BEGIN SECRET").unwrap();
    let cases: [Refusal<'_>; 7] = [
        (&[("CUTOVER_HOME", home_path), ("AUTH_ADDRESS", &taken)], 1, &[&taken, "in use", "AUTH_ADDRESS"]),
        (&[("CUTOVER_HOME", mixed.path().to_str().unwrap())], 64, &["session.jwks.json", "session.pem"]),
        (&[("CUTOVER_HOME", keyless.path().to_str().unwrap())], 64, &["session.pem", "cutover keys"]),
        (
            &[
                ("AUTH_ADDRESS", "x"),
                ("ROOT_DOMAIN", "a; Secure"),
                ("SERVICE_EDGE_URL", "127.0.0.1:1"),
                ("SESSION_MAX_DAYS", "6"),
                ("SESSION_REFRESH_BURST", "0"),
                ("SESSIONS_PER_PERSON", "1001"),
                ("CODES_PER_HOUR", "many"),
            ],
            64,
            &[
                "SESSION_MAX_DAYS=\"6\"",
                "from 7 to 3650",
                "SESSION_REFRESH_BURST=\"0\"",
                "SESSIONS_PER_PERSON=\"1001\"",
                "CODES_PER_HOUR=\"many\"",
                "from 5 to 150",
                "AUTH_ADDRESS=\"x\"",
                "ROOT_DOMAIN=\"a; Secure\"",
                "SERVICE_EDGE_URL=\"127.0.0.1:1\"",
            ],
        ),
        (
            &[
                ("AUTH_SURFACE", "old"),
                ("AUTH_COOKIES", "new"),
                ("LEGACY_TIMEOUT_MS", "5"),
                ("LEGACY_SESSIONS_REDIS", "redis://:hunter2@127.0.0.1:1/"),
                ("LEGACY_AUTH_URL", "http://127.0.0.1:1"),
            ],
            64,
            &[
                "AUTH_SURFACE=\"old\"",
                "AUTH_COOKIES=\"new\"",
                "`older`",
                "LEGACY_TIMEOUT_MS=\"5\"",
                "unset LEGACY_SESSIONS_REDIS",
            ],
        ),
        (
            &[("CUTOVER_HOME", home_path), ("LEGACY_SESSIONS_REDIS", "127.0.0.1;hunter2")],
            64,
            &["LEGACY_SESSIONS_REDIS"],
        ),
        (
            &[("CUTOVER_HOME", home_path), ("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x")],
            1,
            &["DATABASE_URL"],
        ),
    ];
    for complaint in BINARY.assert_refuses(&cases) {
        assert!(!complaint.contains("hunter2") && !complaint.contains("BEGIN SECRET"), "{complaint}");
    }
}
