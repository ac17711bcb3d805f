//! The real binary: its ready line, its errors, its end.

use kit::testing::{Binary, TestHome};

const BINARY: Binary = Binary(env!("CARGO_BIN_EXE_image"));

#[test]
fn it_starts_on_any_port_and_stops_on_sigterm() {
    let home = TestHome::new();
    BINARY.assert_starts_and_stops(&[
        ("IMAGE_ADDRESS", "127.0.0.1:0"),
        ("CUTOVER_HOME", home.path().to_str().unwrap()),
        ("IMAGE_STUB", "dev"),
    ]);
}

#[test]
fn help_lists_every_variable() {
    BINARY.assert_help_lists(image_service::ABOUT.variables);
}

#[test]
fn errors_name_the_fault_and_the_fix() {
    let home = TestHome::new();
    let home = home.path().to_str().unwrap();
    let file = format!("{home}/keys/identity.pem");
    let absent = format!("{home}/absent");
    BINARY.assert_refuses(&[
        (
            &[("CUTOVER_HOME", home)],
            64,
            &["IMAGE_ROOT, IMAGE_STUB: neither is set", "set IMAGE_ROOT to the directory"],
        ),
        (&[("CUTOVER_HOME", home), ("IMAGE_ROOT", home), ("IMAGE_STUB", "x")], 64, &["both are set"]),
        (&[("CUTOVER_HOME", home), ("IMAGE_ROOT", &absent)], 64, &[&absent, "IMAGE_ROOT", "create it"]),
        (&[("CUTOVER_HOME", home), ("IMAGE_STUB", "x"), ("IMAGE_CACHE", &file)], 64, &[&file, "IMAGE_CACHE"]),
        (
            &[
                ("CUTOVER_HOME", home),
                ("IMAGE_STUB", "x"),
                ("IMAGE_CACHE_MIB", "0"),
                ("IMAGE_ADDRESS", "localhost"),
            ],
            64,
            &["IMAGE_CACHE_MIB=\"0\"", "1 to 65536", "IMAGE_ADDRESS=\"localhost\""],
        ),
        (&[("CUTOVER_HOME", &absent), ("IMAGE_STUB", "x")], 64, &["keys/identity.jwks.json", "cutover keys"]),
    ]);
}
