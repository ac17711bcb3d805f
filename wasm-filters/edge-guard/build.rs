//! Says which callbacks the module exports when it is compiled to WebAssembly; `tools/wasm-linker` reads it.

use header_rules::config::CALLBACKS;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Set by Cargo for every build script; a dynamic module exports its hooks by another way.
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        for callback in CALLBACKS {
            println!("cargo::rustc-link-arg-cdylib=--only-export={callback}");
        }
    }
}
