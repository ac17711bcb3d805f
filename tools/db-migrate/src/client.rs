//! `pg_dump` and `pg_restore`. Neither sees a password in its arguments ([`Place::lead`]).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::digest;
use crate::failure::Failure;
use crate::place::Place;
use crate::progress::{Progress, REPORT_EVERY};
use crate::state::Dump;

/// How much of a program's last output an error repeats.
const SHOWN_OUTPUT: usize = 4 * 1024;

/// How long a program may take to write its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// The programs of PostgreSQL: in one directory, or else in `PATH`.
#[derive(Clone, Debug)]
pub struct Client {
    /// The directory (`--pg-bin`).
    pub binaries: Option<PathBuf>,
}

impl Client {
    fn program(&self, name: &str) -> Command {
        let path = self.binaries.as_ref().map_or_else(|| PathBuf::from(name), |binaries| binaries.join(name));
        let mut program = Command::new(path);
        // The programs end with this one, also when it fails.
        program.kill_on_drop(true).stdin(Stdio::null()).env("LC_ALL", "C");
        program
    }

    /// Returns the major version of the program `name`.
    ///
    /// # Errors
    /// [`Failure::Program`] if the program is missing or writes no version.
    pub async fn version(&self, name: &str) -> Result<u32, Failure> {
        let missing = |what: &dyn std::fmt::Display| {
            Failure::Program(format!(
                "{name}: {what}; install the client programs of PostgreSQL, or name their directory with --pg-bin"
            ))
        };
        let output = self.program(name).arg("--version").output();
        let output = tokio::time::timeout(VERSION_TIMEOUT, output).await;
        let output = output.map_err(|error| missing(&error))?.map_err(|error| missing(&error))?;
        let text = String::from_utf8_lossy(&output.stdout);
        major(&text).ok_or_else(|| missing(&format!("it wrote no version ({:?})", text.trim())))
    }

    /// Dumps `source` into `file`, in PostgreSQL's custom format, without owners and privileges.
    ///
    /// # Errors
    /// [`Failure::Program`], [`Failure::File`].
    pub async fn dump(&self, source: &Place, file: &Path, progress: Progress) -> Result<Dump, Failure> {
        let partial = file.with_extension("partial");
        // A program that outlived a killed run may still write to it; its file is another one then.
        if let Err(error) = std::fs::remove_file(&partial)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Failure::at(&partial)(error));
        }
        let mut program = self.program("pg_dump");
        source.lead(&mut program);
        program.args(["--format=custom", "--no-owner", "--no-privileges", "--no-password"]);
        program.arg("--file").arg(&partial);
        let growth = async {
            let mut ticks = tokio::time::interval(REPORT_EVERY);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                let bytes = tokio::fs::metadata(&partial).await.map_or(0, |metadata| metadata.len());
                progress.event("dump", &format!("{bytes} bytes"));
            }
        };
        tokio::select! {
            done = run(program, "pg_dump") => done?,
            () = growth => {}
        }
        let dump = measure(&partial).await?;
        std::fs::rename(&partial, file).map_err(Failure::at(file))?;
        Ok(dump)
    }

    /// Restores `file` into the empty database `target`, whole or not at all.
    ///
    /// # Errors
    /// [`Failure::Program`].
    pub async fn restore(&self, file: &Path, target: &Place, progress: Progress) -> Result<(), Failure> {
        let mut program = self.program("pg_restore");
        target.lead(&mut program);
        // `--dbname` has to be there for a restore into a database; the rest of the way is in the environment.
        program.arg("--dbname").arg(target.database());
        program.args([
            "--single-transaction",
            "--exit-on-error",
            "--no-owner",
            "--no-privileges",
            "--no-password",
        ]);
        program.arg(file);
        tokio::select! {
            done = run(program, "pg_restore") => done,
            () = growth_of(target, progress) => Ok(()),
        }
    }
}

/// Reports the size of `target` from time to time, and never ends.
async fn growth_of(target: &Place, progress: Progress) {
    let size = async || {
        let mut connection = target.connect().await?;
        let size = "SELECT pg_database_size(current_database())";
        let size = sqlx::query_scalar::<_, i64>(size).fetch_one(&mut connection).await;
        Place::close(connection).await;
        size.map_err(|error| target.failed(error))
    };
    loop {
        tokio::time::sleep(REPORT_EVERY).await;
        // The restore itself says what is wrong with the target.
        if let Ok(bytes) = size().await {
            progress.event("restore", &format!("{bytes} bytes"));
        }
    }
}

/// Returns length and digest of `file`.
///
/// # Errors
/// [`Failure::File`].
pub async fn measure(file: &Path) -> Result<Dump, Failure> {
    let mut stream = tokio::fs::File::open(file).await.map_err(Failure::at(file))?;
    let mut digest = digest::Running::default();
    let mut buffer = vec![0; 256 * 1024];
    let mut bytes = 0u64;
    loop {
        let length = stream.read(&mut buffer).await.map_err(Failure::at(file))?;
        let Some(part) = buffer.get(..length).filter(|part| !part.is_empty()) else { break };
        digest.bytes(part);
        bytes = bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
    }
    Ok(Dump { sha256: digest.finish(), bytes })
}

/// Runs `program` to its end. An error repeats the end of its output.
///
/// # Errors
/// [`Failure::Program`].
pub async fn run(mut program: Command, name: &str) -> Result<(), Failure> {
    program.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let failed = |what: &dyn std::fmt::Display| Failure::Program(format!("{name}: {what}"));
    let mut child = program.spawn().map_err(|error| {
        failed(&format!(
            "{error}; is `{}` installed?",
            OsStr::to_string_lossy(program.as_std().get_program())
        ))
    })?;
    let output = match child.stderr.take() {
        Some(stderr) => end_of(stderr).await,
        None => String::new(),
    };
    let status = child.wait().await.map_err(|error| failed(&error))?;
    if status.success() { Ok(()) } else { Err(failed(&format!("{status}: {output}"))) }
}

/// Reads a program's output to its end, so that the program never waits for a reader, and returns the last of it.
pub async fn end_of(mut output: impl AsyncRead + Unpin) -> String {
    let (mut kept, mut block) = (Vec::new(), vec![0; 16 * 1024]);
    // An error ends the reading as the end does: the program's exit says what happened.
    while let Ok(length) = output.read(&mut block).await
        && let Some(part) = block.get(..length).filter(|part| !part.is_empty())
    {
        kept.extend_from_slice(part);
        let excess = kept.len().saturating_sub(SHOWN_OUTPUT);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

/// Returns the major version in `pg_dump (PostgreSQL) 15.18 (Debian …)`, also of `17beta1`.
fn major(text: &str) -> Option<u32> {
    let rest = text.split_once("(PostgreSQL) ")?.1;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major("pg_restore (PostgreSQL) 17beta1\n"), Some(17));
        assert_eq!(major("sh: not found"), None);
    }

    #[tokio::test]
    async fn an_error_has_the_end_of_a_long_output() {
        let mut program = Command::new("sh");
        program.args(["-c", "head -c 300000 /dev/zero | tr '\\0' x >&2; echo the reason >&2; exit 3"]);
        let failed = run(program, "sh").await.unwrap_err().to_string();
        assert!(failed.starts_with("sh: exit status: 3: xxx") && failed.ends_with("the reason"), "{failed}");
        assert!(failed.len() < 2 * SHOWN_OUTPUT, "{}", failed.len());
    }
}
