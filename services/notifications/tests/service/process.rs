//! The real binary: its ready line, its errors, its end.

use kit::testing::{Binary, TestHome};

pub(crate) const BINARY: Binary = Binary(env!("CARGO_BIN_EXE_notifications"));

#[test]
fn it_starts_on_any_port_and_stops_on_sigterm() {
    let home = TestHome::new();
    BINARY.assert_starts_and_stops(&[
        ("NOTIFICATIONS_ADDRESS", "127.0.0.1:0"),
        ("CUTOVER_HOME", home.path().to_str().unwrap()),
    ]);
}

#[test]
fn errors_name_the_fault_and_the_fix_and_no_secret() {
    let home = TestHome::new();
    let file = home.path().join("account.json");
    secret_file::write(&file, b"hunter2").unwrap();
    let (home, file) = (home.path().to_str().unwrap(), file.to_str().unwrap());
    let letters = [("CUTOVER_HOME", home), ("SES_FROM", "a@example.com")];
    let errors = BINARY.assert_refuses(&[
        (&[("CUTOVER_HOME", home), ("FCM_ACCOUNT", file)], 64, &["account.json", "service account"]),
        (&[("CUTOVER_HOME", home), ("FCM_URL", "http://example.com")], 64, &["FCM_URL", "https"]),
        (&[("CUTOVER_HOME", home), ("AMQP_URL", "amqp://u:hunter2@h,,")], 64, &["AMQP_URL", "HOST:5672"]),
        (&[("CUTOVER_HOME", home), ("EVENTS_PREFIX", "A B")], 64, &["EVENTS_PREFIX=\"A B\"", "63"]),
        (
            &[("CUTOVER_HOME", home), ("AMQP_CONSUMERS", "users,shop")],
            64,
            &["AMQP_CONSUMERS", "shop", "notifications"],
        ),
        (&letters, 64, &["SES_KEY is not set", "SES_REGION is not set"]),
        (
            &[letters[0], letters[1], ("SES_KEY", file), ("SES_REGION", "eu-central-1")],
            64,
            &["account.json", "second"],
        ),
    ]);
    assert!(errors.iter().all(|error| !error.contains("hunter2")), "{errors:?}");
}

#[test]
fn help_lists_every_variable() {
    BINARY.assert_help_lists(notifications::ABOUT.variables);
}
