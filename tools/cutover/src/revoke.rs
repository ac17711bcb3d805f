//! `cutover revoke` ends sessions before their tokens expire. The edge refuses them within a second, and the auth
//! service no longer refreshes them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clock::{Clock, SystemClock, UnixTime};
use edge_config::Environment;
use identity::{InvalidId, SubjectId};
use validity::UnusableUrl;
use validity::revocation::{Revocation, SessionEnd, SharedRevocations, SubjectEnd, TenantEnd};

use crate::exit::{DONE, FOUND, exit};
use crate::home::Home;
use crate::out;

/// `cutover revoke`
///
/// Writes to the Redis of REDIS_URL or, without it, to the file HOME/sessions/revoked.jsonl. The URL is not an option,
/// because it may hold a password, and other users of a machine can list the options of a program.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to end.
    #[arg(value_enum)]
    pub what: Revoked,
    /// Its id, byte for byte as its tokens have it.
    #[arg(value_name = "ID", value_parser = id)]
    pub id: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
    /// The lifetime of the longest-lived token, a refresh token. The edge forgets the revocation after it.
    #[arg(long, default_value_t = 604_800, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub token_life: u64,
}

/// What `cutover revoke` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Revoked {
    /// One session, by the `sid` of its tokens.
    Session,
    /// Every session of a person that began until now, by `sub`.
    Subject,
    /// Every session for a tenant that began until now, by `tenantId`.
    Tenant,
}

/// How much longer than its tokens a revocation is kept: an edge file can give at most five minutes of leeway, and the
/// clocks of two machines may differ by one minute.
const MARGIN_SECONDS: u64 = 360;

/// How long Redis may take. A person waits at a terminal.
const PATIENCE: Duration = Duration::from_secs(5);

/// The wait between appending to the file and checking the line: the auth service may just have replaced the file.
const SECOND_LOOK: Duration = Duration::from_millis(200);

/// How often a line is appended that a replacement of the file dropped.
const ATTEMPTS: u8 = 5;

/// Why the revocation failed or is uncertain.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The file cannot be used.
    #[error("cannot write {path}: {source}; is it in the home of a running edge, and writable?")]
    File {
        /// Which file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Each attempt was lost to a replacement of the file.
    #[error("{0} is replaced again and again; try again")]
    Replaced(PathBuf),
    /// The URL cannot be used.
    #[error(transparent)]
    Url(#[from] UnusableUrl),
    /// Redis did not confirm.
    #[error(
        "Redis did not confirm the revocation ({0}); it may or may not be in force: try again, a second one is harmless"
    )]
    Redis(String),
    /// The system gave no resources to connect.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
}

fn id(text: &str) -> Result<String, InvalidId> {
    text.parse::<SubjectId>().map(|id| id.to_string())
}

/// `cutover revoke`
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let revocation = match revocation(arguments, SystemClock.now()) {
        Ok(revocation) => revocation,
        Err(error) => {
            out::error!("cutover revoke: {error}");
            return exit(FOUND);
        }
    };
    let url = environment("REDIS_URL").filter(|url| !url.is_empty());
    let file = arguments.home.home.join("sessions/revoked.jsonl");
    let done = match url.as_deref() {
        Some(url) => through_redis(url, &revocation).map(|()| "through Redis".to_owned()),
        None => append(&file, &revocation).map(|()| format!("in {}", file.display())),
    };
    match done {
        Ok(how) => {
            out::line!("revoked {how}: {}", revocation.key());
            exit(DONE)
        }
        Err(error) => {
            out::error!("cutover revoke: {error}");
            exit(FOUND)
        }
    }
}

/// The revocation that `arguments` describe at `now`. It also ends a token issued within this very second, which may be
/// older or younger than the command.
///
/// # Errors
/// [`InvalidId`], for an id that no token can have.
pub fn revocation(arguments: &Arguments, now: UnixTime) -> Result<Revocation, InvalidId> {
    let Arguments { what, id, home: _, token_life } = arguments;
    let now = now.seconds();
    let until = now.saturating_add(*token_life).saturating_add(MARGIN_SECONDS);
    let before = now.saturating_add(1);
    Ok(match what {
        Revoked::Session => Revocation::Session(SessionEnd { sid: id.parse()?, from: now, until }),
        Revoked::Subject => Revocation::Subject(SubjectEnd { sub: id.parse()?, before, until }),
        Revoked::Tenant => Revocation::Tenant(TenantEnd { tid: id.parse()?, before, until }),
    })
}

fn through_redis(url: &str, revocation: &Revocation) -> Result<(), RevokeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(RevokeError::Runtime)?.block_on(async {
        let mut redis = validity::connect(url)?;
        let shared = SharedRevocations::default();
        match tokio::time::timeout(PATIENCE, shared.revoke(&mut redis, revocation)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(RevokeError::Redis(error.to_string())),
            Err(_) => Err(RevokeError::Redis("no answer within 5 seconds".to_owned())),
        }
    })
}

fn append(path: &Path, revocation: &Revocation) -> Result<(), RevokeError> {
    let failed = |source| RevokeError::File { path: path.to_owned(), source };
    let line = serde_json::to_string(revocation).map_err(|e| failed(e.into()))?;
    for _ in 0..ATTEMPTS {
        // A running edge makes the directory. This command does not: a mistyped home must not look like a success.
        let mut file = File::options().create(true).append(true).open(path).map_err(failed)?;
        // An incomplete line before this one must not spoil it.
        file.write_all(format!("\n{line}\n").as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        std::thread::sleep(SECOND_LOOK);
        let content = fs::read_to_string(path).map_err(failed)?;
        let is_there = content.lines().any(|written| {
            serde_json::from_str::<Revocation>(written).is_ok_and(|written| {
                written.key() == revocation.key() && written.clone().joined(revocation) == written
            })
        });
        if is_there {
            return Ok(());
        }
    }
    Err(RevokeError::Replaced(path.to_owned()))
}
