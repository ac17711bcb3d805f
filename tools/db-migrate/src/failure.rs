//! Why a command stops. Each message names the value and the fix, and contains no password.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A command that could not do its work. Differences between source and target are a result and not a failure.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Arguments, addresses or files of settings are invalid.
    #[error("{0}")]
    Invalid(String),
    /// The move must not begin, for all of these reasons.
    #[error("{}", .0.join("\n"))]
    Unready(Vec<String>),
    /// A database refused or is unreachable.
    #[error("{place}: {source}")]
    Database {
        /// The database, as `host:port/name`.
        place: String,
        /// The error of the library.
        source: sqlx::Error,
    },
    /// A program failed. The text has the end of its output.
    #[error("{0}")]
    Program(String),
    /// A file or directory cannot be used.
    #[error("{path}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The I/O error of the system.
        source: io::Error,
    },
    /// The recorded state does not fit the command.
    #[error("{0}")]
    State(String),
    /// A step took longer than `--step-limit`.
    #[error("{step} took longer than {limit:?}; raise --step-limit, and run the same command again")]
    Slow {
        /// The step.
        step: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// SIGINT or SIGTERM arrived.
    #[error("stopped by a signal")]
    Stopped,
}

impl Failure {
    /// Returns the exit code: 64 for invalid settings, 1 for everything else.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Invalid(_) => 64,
            Self::Unready(_)
            | Self::Database { .. }
            | Self::Program(_)
            | Self::File { .. }
            | Self::State(_)
            | Self::Slow { .. }
            | Self::Stopped => 1,
        }
    }

    /// Returns a function that turns an error of the system into a failure that names `path`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }
}
