//! The legacy sample (`contracts/legacy`) as a process of its own.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::ports::Port;
use crate::process::{Process, Signal};
use crate::{eventually, repository, venv};

/// How long its workers may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// A running legacy sample, with a home of its own.
#[derive(Debug)]
pub struct LegacySample {
    process: Process,
    port: Port,
    home: TempDir,
}

impl LegacySample {
    /// Starts it, and waits until it accepts connections.
    ///
    /// # Panics
    /// When gunicorn is missing, or does not start.
    #[must_use]
    pub fn start() -> Self {
        let (home, port) = (tempfile::tempdir().expect("a directory can be made"), Port::lease());
        let gunicorn = venv().join("bin/gunicorn");
        assert!(gunicorn.exists(), "{} is not there: `make setup` installs it", gunicorn.display());
        let mut command = Command::new(gunicorn);
        command
            .args(["--config", "contracts/legacy/gunicorn.conf.py", "legacy.app:application"])
            .current_dir(repository())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("PYTHONPATH", "contracts")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CUTOVER_HOME", home.path())
            .env("LEGACY_ADDRESS", port.address().to_string());
        let process = Process::start("legacy", &mut command, &home.path().join("legacy.log"));
        eventually("the legacy sample listens", || TcpStream::connect(port.address()).is_ok());
        Self { process, port, home }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Its directory, with the mails that it wrote.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Ends it as an operator does.
    pub fn stop(&mut self) {
        self.process.signal(Signal::Terminate);
        let _ = self.process.wait(ENDS_WITHIN);
    }
}
