//! One `redis-server` among several.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::ports::Port;
use crate::process::{Process, Signal};
use crate::{eventually_some, within};

/// One server: it keeps its port and its directory when it is killed and started again.
#[derive(Debug)]
pub struct RedisServer {
    // Dropped first: the program must end before its directory is removed.
    process: Process,
    port: Port,
    /// Leased with the port, for a cluster.
    bus: Port,
    home: TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts one with these arguments, in memory.
    pub(super) fn start(arguments: impl FnOnce(&Path, &Port, &Port) -> Vec<String>) -> Self {
        let home = tempfile::Builder::new().prefix("redis-").tempdir().expect("a temporary directory");
        let (port, bus) = (Port::lease(), Port::lease());
        let mut all = arguments(home.path(), &port, &bus);
        all.extend(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(str::to_owned));
        let process = launch(&all, home.path());
        let server = Self { process, port, bus, home, arguments: all };
        server.cli(&["PING"]);
        server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The port on which the servers of a cluster speak to each other.
    pub(super) fn bus(&self) -> u16 {
        self.bus.number()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.signal(Signal::Kill);
        self.process.wait(std::time::Duration::from_secs(20));
    }

    /// Starts it again.
    pub fn restart(&mut self) {
        self.process = launch(&self.arguments, self.home.path());
        self.cli(&["PING"]);
    }

    /// Its process, for signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Asks it with `redis-cli`, until it answers without an error.
    ///
    /// # Panics
    /// When it does not.
    pub fn cli(&self, arguments: &[&str]) -> String {
        eventually_some(&format!("{} answers {arguments:?}", self.address()), || self.try_cli(arguments))
    }

    /// Asks it with `redis-cli`, once.
    #[must_use]
    pub fn try_cli(&self, arguments: &[&str]) -> Option<String> {
        try_cli(self.address(), arguments)
    }
}

pub(super) fn try_cli(address: SocketAddr, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("redis-cli");
    command.args(["-e", "-p", &address.port().to_string()]).args(arguments);
    let output = command.output().expect("redis-cli is installed");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Waits for what `ask` finds, and fails with `what`.
pub(super) fn settled(what: &str, ask: impl FnMut() -> bool) {
    let mut ask = ask;
    let found = within(std::time::Duration::from_mins(1), || ask().then_some(()));
    assert!(found.is_some(), "it did not happen within a minute that {what}");
}

pub(super) fn launch(arguments: &[String], home: &Path) -> Process {
    let mut command = Command::new("redis-server");
    command.args(arguments).current_dir(home);
    Process::start("redis-server", &mut command, &home.join("redis.log"))
}
