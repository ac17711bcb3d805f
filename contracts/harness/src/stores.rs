//! Stores for one test.

mod cluster;
mod sentinels;
mod server;

pub use cluster::RedisCluster;
pub use sentinels::RedisSentinels;
pub use server::RedisServer;

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::eventually;

use tempfile::TempDir;

use crate::ports::Port;
use crate::process::{Process, Signal};

/// A Redis for one test: empty, in memory, removed with the test.
#[derive(Debug)]
pub struct Redis {
    // Dropped first: the program must end before its directory is removed.
    process: Process,
    port: Port,
    home: TempDir,
}

impl Redis {
    /// Starts one and waits until it accepts connections.
    ///
    /// # Panics
    /// When `redis-server` is missing or does not start.
    #[must_use]
    pub fn start() -> Self {
        let home = tempfile::Builder::new().prefix("redis-").tempdir().expect("a temporary directory");
        let port = Port::lease();
        let process = Self::launch(&port, &home);
        let mut redis = Self { process, port, home };
        redis.wait();
        redis
    }

    /// Starts it again after its end, at the same address and empty.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.process = Self::launch(&self.port, &self.home);
        self.wait();
    }

    /// Starts one that accepts TLS only, with the certificate and key in these PEM files.
    ///
    /// # Panics
    /// When `redis-server` is missing or does not start.
    #[must_use]
    pub fn start_encrypted(certificate: &Path, key: &Path) -> Self {
        let home = tempfile::Builder::new().prefix("redis-").tempdir().expect("a temporary directory");
        let port = Port::lease();
        let number = port.number().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--tls-port", &number, "--tls-auth-clients", "no"]);
        command.arg("--tls-cert-file").arg(certificate).arg("--tls-key-file").arg(key);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]).current_dir(home.path());
        let process = Process::start("redis-server", &mut command, &home.path().join("redis.log"));
        let mut redis = Self { process, port, home };
        redis.wait();
        redis
    }

    /// Its address for `REDIS_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}/", self.port.address())
    }

    /// Starts one that accepts TLS only, and only clients with a certificate that `ca` has issued.
    ///
    /// # Panics
    /// When `redis-server` is missing or does not start.
    #[must_use]
    pub fn start_for_known_clients(certificate: &Path, key: &Path, ca: &Path) -> Self {
        let home = tempfile::Builder::new().prefix("redis-").tempdir().expect("a temporary directory");
        let port = Port::lease();
        let process = Self::launch_for_known_clients(&port, &home, [certificate, key, ca]);
        let mut redis = Self { process, port, home };
        redis.wait();
        redis
    }

    /// Kills it, and starts it again in that way at the same address.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart_for_known_clients(&mut self, certificate: &Path, key: &Path, ca: &Path) {
        self.process.signal(Signal::Kill);
        self.process.wait(std::time::Duration::from_secs(20));
        self.process = Self::launch_for_known_clients(&self.port, &self.home, [certificate, key, ca]);
        self.wait();
    }

    fn launch_for_known_clients(port: &Port, home: &TempDir, [certificate, key, ca]: [&Path; 3]) -> Process {
        let number = port.number().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--tls-port", &number, "--tls-auth-clients", "yes"]);
        command
            .arg("--tls-cert-file")
            .arg(certificate)
            .arg("--tls-key-file")
            .arg(key)
            .arg("--tls-ca-cert-file")
            .arg(ca);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]).current_dir(home.path());
        Process::start("redis-server", &mut command, &home.path().join("redis.log"))
    }

    /// Asks it with `redis-cli`, as the user `default`.
    ///
    /// # Panics
    /// When it answers with an error.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let said = server::try_cli(self.port.address(), arguments);
        said.unwrap_or_else(|| panic!("redis-cli failed: {arguments:?}"))
    }

    /// Its process, for signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn launch(port: &Port, home: &TempDir) -> Process {
        let number = port.number().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &number, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.current_dir(home.path());
        Process::start("redis-server", &mut command, &home.path().join("redis.log"))
    }

    fn wait(&mut self) {
        eventually("redis-server accepts connections", || {
            assert!(self.process.is_running(), "redis-server ended: {}", self.process.log());
            TcpStream::connect(self.port.address()).is_ok()
        });
    }
}
