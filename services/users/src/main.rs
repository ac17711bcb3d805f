//! The users service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|command| command == "tenants") {
        return users::tenants::command::main().await;
    }
    kit::startup::run(users::ABOUT, users::assemble).await
}
