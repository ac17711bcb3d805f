//! Finds the compiled parts, or fails with the command that builds them.

use std::path::{Path, PathBuf};

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// A compiled program of this workspace.
///
/// # Panics
/// When it is not compiled.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    // A test runs from <target>/<profile>/deps/, an example from examples/ beside it, and the programs are beside
    // those directories; another program
    // of this workspace has them beside itself.
    let this = std::env::current_exe().expect("a program knows its own path");
    let inside = |p: &&Path| p.ends_with("deps") || p.ends_with("examples");
    let profile = this.ancestors().find(inside).unwrap_or(&this).parent();
    let path = profile.expect("a program is in a directory").join(name);
    present(path, "`make test` builds the programs before it runs the tests")
}

/// The compiled guard, in the tested form.
///
/// # Panics
/// When it is not compiled.
#[must_use]
pub fn guard() -> PathBuf {
    std::env::var_os("CUTOVER_GUARD").map_or_else(wasm_guard, |path| {
        present(PathBuf::from(path), "`make wasm` compiles the guard, or `make native`")
    })
}

/// Whether the tested guard is a dynamic module.
#[must_use]
pub fn guard_is_native() -> bool {
    guard().extension().is_some_and(|ending| ending == "so")
}

/// The guard as a proxy-wasm module, whichever form is tested.
///
/// # Panics
/// When it is not compiled.
#[must_use]
pub fn wasm_guard() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    present(target.join("wasm32-wasip1/wasm/edge_guard.wasm"), "`make wasm` compiles the guard")
}

/// The guard as a dynamic module of profile `fast`, which the benchmark measures.
///
/// # Panics
/// When it is not compiled.
#[must_use]
pub fn native_guard() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    present(target.join("fast/libedge_guard.so"), "`make native` compiles it")
}

/// The Envoy to test with: `ENVOY`, or the one that `make setup` installs.
///
/// # Panics
/// When it is missing.
#[must_use]
pub fn envoy() -> PathBuf {
    let path = std::env::var_os("ENVOY").map_or_else(|| venv().join("bin/envoy"), PathBuf::from);
    present(path, "`make setup` installs Envoy, or set ENVOY to one")
}

/// The Python environment that `make setup` makes.
#[must_use]
pub fn venv() -> PathBuf {
    std::env::var_os("CUTOVER_VENV").map_or_else(|| repository().join(".tools/venv"), PathBuf::from)
}

/// The Python environment of the applications in `contracts/apps`: `CUTOVER_APPS`, or the one that `make setup` makes.
#[must_use]
pub fn apps() -> PathBuf {
    std::env::var_os("CUTOVER_APPS").map_or_else(|| repository().join(".tools/apps"), PathBuf::from)
}

pub(crate) fn present(path: PathBuf, fix: &str) -> PathBuf {
    assert!(path.exists(), "{} does not exist: {fix}", path.display());
    path
}
