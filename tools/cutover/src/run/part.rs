//! The parts of a run: addresses, programs, and how a program shows that it is ready.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use edge_config::Environment;
use tokio::process::Command;

/// One address of a run: the program that listens there, and the variable that changes it.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) who: String,
    pub(super) variable: String,
    pub(super) address: SocketAddr,
}

impl Address {
    /// The address in the environment, or its default.
    pub(super) fn from(
        who: &str,
        variable: &str,
        default: &str,
        environment: Environment<'_>,
    ) -> Result<Self, String> {
        let text =
            environment(variable).filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned());
        let address = text.parse().map_err(|_| {
            format!("{variable} is {text:?}: write an address with a port, such as 127.0.0.1:8080")
        })?;
        Ok(Self { who: who.to_owned(), variable: variable.to_owned(), address })
    }
}

/// One program that the supervisor keeps running.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    /// Where it runs; absent for the directory of the run itself, to which the paths of an edge file refer.
    pub(super) directory: Option<PathBuf>,
}

/// How a program shows that it is ready.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) program: String,
    pub(super) address: SocketAddr,
    pub(super) path: String,
    /// For a program without a probe: any answer counts.
    pub(super) any_answer: bool,
}

/// A command whose program receives SIGTERM when this one dies, however it dies, where the system supports it: even after a
/// SIGKILL no process is left.
pub(super) fn ending_with_this(program: &Path) -> Command {
    match resolve(Path::new("setpriv")) {
        Ok(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM", "--"]).arg(program);
            command
        }
        Err(_) => Command::new(program),
    }
}

/// A program by path, or by name from `PATH`.
pub(super) fn resolve(program: &Path) -> io::Result<PathBuf> {
    if program.components().count() > 1 {
        let path = std::path::absolute(program)?;
        return if path.exists() { Ok(path) } else { Err(io::Error::from(io::ErrorKind::NotFound)) };
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths)
        .map(|directory| directory.join(program))
        .find(|path| path.exists())
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}
