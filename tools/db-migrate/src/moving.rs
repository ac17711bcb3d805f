//! The steps of a move. Each is recorded when it is done, so the same command goes on after an end at any point:
//!
//! | the process ends | then |
//! |---|---|
//! | by a signal, or a failed step | the source takes writes again at once; the next run begins with a new dump |
//! | by SIGKILL, or with the machine | the source stays read-only; the next run goes on, `rollback` releases it |
//!
//! A dump counts only for the freeze that it was made in: when the source takes writes again, the dump is void.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::application::{Checks, FailedCheck};
use crate::client::{self, Client};
use crate::failure::Failure;
use crate::freeze;
use crate::parity::{self, Parity};
use crate::place::Place;
use crate::preparation;
use crate::progress::Progress;
use crate::state::State;

/// A move and its parts.
#[derive(Debug)]
pub struct Move {
    /// The database that is moved.
    pub source: Place,
    /// The empty database that it is moved to.
    pub target: Place,
    /// The programs of PostgreSQL.
    pub client: Client,
    /// Checks of the application's own.
    pub checks: Checks,
    /// Whether the source stays read-only after a move without differences.
    pub hold: bool,
    /// How long one step may take.
    pub limit: Duration,
    /// Receives what happens.
    pub progress: Progress,
}

/// The result of a move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The comparison of both databases.
    pub parity: Parity,
    /// Checks that did not hold. Not run when the databases differ.
    pub failed_checks: Vec<FailedCheck>,
    /// Whether the source is still read-only.
    pub source_is_read_only: bool,
    /// The dump.
    pub dump: PathBuf,
}

impl Outcome {
    /// Returns whether the target can take over.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.parity.is_equal() && self.failed_checks.is_empty()
    }
}

impl Move {
    /// Moves the database. Ends early when `stop` does. In every case but a good end with `hold`, the source takes writes
    /// again when this returns.
    ///
    /// # Errors
    /// [`Failure`]. If the source could not be released either, the error says so first.
    pub async fn run(&self, state: &mut State, stop: impl Future<Output = ()>) -> Result<Outcome, Failure> {
        // Services may write to the target since, so it differs from the source, and a move that fails releases the
        // source: then both would take writes.
        if state.steps.held {
            return Err(Failure::State(format!(
                "this move is done, and {} is held read-only; `db-migrate verify` compares again, `db-migrate rollback` lets it \
                 take writes again",
                self.source
            )));
        }
        let ended = tokio::select! {
            biased;
            () = stop => Err(Failure::Stopped),
            outcome = self.steps(state) => outcome,
        };
        let is_good = ended.as_ref().is_ok_and(Outcome::is_good);
        if is_good && self.hold {
            state.steps.held = true;
            state.record()?;
            return ended;
        }
        if let Some(frozen) = state.steps.frozen.clone() {
            let released = freeze::release(&self.source, &frozen).await;
            if let Err(failure) = released.and_then(|()| state.released()) {
                let earlier =
                    ended.err().map(|failure| format!("; before that: {failure}")).unwrap_or_default();
                return Err(Failure::State(format!(
                    "THE SOURCE IS STILL READ-ONLY: {failure}; run `db-migrate rollback` with the same arguments{earlier}"
                )));
            }
            self.progress.event("release", "the source takes writes again");
        }
        ended.map(|outcome| Outcome { source_is_read_only: false, ..outcome })
    }

    async fn steps(&self, state: &mut State) -> Result<Outcome, Failure> {
        self.prepare(state).await?;
        self.limited("freeze", self.freeze(state)).await?;
        self.limited("dump", self.dump(state)).await?;
        self.limited("restore", self.restore(state)).await?;
        let parity = Box::pin(parity::compare(&self.source, &self.target, self.progress));
        let parity = self.limited("compare", parity).await?;
        let mut failed_checks = Vec::new();
        if parity.is_equal() {
            state.steps.content = Some(parity.target_content.clone());
            state.record()?;
            failed_checks = self.checks.run(&self.target, self.limit, self.progress).await?;
        }
        Ok(Outcome { parity, failed_checks, source_is_read_only: true, dump: state.dump_file() })
    }

    /// Looks at both databases, and at what an earlier run left.
    async fn prepare(&self, state: &mut State) -> Result<(), Failure> {
        let prepared = preparation::prepare(&self.source, &self.target, &self.client).await?;
        let mut faults = prepared.faults;
        faults.extend(self.checks.obstacles(&self.target).await?);
        for note in prepared.notes {
            self.progress.event("prepare", &note);
        }
        let mut connection = self.source.connect().await?;
        let is_frozen = freeze::is_frozen(&self.source, &mut connection).await?;
        Place::close(connection).await;
        if state.steps.frozen.is_some() && !is_frozen {
            // Something released the source since, and it may have changed.
            state.released()?;
        }
        let steps = &mut state.steps;
        // The restore of a killed process may have been complete.
        steps.restored |= steps.restoring && prepared.target_has_tables;
        if steps.restored && steps.dump.is_none() {
            // Without a record of equality, a rollback cannot see whether the target was changed.
            let discard = if steps.content.is_some() { "" } else { " --discard-changes" };
            return Err(Failure::State(format!(
                "{} was restored before, and the source took writes since; `db-migrate verify` compares them, `db-migrate \
                 rollback --clear-target{discard}` prepares another move",
                self.target
            )));
        }
        if !steps.restored && prepared.target_has_tables {
            faults.push(format!("{} is not empty; name an empty database", self.target));
        }
        if faults.is_empty() { Ok(()) } else { Err(Failure::Unready(faults)) }
    }

    async fn freeze(&self, state: &mut State) -> Result<(), Failure> {
        let mut connection = self.source.connect().await?;
        if state.steps.frozen.is_none() {
            // Recorded before it happens, so that it can be undone after a kill.
            state.steps.frozen = Some(freeze::previous(&self.source, &mut connection).await?);
            state.record()?;
        }
        let ended = freeze::freeze(&self.source, &mut connection).await?;
        Place::close(connection).await;
        self.progress.event("freeze", &format!("the source is read-only; {ended} sessions were ended"));
        Ok(())
    }

    async fn dump(&self, state: &mut State) -> Result<(), Failure> {
        let file = state.dump_file();
        if let Some(dump) = &state.steps.dump
            && client::measure(&file).await.is_ok_and(|found| found == *dump)
        {
            self.progress.event("dump", "done in an earlier run");
            return Ok(());
        }
        let dump = self.client.dump(&self.source, &file, self.progress).await?;
        self.progress.event("dump", &format!("{} bytes, sha256 {}", dump.bytes, dump.sha256));
        state.steps.dump = Some(dump);
        state.record()
    }

    async fn restore(&self, state: &mut State) -> Result<(), Failure> {
        if state.steps.restored {
            self.progress.event("restore", "done in an earlier run");
        } else {
            if state.steps.restoring {
                let ended = freeze::end_orphans(&self.target).await?;
                self.progress.event("restore", &format!("{ended} sessions of an earlier run were ended"));
            }
            state.steps.restoring = true;
            state.record()?;
            self.client.restore(&state.dump_file(), &self.target, self.progress).await?;
            state.steps.restored = true;
            self.progress.event("restore", "done");
        }
        state.record()
    }

    async fn limited<T>(
        &self,
        step: &'static str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let done = tokio::time::timeout(self.limit, work).await;
        done.map_err(|_| Failure::Slow { step, limit: self.limit })?
    }
}
