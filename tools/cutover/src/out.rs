//! Prints for all commands: results to standard output, errors to standard error.
//!
//! A reader may stop reading (`cutover plan … | head -1`). The command then continues silently and ends with the exit
//! code that it would have had. `println!` would panic instead, so nothing else in this program writes to the two
//! streams (`clippy::print_stdout` and `clippy::print_stderr` enforce it).

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::{FOUND, exit};

/// Whether a write failed for another reason than a reader that left, for example a full disk.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints to standard output, without a line break at the end.
macro_rules! text {
    ($($text:tt)*) => { $crate::out::write(format_args!($($text)*)) };
}

/// Prints a line to standard output.
macro_rules! line {
    ($($text:tt)*) => { $crate::out::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a line to standard error.
macro_rules! error {
    ($($text:tt)*) => { $crate::out::complain(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {error, line, text};

/// Writes to standard output.
pub(crate) fn write(text: fmt::Arguments<'_>) {
    if lost(put(&mut io::stdout().lock(), text)) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Writes to standard error. When that fails, only the exit code can report the error.
pub(crate) fn complain(text: fmt::Arguments<'_>) {
    let _ = put(&mut io::stderr().lock(), text);
}

/// Writes `text` in one piece, so that lines of a watch and of a ramp do not interleave. Flushes it, because a process
/// that ends drops what its last flush could not write, without an error.
fn put(out: &mut dyn Write, text: fmt::Arguments<'_>) -> io::Result<()> {
    out.write_all(text.to_string().as_bytes())?;
    out.flush()
}

fn lost(outcome: io::Result<()>) -> bool {
    outcome.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe)
}

/// The exit code of a command that ended with `code`. Output that could not be written (on a full disk) is a failure.
#[must_use]
pub fn ended(code: ExitCode) -> ExitCode {
    if LOST.load(Ordering::Relaxed) && code == ExitCode::SUCCESS {
        complain(format_args!(
            "cutover: the output is incomplete: a write failed; free some space where it is written\n"
        ));
        return exit(FOUND);
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_not_an_error_and_a_full_disk_is() {
        assert!(!lost(Ok(())));
        assert!(!lost(Err(io::ErrorKind::BrokenPipe.into())));
        assert!(lost(Err(io::ErrorKind::StorageFull.into())));
    }
}
