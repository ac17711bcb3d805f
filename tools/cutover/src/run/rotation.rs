//! Rotates the access log of a run: a full disk would stop sign-out, revocations and the audit.
//!
//! A log longer than [`LONGEST`] is renamed to `access.json.1`, the one before it to `access.json.2`, and Envoy reopens the
//! log (`/reopen_logs`). Until then Envoy writes to the renamed file, so no line is lost.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::admin::envoy;
use crate::out;

/// The lines of about a quarter of a million requests.
const LONGEST: u64 = 256 * 1_024 * 1_024;

/// How many old logs are kept: two days of a development edge, and with the present one at most 1 GB.
const KEEP: usize = 3;

/// The time between two checks of the length. At 10,000 requests a second a log grows by 100 MB in it.
const INTERVAL: Duration = Duration::from_secs(10);

/// Rotates `log` until the future is dropped.
pub(super) async fn run(log: PathBuf, admin: SocketAddr) {
    let mut reported = false;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let log = log.clone();
        let rotated =
            tokio::task::spawn_blocking(move || rotate(&log, LONGEST, &|| envoy::reopen_logs(admin)));
        match rotated.await {
            Ok(Ok(_)) => reported = false,
            Ok(Err(error)) if !reported => {
                reported = true;
                out::error!("the access log cannot be rotated: {error}");
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

/// Renames `log` when it is longer than `longest`, and makes its writer open it again with `reopen`. Returns whether it
/// did.
fn rotate(log: &Path, longest: u64, reopen: &dyn Fn() -> io::Result<()>) -> io::Result<bool> {
    match fs::metadata(log) {
        Ok(data) if data.len() > longest => {}
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    let named = |number: usize| {
        let mut name = log.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..KEEP).rev() {
        match fs::rename(named(number), named(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    fs::rename(log, named(1))?;
    reopen()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_put_aside_and_no_more_than_three_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("access.json");
        let asked = std::cell::Cell::new(0);
        let reopen = || {
            asked.set(asked.get() + 1);
            Ok(())
        };
        assert!(!rotate(&log, 4, &reopen).unwrap(), "there is none yet");
        fs::write(&log, "1234").unwrap();
        assert!(!rotate(&log, 4, &reopen).unwrap());
        for round in 1..=5 {
            fs::write(&log, format!("line {round}")).unwrap();
            assert!(rotate(&log, 4, &reopen).unwrap());
            assert!(!log.exists());
        }
        assert_eq!(asked.get(), 5);
        let read = |number: u8| fs::read_to_string(home.path().join(format!("access.json.{number}")));
        assert_eq!([1, 2, 3].map(|number| read(number).unwrap()), ["line 5", "line 4", "line 3"]);
        assert!(read(4).is_err());
    }
}
