//! The directory that a run writes to, and the programs it starts that this command does not build.

use std::path::{Path, PathBuf};

use clap::Args;
use edge_config::DEFAULT_HOME;

/// The directory that a run writes to.
#[derive(Clone, Debug, Args)]
pub struct Home {
    /// The directory for everything that a run writes: keys, databases, rendered configuration, logs, mail.
    #[arg(long, env = "CUTOVER_HOME", default_value = DEFAULT_HOME, value_name = "DIRECTORY")]
    pub home: PathBuf,
}

/// The edge file of a command that names none: `edge.yaml` where `cutover init` wrote one, else the development edge of this
/// repository.
#[must_use]
pub fn usual_edge_file() -> &'static str {
    if Path::new("edge.yaml").exists() { "edge.yaml" } else { "envoy/edges/dev.yaml" }
}

/// The Python environment that `make setup` makes.
pub const DEFAULT_VENV: &str = ".tools/venv";

/// Programs that this command does not build.
#[derive(Clone, Debug, Args)]
pub struct Programs {
    /// The compiled guard: WebAssembly (`make wasm`) or a native Envoy module (`make native`). [default: the one beside this
    /// program (../lib/edge_guard.wasm), or target/wasm32-wasip1/wasm/edge_guard.wasm]
    #[arg(long, env = "CUTOVER_GUARD", value_name = "FILE")]
    guard: Option<PathBuf>,
    /// The Envoy program to run. [default: the one beside this program, in the Python environment, or in PATH]
    #[arg(long, env = "ENVOY", value_name = "PROGRAM")]
    envoy: Option<PathBuf>,
}

/// The guard that `make wasm` compiles.
const BUILT_GUARD: &str = "target/wasm32-wasip1/wasm/edge_guard.wasm";

impl Programs {
    /// The guard: the given one, or the one of the release with this program, or the one that the repository builds.
    #[must_use]
    pub fn guard(&self) -> PathBuf {
        let released = || beside().map(|bin| bin.join("../lib/edge_guard.wasm")).filter(|path| path.exists());
        self.guard.clone().or_else(released).unwrap_or_else(|| PathBuf::from(BUILT_GUARD))
    }

    /// Envoy: the given one, or the one of the release with this program, or that in the Python environment `venv`, or that in
    /// `PATH`. A name without a directory is looked up in `PATH`.
    #[must_use]
    pub fn envoy(&self, venv: &Path) -> PathBuf {
        let places = beside().into_iter().chain([venv.join("bin")]);
        let found = || places.map(|directory| directory.join("envoy")).find(|path| path.exists());
        self.envoy.clone().or_else(found).unwrap_or_else(|| PathBuf::from("envoy"))
    }
}

/// The directory of this program.
fn beside() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.to_owned())
}
