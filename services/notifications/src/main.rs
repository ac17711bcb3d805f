//! The notifications service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = kit::openapi::command(&arguments, notifications::routes::documents) {
        return code;
    }
    if let Some(code) =
        kit::migrating::command(&arguments, notifications::ABOUT, notifications::migrations::run).await
    {
        return code;
    }
    kit::startup::run_with_work(notifications::ABOUT, notifications::assemble).await
}
