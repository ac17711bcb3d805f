//! The users service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    kit::startup::run(users::ABOUT, users::assemble).await
}
