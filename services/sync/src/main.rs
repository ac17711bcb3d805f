//! The sync service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = kit::openapi::command(&arguments, sync_service::routes::documents) {
        return code;
    }
    if let Some(code) =
        kit::migrating::command(&arguments, sync_service::ABOUT, sync_service::migrations::run).await
    {
        return code;
    }
    kit::startup::run(sync_service::ABOUT, sync_service::assemble).await
}
