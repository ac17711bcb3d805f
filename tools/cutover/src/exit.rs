//! The exit codes and their meaning.

use std::process::ExitCode;

/// The command succeeded.
pub const DONE: u8 = 0;
/// The check found something, or the work could not be finished.
pub const FOUND: u8 = 1;
/// The arguments do not fit, for example a route that does not exist.
pub const USAGE: u8 = 2;
/// The edge file is invalid; every fault was printed.
pub const INVALID: u8 = 64;

/// `code` as an [`ExitCode`].
#[must_use]
pub fn exit(code: u8) -> ExitCode {
    ExitCode::from(code)
}
