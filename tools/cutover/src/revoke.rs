//! Ending sessions before their tokens expire. The edge refuses them within a second, and the auth service refreshes none
//! of them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clock::{Clock, SystemClock, UnixTime};
use edge_config::Environment;
use identity::{SessionId, SubjectId, TenantId};
use validity::UnusableUrl;
use validity::revocation::{Revocation, SessionEnd, SharedRevocations, SubjectEnd, TenantEnd};

use crate::exit::{DONE, FOUND, exit};
use crate::home::Home;
use crate::out;

/// `cutover revoke`
///
/// Through the Redis that REDIS_URL names, or, without it, in the file HOME/sessions/revoked.jsonl. It is no option because
/// it may hold a password, and other users of a machine can list the options of a program.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What is ended.
    #[arg(value_enum)]
    pub what: Revoked,
    /// Its id.
    #[arg(value_name = "UUID")]
    pub id: uuid::Uuid,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
    /// How long the longest token lives: a refresh token. What is written is forgotten after it.
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

/// How much longer than its tokens a revocation is kept: five minutes are the longest leeway that an edge file can give,
/// and the clocks of two machines may differ by one.
const MARGIN_SECONDS: u64 = 360;

/// How long Redis may take. Somebody waits at a terminal.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between appending to the file and looking whether the line is there: the auth service may just have replaced the file.
const SECOND_LOOK: Duration = Duration::from_millis(200);

/// How often a line is appended that was replaced away.
const ATTEMPTS: u8 = 5;

/// Why nothing was revoked, or nobody knows whether it was.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The file.
    #[error("cannot write {path}: {source}; is it the home of a running edge, and writable?")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The line was replaced away each time.
    #[error("{0} is replaced again and again; try again")]
    Replaced(PathBuf),
    /// The URL.
    #[error(transparent)]
    Url(#[from] UnusableUrl),
    /// Redis.
    #[error(
        "Redis did not take it ({0}); nobody knows whether it is in force: try again, it is harmless twice"
    )]
    Redis(String),
    /// The system gave no thread.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
}

/// `cutover revoke`
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let revocation = revocation(arguments, SystemClock.now());
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

/// What `arguments` ask for at `now`. A token that is issued within this very second may be a moment older or younger than
/// the command; it ends too.
#[must_use]
pub fn revocation(arguments: &Arguments, now: UnixTime) -> Revocation {
    let Arguments { what, id, home: _, token_life } = arguments;
    let now = now.seconds();
    let until = now.saturating_add(*token_life).saturating_add(MARGIN_SECONDS);
    let before = now.saturating_add(1);
    match what {
        Revoked::Session => Revocation::Session(SessionEnd { sid: SessionId(*id), from: now, until }),
        Revoked::Subject => Revocation::Subject(SubjectEnd { sub: SubjectId(*id), before, until }),
        Revoked::Tenant => Revocation::Tenant(TenantEnd { tid: TenantId(*id), before, until }),
    }
}

fn through_redis(url: &str, revocation: &Revocation) -> Result<(), RevokeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(RevokeError::Runtime)?.block_on(async {
        let mut redis = validity::connect(url)?;
        let shared = SharedRevocations::default();
        match tokio::time::timeout(PATIENCE, shared.revoke(&mut redis, revocation)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(RevokeError::Redis(error.to_string())),
            Err(_) => Err(RevokeError::Redis("no answer in time".to_owned())),
        }
    })
}

fn append(path: &Path, revocation: &Revocation) -> Result<(), RevokeError> {
    let failed = |source| RevokeError::File { path: path.to_owned(), source };
    let line = serde_json::to_string(revocation).map_err(|e| failed(e.into()))?;
    for _ in 0..ATTEMPTS {
        // The directory is made by whoever runs the edge: a mistyped home must not look like a success.
        let mut file = File::options().create(true).append(true).open(path).map_err(failed)?;
        // A torn line before this one must not take it along.
        file.write_all(format!("\n{line}\n").as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        std::thread::sleep(SECOND_LOOK);
        let content = fs::read_to_string(path).map_err(failed)?;
        let is_there = content.lines().any(|written| {
            serde_json::from_str::<Revocation>(written).is_ok_and(|written| {
                written.key() == revocation.key() && written.joined(revocation) == written
            })
        });
        if is_there {
            return Ok(());
        }
    }
    Err(RevokeError::Replaced(path.to_owned()))
}
