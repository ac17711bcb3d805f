//! The `db-migrate` program: arguments, signals, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use db_migrate::cli::{self, Arguments};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    // A dump holds everything that the database holds.
    secret_file::restrict_new_files();
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("db-migrate: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(live(arguments));
    // After a signal a comparison may be in the middle of a file, and nothing waits for it.
    runtime.shutdown_background();
    code
}

async fn live(arguments: Arguments) -> ExitCode {
    let signals = signal(SignalKind::terminate()).and_then(|end| Ok((end, signal(SignalKind::interrupt())?)));
    let (mut terminate, mut interrupt) = match signals {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("db-migrate: cannot wait for signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Box::pin(cli::run(arguments, stop)).await
}
