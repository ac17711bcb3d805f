//! The image service with the files of a directory: the harness's own makes pictures up.

use std::path::PathBuf;
use std::process::Command;

use harness::wire::Request;
use harness::{Edge, Port, Process, eventually, program, repository};

/// The directory of the pictures.
pub(crate) fn root(edge: &Edge) -> PathBuf {
    edge.home().join("pictures")
}

/// Starts it at `port` and waits until it is ready.
pub(crate) fn start(edge: &Edge, port: &Port) -> Process {
    std::fs::create_dir_all(root(edge)).expect("the home is writable");
    let mut command = Command::new(program("image"));
    command.current_dir(repository()).env("CUTOVER_HOME", edge.home()).env("IMAGE_ROOT", root(edge));
    command.env("IMAGE_ADDRESS", port.address().to_string()).env_remove("IMAGE_STUB");
    let process = Process::start("image", &mut command, &edge.home().join("logs/image.log"));
    let ready = Request::new(port.address(), "GET", "/readyz");
    eventually("the image service is ready", || ready.try_send().is_ok_and(|answer| answer.status == 200));
    process
}
