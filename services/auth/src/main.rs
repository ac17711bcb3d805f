//! The auth service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    kit::startup::run(auth::ABOUT, auth::assemble).await
}
