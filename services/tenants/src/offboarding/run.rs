//! Takes the steps of offboardings, until it is stopped. Any number of workers of any number of processes may run.

use std::time::Duration;

use identity::ServiceName;
use kit::TenantId;
use kit::answer::Chain;
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    TransactionTrait as _,
};
use tokio::sync::watch;
use tokio::time::sleep;

use super::entity::{ActiveModel, Column, Entity, Model};
use super::participants::{CALL_WITHIN, NotDone, Participants};
use super::progress::{Phase, Progress, Task};
use super::{Offboarding, millis};
use crate::error::Error;
use crate::metrics::Steps;
use crate::standing::{Change, Kept, Next, Standing};
use crate::tenant::Author;
use crate::tenants::Tenants;

/// How often a worker looks for offboardings that another process began, or whose worker was killed.
const POLL: Duration = Duration::from_secs(1);

/// How long a worker has an offboarding for one step: the call, and time for the database.
const LEASE: Duration = CALL_WITHIN.saturating_add(Duration::from_secs(10));

/// How often a preparation is tried before the offboarding is undone: about five minutes with the pauses between. A service
/// that is away for longer is not about to come back, and the tenant waits.
const MAX_PREPARATIONS: i32 = 10;

/// The first pause after a failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause. A removal that fails is repeated for good, so this is the load of a lasting fault.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A worker of offboardings.
#[derive(Clone, Debug)]
pub struct Offboarder {
    tenants: Tenants,
    participants: Participants,
    me: ServiceName,
    steps: Steps,
}

impl Offboarder {
    /// A worker for the offboardings of `tenants`, which calls `participants` as the service `me` and counts its `steps`.
    #[must_use]
    pub const fn new(tenants: Tenants, participants: Participants, me: ServiceName, steps: Steps) -> Self {
        Self { tenants, participants, me, steps }
    }

    /// Runs until `stop` is true or its sender is gone. A step that has begun is finished. It may also be killed at any moment:
    /// what was not recorded is done again.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let wake = std::sync::Arc::clone(&self.tenants.news().offboardings);
        while !*stop.borrow() && stop.has_changed().is_ok() {
            match self.turn().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::error!(error = %Chain(&error), "an offboarding waits; retrying"),
            }
            tokio::select! {
                () = wake.notified() => {}
                () = sleep(POLL) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }

