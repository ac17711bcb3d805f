//! The skeleton service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = kit::openapi::command(&arguments, skeleton::routes::documents) {
        return code;
    }
    let migrate = kit::migrating::command(&arguments, skeleton::ABOUT, skeleton::migrations::run);
    if let Some(code) = migrate.await {
        return code;
    }
    kit::startup::run(skeleton::ABOUT, skeleton::assemble).await
}
