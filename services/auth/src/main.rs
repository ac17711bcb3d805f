//! The auth service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = kit::openapi::command(&arguments, auth::routes::documents) {
        return code;
    }
    if let Some(code) = kit::migrating::command(&arguments, auth::ABOUT, auth::migrations::run).await {
        return code;
    }
    kit::startup::run(auth::ABOUT, auth::assemble).await
}
