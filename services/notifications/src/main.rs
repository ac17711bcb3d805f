//! The notifications service.

use std::process::ExitCode;

use notifications::work::Work;

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
    let work = Work::default();
    let code =
        kit::startup::run(notifications::ABOUT, |reader| notifications::assemble(reader, work.clone())).await;
    work.stop().await;
    code
}
