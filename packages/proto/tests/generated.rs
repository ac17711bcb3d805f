//! The Rust that is checked in is what the schemas say.

use std::path::Path;

/// Every service that has a schema.
const SERVICES: [&str; 3] = ["library", "tenants", "users"];

#[test]
fn the_generated_rust_matches_the_schemas() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = SERVICES.map(|name| format!("cutover/{name}/v1/{name}.proto"));
    let schemas = protox::compile(files, [root.join("schema")]).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    tonic_prost_build::configure().out_dir(fresh.path()).compile_fds(schemas).unwrap();
    for service in SERVICES {
        let name = format!("cutover.{service}.v1.rs");
        let checked_in = root.join("src/generated").join(&name);
        let fresh = std::fs::read_to_string(fresh.path().join(&name)).unwrap();
        if std::env::var_os("PROTO_WRITE").is_some() {
            std::fs::write(&checked_in, &fresh).unwrap();
        }
        let old = std::fs::read_to_string(&checked_in).unwrap();
        let mend = "PROTO_WRITE=1 cargo test -p proto";
        assert!(old == fresh, "{} is not what its schema says: {mend}", checked_in.display());
    }
}
