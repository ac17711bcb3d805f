//! Files of other programs with TLS: what `cutover import` makes of them lints without a warning, and Envoy accepts it.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};

use harness::authority::Authority;

/// Exit code and both outputs of `cutover` in a directory.
fn cutover(place: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(arguments)
        .current_dir(place)
        .env("CUTOVER_HOME", place.join("home"))
        .env("CUTOVER_GUARD", harness::guard())
        .env("ENVOY", harness::envoy())
        .env_remove("EDGE_ADDRESS")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

#[test]
fn an_imported_file_with_tls_lints_clean_and_envoy_accepts_it() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    for (form, file) in
        [("nginx", "nginx-tls.conf"), ("kong", "kong-tls.yml"), ("openapi", "openapi-tls.yaml")]
    {
        let place = tempfile::tempdir().unwrap();
        let certs = place.path().join("certs");
        std::fs::create_dir(&certs).unwrap();
        let authority = Authority::new();
        // What nginx has in files, and what Kong's file says to write there.
        for (name, host) in [
            ("api", "api.example.com"),
            ("shop", "shop.example.com"),
            ("edge", "edge.internal"),
            ("api-example-com", "api.example.com"),
            ("22222222-2222-4222-8222-222222222222", "edge.internal"),
        ] {
            authority.issue(&certs, name, host);
        }
        authority.write(&certs.join("ca.pem"));
        authority.write(&certs.join("orders-ca.pem"));

        let from = files.join(file).display().to_string();
        let (code, said) = cutover(place.path(), &["import", form, &from, "--out", "edge.yaml"]);
        assert!(code == 0 && said.contains("help | "), "{said}");
        let (code, said) = cutover(place.path(), &["lint", "--deny-warnings", "edge.yaml"]);
        assert_eq!(code, 0, "{form}: {said}");
        let (code, said) = cutover(place.path(), &["keys"]);
        assert_eq!(code, 0, "{form}: {said}");
        let (code, said) = cutover(place.path(), &["render", "edge.yaml", "--validate"]);
        assert_eq!(code, 0, "{form}: {said}");
    }
}
