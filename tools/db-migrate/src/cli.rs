//! The commands, and what each prints: one report on standard output, as text or as JSON.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::application::Checks;
use crate::client::Client;
use crate::failure::Failure;
use crate::moving::Move;
use crate::parity;
use crate::place::{Place, Side};
use crate::preparation;
use crate::progress::Progress;
use crate::rollback::{self, Clearing};
use crate::state::State;
use crate::tree::{self, Trees};

mod report;

/// Source and target differ, or the work failed.
const FOUND: u8 = 1;

/// Moves a PostgreSQL database or a tree of files, and proves that nothing changed on the way (docs/data.md).
#[derive(Debug, Parser)]
#[command(
    name = "db-migrate",
    version,
    after_help = "Exit codes: 0 done, source and target are equal; 1 they differ, or the work failed; 2 wrong usage; 64 \
                  invalid address, directory or file of checks, or one database or directory as source and target."
)]
pub struct Arguments {
    /// Print the report as JSON, and progress as JSON lines on standard error.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Show what a move would do and what stands against it, and change nothing.
    Plan(Databases),
    /// Move the database: freeze the source, dump, restore, compare, check, release the source.
    Run {
        #[command(flatten)]
        databases: Databases,
        /// File of the application's own checks.
        #[arg(long, value_name = "FILE")]
        checks: Option<PathBuf>,
        /// Leave the source read-only after a good move, until `rollback`.
        #[arg(long)]
        hold: bool,
    },
    /// Compare source and target, and run checks on the target. Changes nothing, except for the copy of the checks.
    Verify {
        #[command(flatten)]
        databases: Databases,
        /// File of the application's own checks.
        #[arg(long, value_name = "FILE")]
        checks: Option<PathBuf>,
    },
    /// Let the source take writes again, also after a killed run, and empty the target if wanted.
    Rollback {
        #[command(flatten)]
        databases: Databases,
        /// Drop the target and create it again, empty.
        #[arg(long)]
        clear_target: bool,
        /// Do so even if the target was changed after the move, or was never found equal to the source.
        #[arg(long, requires = "clear_target")]
        discard_changes: bool,
    },
    /// Copy a tree of files with rsync, and compare every file.
    Files(Files),
}

/// The databases of a move. Passwords come from the file of PGPASSFILE, or from addresses in the environment.
#[derive(Debug, Args)]
struct Databases {
    /// The database that is moved, without a password [or DB_MIGRATE_SOURCE, with or without one].
    #[arg(long, value_name = "ADDRESS")]
    source: Option<String>,
    /// The empty database that it is moved to [or DB_MIGRATE_TARGET].
    #[arg(long, value_name = "ADDRESS")]
    target: Option<String>,
    /// Directory of the move: the record of its steps, and the dump.
    #[arg(long, value_name = "DIRECTORY", default_value = ".run/db-migrate")]
    state: PathBuf,
    /// Directory of pg_dump and pg_restore [default: those in PATH].
    #[arg(long, value_name = "DIRECTORY")]
    pg_bin: Option<PathBuf>,
    /// How long one step may take, in seconds. Six hours fit some 500 GB.
    #[arg(long, value_name = "SECONDS", default_value_t = 21_600, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    step_limit: u64,
}

/// The two trees.
#[derive(Debug, Args)]
struct Files {
    /// The directory that is copied.
    #[arg(long, value_name = "DIRECTORY")]
    source: PathBuf,
    /// The directory that receives its content.
    #[arg(long, value_name = "DIRECTORY")]
    target: PathBuf,
    /// Compare only, and copy nothing.
    #[arg(long)]
    verify: bool,
    /// Show what rsync would do, and change nothing.
    #[arg(long, conflicts_with = "verify")]
    plan: bool,
    /// Copy files whose content differs although size and time are equal: rsync reads every file on both sides.
    #[arg(long, conflicts_with = "verify")]
    checksum: bool,
    /// Delete from the target what the source does not have.
    #[arg(long, conflicts_with = "verify")]
    delete_extra: bool,
}

