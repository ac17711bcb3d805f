//! The image service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = kit::openapi::command(&arguments, image_service::routes::documents) {
        return code;
    }
    kit::startup::run(image_service::ABOUT, image_service::assemble).await
}
