//! The library service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    kit::startup::run(library::ABOUT, library::assemble).await
}
