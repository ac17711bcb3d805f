//! Starts a real binary, waits until it is ready, and stops it as an operator does.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// A running service.
#[derive(Debug)]
pub struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Running {
    /// Starts `binary` with only `environment` in its environment, and waits for its ready line.
    ///
    /// # Panics
    /// If the process ends before it is ready.
    #[must_use]
    pub fn start(binary: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(binary)
            .env_clear()
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            if output.read_line(&mut line).unwrap() == 0 {
                let mut complaint = String::new();
                child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
                panic!("{binary} ended before it was ready: {complaint}");
            }
            let json: serde_json::Value = serde_json::from_str(&line).expect("every log line is JSON");
            if json.get("message").and_then(|m| m.as_str()) == Some("ready") {
                break json.get("address").and_then(|a| a.as_str()).unwrap().parse().unwrap();
            }
        };
        Self { child, output, address }
    }

    /// Returns the address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends SIGTERM and waits for the end. Returns the exit status and the rest of the log.
    #[must_use]
    pub fn terminate(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended after `terminate`. Otherwise this stops the process of a failed test.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