    /// Takes one step of one offboarding that is due, and returns whether there was one.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn turn(&self) -> Result<bool, Error> {
        let now = millis(self.tenants.clock().now());
        let open = [Phase::Preparing, Phase::Removing, Phase::Undoing].map(Phase::as_str);
        let due = Entity::find()
            .filter(Column::Phase.is_in(open))
            .filter(Column::FreeAt.lte(now))
            .order_by_asc(Column::FreeAt)
            .limit(1)
            .one(self.tenants.database())
            .await?;
        let Some(row) = due else { return Ok(false) };
        let claim = row.claim.saturating_add(1);
        let lease = ActiveModel { claim: Set(claim), free_at: Set(later(now, LEASE)), ..Default::default() };
        if !self.record(self.tenants.database(), &row, row.claim, lease).await? {
            // Another worker was faster; there may be more.
            return Ok(true);
        }
        self.step(&row, claim).await?;
        Ok(true)
    }

    async fn step(&self, row: &Model, claim: i64) -> Result<(), Error> {
        let Offboarding { tenant, progress, .. } = Offboarding::try_from(row)?;
        let Some(task) = progress.task() else { return Ok(()) };
        match &task {
            Task::Prepare(_) | Task::Remove(_) | Task::TakeBack(_) => {
                match self.participants.take(&task, tenant).await {
                    Ok(()) => self.advance(row, claim, &progress.after(&task), &task).await,
                    Err(fault) => self.failed(row, claim, &progress, &task, &fault).await,
                }
            }
            Task::Delete => self.end(row, claim, &progress.after(&task), (&task, Change::Delete)).await,
            Task::Restore => {
                let kept = match row.kept.parse::<Standing>()?.kept() {
                    Some(kept) => kept,
                    // Never written; the safer of the two.
                    None => Kept::Suspended,
                };
                self.end(row, claim, &progress.after(&task), (&task, Change::Restore(kept))).await
            }
        }
    }

    /// Records that the present step is done.
    async fn advance(&self, row: &Model, claim: i64, progress: &Progress, task: &Task) -> Result<(), Error> {
        let now = millis(self.tenants.clock().now());
        let last_error = Set(row.last_error.clone().filter(|_| progress.phase == Phase::Undoing));
        let done = ActiveModel { attempts: Set(0), last_error, free_at: Set(now), ..changed(progress) };
        if self.record(self.tenants.database(), row, claim, done).await? {
            self.steps.count(task.name(), "done");
        }
        Ok(())
    }

    /// Records that the present step failed: it is repeated after a pause, or everything is undone.
    async fn failed(
        &self,
        row: &Model,
        claim: i64,
        progress: &Progress,
        task: &Task,
        fault: &NotDone,
    ) -> Result<(), Error> {
        let attempts = row.attempts.saturating_add(1);
        let is_final = match (task, fault) {
            (Task::Prepare(_), NotDone::Refused { .. }) => true,
            (Task::Prepare(_), NotDone::Failed { .. }) => attempts >= MAX_PREPARATIONS,
            // Nothing leads back from a removal, and what was prepared has to be taken back.
            (Task::Remove(_) | Task::TakeBack(_) | Task::Delete | Task::Restore, _) => false,
        };
        tracing::warn!(tenant = %TenantId(row.tenant_id), %fault, attempts, is_final, "a step of an offboarding failed");
        let now = millis(self.tenants.clock().now());
        let last_error = Set(Some(fault.to_string()));
        let change = if is_final {
            ActiveModel { attempts: Set(0), last_error, free_at: Set(now), ..changed(&progress.refused()) }
        } else {
            let free_at = Set(later(now, pause(attempts)));
            ActiveModel { attempts: Set(attempts), last_error, free_at, ..Default::default() }
        };
        if self.record(self.tenants.database(), row, claim, change).await? {
            self.steps.count(task.name(), if is_final { "undone" } else { "failed" });
        }
        Ok(())
    }

    /// Ends the offboarding and changes the tenant, in one transaction.
    async fn end(
        &self,
        row: &Model,
        claim: i64,
        progress: &Progress,
        (task, change): (&Task, Change),
    ) -> Result<(), Error> {
        let (id, now) = (TenantId(row.tenant_id), self.tenants.clock().now());
        let tenant = self.tenants.find(id).await?.ok_or(Error::NotFound)?;
        let author = Author::going_on(self.me.clone(), row.request_id.clone(), row.reason.clone());
        let written = self.tenants.database().begin().await?;
        let done = ActiveModel { attempts: Set(0), free_at: Set(millis(now)), ..changed(progress) };
        if !self.record(&written, row, claim, done).await? {
            written.rollback().await?;
            return Ok(());
        }
        if let Next::To(to) = tenant.standing.after(change)? {
            let moved = self.tenants.move_to(&written, &tenant, to, change, &author, now).await?;
            if moved.is_none() {
                written.rollback().await?;
                return Err(Error::Busy);
            }
        }
        written.commit().await?;
        self.steps.count(task.name(), "done");
        self.tenants.wake();
        Ok(())
    }

    /// Changes the row, unless another worker has taken it over since `claim`. Returns whether it did.
    async fn record(
        &self,
        connection: &impl ConnectionTrait,
        row: &Model,
        claim: i64,
        change: ActiveModel,
    ) -> Result<bool, Error> {
        let done = Entity::update_many()
            .set(change)
            .filter(Column::TenantId.eq(row.tenant_id))
            .filter(Column::Claim.eq(claim))
            .exec(connection)
            .await?;
        Ok(done.rows_affected == 1)
    }
}

fn changed(progress: &Progress) -> ActiveModel {
    let step = i32::try_from(progress.step).unwrap_or(i32::MAX);
    ActiveModel { phase: Set(progress.phase.as_str().to_owned()), step: Set(step), ..Default::default() }
}

fn later(now: i64, wait: Duration) -> i64 {
    now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

/// The pause after `failures` failures of one step. Offboardings are few, so their pauses need no spread.
fn pause(failures: i32) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(0).min(16);
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let seconds = [0, 1, 2, 3, 6, 7, i32::MAX].map(|failures| pause(failures).as_secs());
        assert_eq!(seconds, [1, 1, 2, 4, 32, 60, 60]);
    }
}
