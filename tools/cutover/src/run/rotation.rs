//! The access log of a run does not grow for ever: a full disk would take sign-out, revocations and the audit with it.
//!
//! A log that is longer than [`LONGEST`] gets the name `access.json.1`, the one before that `access.json.2`, and Envoy is
//! asked to open the log again (`/reopen_logs`). What Envoy writes meanwhile goes to the file under its new name: no line is
//! lost.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::admin::envoy;
use crate::out;

/// A quarter of a million requests.
const LONGEST: u64 = 256 * 1_024 * 1_024;

/// How many are kept beside the present one: two days of a development edge, and 1 GB at the most.
const KEEP: usize = 3;

/// How often the length is looked at. At 10,000 requests a second that is 100 MB later than it might be.
const INTERVAL: Duration = Duration::from_secs(10);

/// Looks after `log` for ever. Dropping the future ends it.
pub(super) async fn run(log: PathBuf, admin: SocketAddr) {
    let mut told = false;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let log = log.clone();
        let rotated =
            tokio::task::spawn_blocking(move || rotate(&log, LONGEST, &|| envoy::reopen_logs(admin)));
        match rotated.await {
            Ok(Ok(_)) => told = false,
            Ok(Err(error)) if !told => {
                told = true;
                out::error!("the access log cannot be rotated: {error}");
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

/// Gives `log` another name when it is longer than `longest`, and lets `reopen` have its writer open it again. Says whether
/// it did.
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
