//! The directory that a run writes to, and the programs it starts that this command does not build.

use std::path::PathBuf;

use clap::Args;

/// The directory that a run writes to.
#[derive(Clone, Debug, Args)]
pub struct Home {
    /// The directory for everything that a run writes: keys, databases, rendered configuration, logs, mail.
    #[arg(long, env = "CUTOVER_HOME", default_value = ".run", value_name = "DIRECTORY")]
    pub home: PathBuf,
}

/// Programs that this command does not build.
#[derive(Clone, Debug, Args)]
pub struct Programs {
    /// The compiled guard: WebAssembly (`make wasm`) or a native Envoy module (`make native`).
    #[arg(
        long,
        env = "CUTOVER_GUARD",
        default_value = "target/wasm32-wasip1/wasm/edge_guard.wasm",
        value_name = "FILE"
    )]
    pub guard: PathBuf,
    /// The Envoy program to run.
    #[arg(long, env = "ENVOY", default_value = ".tools/venv/bin/envoy", value_name = "PROGRAM")]
    pub envoy: PathBuf,
}