impl Databases {
    fn places(&self) -> Result<(Place, Place), Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        let source = Place::read(Side::Source, self.source.as_deref(), environment)?;
        Ok((source, Place::read(Side::Target, self.target.as_deref(), environment)?))
    }

    fn client(&self) -> Client {
        Client { binaries: self.pg_bin.clone() }
    }

    const fn limit(&self) -> Duration {
        Duration::from_secs(self.step_limit)
    }
}

/// Does what the arguments say, until `stop` ends.
pub async fn run(arguments: Arguments, stop: impl Future<Output = ()>) -> ExitCode {
    let progress = Progress::new(arguments.json);
    match execute(arguments, progress, stop).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FOUND),
        Err(failure) => {
            progress.event("db-migrate", &failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Returns whether source and target are as wanted.
async fn execute(
    Arguments { json, command }: Arguments,
    progress: Progress,
    stop: impl Future<Output = ()>,
) -> Result<bool, Failure> {
    match command {
        Command::Run { databases, checks, hold } => {
            let (source, target) = databases.places()?;
            let checks = checks.as_deref().map_or_else(|| Ok(Checks::default()), Checks::read)?;
            let mut state = State::open(&databases.state, &source.to_string(), &target.to_string())?;
            let (client, limit) = (databases.client(), databases.limit());
            let moving = Move { source, target, client, checks, hold, limit, progress };
            // A signal ends the steps, and releases the source.
            let outcome = Box::pin(moving.run(&mut state, stop)).await?;
            report::outcome(&outcome, json);
            Ok(outcome.is_good())
        }
        Command::Plan(databases) => unless_stopped(stop, plan(databases, json)).await,
        Command::Verify { databases, checks } => {
            unless_stopped(stop, verify(databases, checks, json, progress)).await
        }
        Command::Rollback { databases, clear_target, discard_changes } => {
            let clearing = match (clear_target, discard_changes) {
                (false, _) => Clearing::No,
                (true, false) => Clearing::Unchanged,
                (true, true) => Clearing::Always,
            };
            let (source, target) = databases.places()?;
            let mut state = State::open_existing(&databases.state, &source.to_string(), &target.to_string())?;
            let places = (&source, &target);
            let undone = Box::pin(rollback::rollback(places, &mut state, clearing, progress, stop)).await?;
            report::undone(undone, json);
            Ok(true)
        }
        Command::Files(files) => unless_stopped(stop, copy_files(files, json, progress)).await,
    }
}

async fn unless_stopped(
    stop: impl Future<Output = ()>,
    work: impl Future<Output = Result<bool, Failure>>,
) -> Result<bool, Failure> {
    tokio::select! {
        biased;
        () = stop => Err(Failure::Stopped),
        done = work => done,
    }
}

async fn plan(databases: Databases, json: bool) -> Result<bool, Failure> {
    let (source, target) = databases.places()?;
    let mut prepared = preparation::prepare(&source, &target, &databases.client()).await?;
    if prepared.target_has_tables {
        prepared.faults.push(format!("{target} is not empty; name an empty database"));
    }
    report::preparation(&prepared, &source, &target, json);
    Ok(prepared.faults.is_empty())
}

async fn verify(
    databases: Databases,
    checks: Option<PathBuf>,
    json: bool,
    progress: Progress,
) -> Result<bool, Failure> {
    let (source, target) = databases.places()?;
    let checks = checks.as_deref().map_or_else(|| Ok(Checks::default()), Checks::read)?;
    let parity = parity::compare(&source, &target, progress).await?;
    let failed_checks = checks.run(&target, databases.limit(), progress).await?;
    report::verified(&parity, &failed_checks, json);
    Ok(parity.is_equal() && failed_checks.is_empty())
}

async fn copy_files(files: Files, json: bool, progress: Progress) -> Result<bool, Failure> {
    let trees = Trees::between(&files.source, &files.target)?;
    let options =
        tree::Options { checksum: files.checksum, delete_extra: files.delete_extra, plan: files.plan };
    if files.plan {
        report::planned(&trees.copy(options, progress).await?, json);
        return Ok(true);
    }
    if !files.verify {
        trees.copy(options, progress).await?;
    }
    let parity = trees.compare(progress).await?;
    report::trees(&parity, json);
    Ok(parity.is_equal())
}
