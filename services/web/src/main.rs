//! The web service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    kit::startup::run(web::ABOUT, web::assemble).await
}
