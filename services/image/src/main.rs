//! The image service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    kit::startup::run(image_service::ABOUT, image_service::assemble).await
}
