//! The library service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = kit::openapi::command(&arguments, library::routes::documents) {
        return code;
    }
    if let Some(code) = kit::migrating::command(&arguments, library::ABOUT, library::migrations::run).await {
        return code;
    }
    kit::startup::run_with_work(library::ABOUT, library::assemble).await
}
