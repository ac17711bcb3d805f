//! The tenants service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = kit::openapi::command(&arguments, tenants::routes::documents) {
        return code;
    }
    let rebuild = tenants::tenants::rebuild::command;
    if let Some(code) = kit::migrating::on_database(&arguments, "rebuild", tenants::ABOUT, rebuild).await {
        return code;
    }
    kit::startup::run_with_work(tenants::ABOUT, tenants::assemble).await
}
