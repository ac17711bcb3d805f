//! A haproxy in front of an edge, as Debian packages it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::eventually;
use crate::ports::Port;
use crate::process::Process;

/// A haproxy with one frontend and one server. It ends when it is dropped.
#[derive(Debug)]
pub struct Haproxy {
    // Dropped first: the program must end before its directory is removed.
    process: Process,
    port: Port,
    _home: TempDir,
}

impl Haproxy {
    /// A haproxy that listens for clients, with `bind` after its address, and sends what it receives to `edge`, with `server`
    /// after that address. `rules` are further lines of the section.
    ///
    /// # Panics
    /// When `haproxy` is missing or does not start.
    #[must_use]
    pub fn start(edge: SocketAddr, bind: &str, server: &str, rules: &[&str]) -> Self {
        let home = tempfile::Builder::new().prefix("haproxy-").tempdir().expect("a temporary directory");
        let port = Port::lease();
        let rules: String = rules.iter().map(|rule| format!("    {rule}\n")).collect();
        let text = format!(
            "global\n    maxconn 256\ndefaults\n    timeout connect 10s\n    timeout client 60s\n    timeout server 60s\n\
             listen edge\n    bind {} {bind}\n{rules}    server edge {edge} {server}\n",
            port.address()
        );
        let file = home.path().join("haproxy.cfg");
        std::fs::write(&file, text).expect("the directory is writable");
        let process = Self::launch(&file, home.path());
        let mut haproxy = Self { process, port, _home: home };
        eventually("haproxy listens", || {
            assert!(haproxy.process.is_running(), "haproxy ended: {}", haproxy.process.log());
            std::net::TcpStream::connect(haproxy.address()).is_ok()
        });
        haproxy
    }

    fn launch(file: &Path, home: &Path) -> Process {
        // Debian installs it where only root's PATH leads.
        let mut command = Command::new("/usr/sbin/haproxy");
        command.arg("-db").arg("-f").arg(file).current_dir(home);
        Process::start("haproxy", &mut command, &home.join("haproxy.log"))
    }

    /// The address for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }
}
