//! The users service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = kit::openapi::command(&arguments, users::routes::documents) {
        return code;
    }
    if let Some(code) = kit::migrating::command(&arguments, users::ABOUT, users::migrations::run).await {
        return code;
    }
    if arguments.get(1).is_some_and(|command| command == "tenants") {
        return users::tenants::command::main().await;
    }
    kit::startup::run_with_work(users::ABOUT, users::assemble).await
}
