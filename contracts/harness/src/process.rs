//! A program that a test started: it ends with the test, and its output is shown when the test fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::within;

/// A signal from a test to a program.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// Requests its end.
    Terminate,
    /// Ends it at once.
    Kill,
    /// Freezes it: it keeps its sockets and answers nothing.
    Stop,
    /// Resumes a frozen one.
    Continue,
}

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; its output goes to `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).expect("the log can be opened");
        let err = out.try_clone().expect("the log can be shared");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|e| panic!("{name} cannot be started ({command:?}): {e}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its output so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends `signal`.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Terminate => "-TERM",
            Signal::Kill => "-KILL",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
        };
        let status = Command::new("kill").arg(name).arg(self.id().to_string()).stderr(Stdio::null()).status();
        assert!(status.is_ok(), "no signal could be sent to {}", self.name);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it has not ended within `patience`.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let ended = within(patience, || self.child.try_wait().expect("a child can be waited for"));
        ended.unwrap_or_else(|| {
            panic!("{} did not end within {patience:?}; it printed:\n{}", self.name, self.log())
        })
    }
}

/// Memory of the process `id` that is in RAM now, MiB, from proc(5).
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn resident_mib(id: u32) -> u64 {
    let path = format!("/proc/{id}/status");
    let status = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path} cannot be read: {e}"));
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_else(|| panic!("{path} has no VmRSS")) / 1024
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            self.signal(Signal::Continue);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().rev().take(40).collect();
            let end: Vec<_> = lines.into_iter().rev().collect();
            eprintln!("--- the end of what {} printed ---\n{}", self.name, end.join("\n"));
        }
    }
}
