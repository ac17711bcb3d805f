//! Generates the Rust of the schemas. The compiler of the schemas is a crate (`protox`), so that no machine needs `protoc`.

use std::error::Error;

/// Every schema.
const SCHEMAS: [&str; 3] = [
    "cutover/catalogue/v1/catalogue.proto",
    "cutover/tenants/v1/tenants.proto",
    "cutover/users/v1/users.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=schema");
    tonic_prost_build::configure().compile_fds(protox::compile(SCHEMAS, ["schema"])?)?;
    Ok(())
}
