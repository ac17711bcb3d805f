//! Where the parts are, and what to do when one is not there.

use std::path::{Path, PathBuf};

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// A compiled program of this workspace.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    // A test runs from <target>/<profile>/deps/, and the programs are beside that directory; another program
    // of this workspace has them beside itself.
    let this = std::env::current_exe().expect("a program knows its own path");
    let profile = this.ancestors().find(|p| p.ends_with("deps")).unwrap_or(&this).parent();
    let path = profile.expect("a program is in a directory").join(name);
    present(path, "`make test` builds the programs before it runs the tests")
}

/// The compiled guard.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn guard() -> PathBuf {
    let path = std::env::var_os("CUTOVER_GUARD").map(PathBuf::from).unwrap_or_else(|| {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
        target.join("wasm32-wasip1/wasm/edge_guard.wasm")
    });
    present(path, "`make wasm` compiles the guard")
}

/// The Envoy to test with: `ENVOY`, or the one that `make setup` installs.
///
/// # Panics
/// When there is none.
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

pub(crate) fn present(path: PathBuf, mend: &str) -> PathBuf {
    assert!(path.exists(), "{} is not there: {mend}", path.display());
    path
}
