//! What exit codes mean.

use std::process::ExitCode;

/// The command did what it was asked.
pub const DONE: u8 = 0;
/// The check found something, or the work could not be finished.
pub const FOUND: u8 = 1;
/// What was asked for makes no sense here: a route that does not exist, say.
pub const USAGE: u8 = 2;
/// The edge file is invalid; every fault was printed.
pub const INVALID: u8 = 64;

/// An exit code.
#[must_use]
pub fn exit(code: u8) -> ExitCode {
    ExitCode::from(code)
}
