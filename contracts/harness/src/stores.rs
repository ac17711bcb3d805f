//! Stores of a test's own.

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::ports::Port;
use crate::process::Process;

/// How long a store may take to answer. Machines that run tests are busy.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// A Redis that keeps nothing, on a leased port. It ends when it is dropped.
pub struct Redis {
    process: Process,
    port: Port,
    _directory: TempDir,
}

impl Redis {
    /// Starts one and waits until it listens.
    ///
    /// # Panics
    /// When there is no `redis-server`, or it is not ready in time.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("cutover-redis-").tempdir().expect("a directory");
        let port = Port::lease();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.number().to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no"]).current_dir(directory.path());
        let mut process = Process::start("redis-server", &mut command, &directory.path().join("redis.log"));
        let until = Instant::now() + READY_WITHIN;
        while TcpStream::connect(port.address()).is_err() {
            assert!(process.is_running(), "redis-server ended while it was starting:\n{}", process.log());
            assert!(Instant::now() < until, "redis-server is not ready after {READY_WITHIN:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, port, _directory: directory }
    }

    /// Its address, for `REDIS_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.port.address())
    }

    /// The program, to be frozen or ended.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
