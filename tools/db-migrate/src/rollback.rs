//! Undoes a move: the source takes writes again, and the target becomes empty if that is wanted.

use serde::Serialize;

use crate::application::{self, maintain};
use crate::failure::Failure;
use crate::freeze::{self, identifier};
use crate::identity;
use crate::parity;
use crate::place::Place;
use crate::progress::Progress;
use crate::recreation;
use crate::state::State;

/// What becomes of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clearing {
    /// It stays as it is.
    No,
    /// It becomes empty, unless it changed since it was compared.
    Unchanged,
    /// It becomes empty, whatever was written to it.
    Always,
}

/// What was undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// Whether the source was read-only and takes writes again.
    pub source_released: bool,
    /// Whether the target is empty now.
    pub target_cleared: bool,
}

/// Undoes the move that `state` records. Doing this twice does no harm. `stop` ends the comparison that comes before
/// the target is cleared, which can take long, and nothing else.
///
/// # Errors
/// [`Failure`]; [`Failure::State`] if the target was changed, or was never equal to the source.
pub async fn rollback(
    (source, target): (&Place, &Place),
    state: &mut State,
    clearing: Clearing,
    progress: Progress,
    stop: impl Future<Output = ()>,
) -> Result<Undone, Failure> {
    let mut undone = Undone { source_released: false, target_cleared: false };
    // The source first: its writers wait for it, and the target may be out of reach.
    if let Some(frozen) = state.steps.frozen.clone() {
        freeze::release(source, &frozen).await?;
        state.released()?;
        undone.source_released = true;
        progress.event("release", "the source takes writes again");
    }
    if clearing == Clearing::No {
        return Ok(undone);
    }
    application::drop_copy(target).await?;
    if !state.steps.restoring {
        progress.event("clear", "nothing was restored into the target");
        return Ok(undone);
    }
    // A run that was killed between the two statements left no database, and there is nothing to lose.
    if application::exists(target).await? {
        distinct(source, target).await?;
        if clearing == Clearing::Unchanged {
            tokio::select! {
                biased;
                () = stop => return Err(Failure::Stopped),
                unchanged = unchanged(target, state, progress) => unchanged?,
            }
        }
        if state.steps.recreation.is_none() {
            state.steps.recreation = Some(recreation::statements(target).await?);
            state.record()?;
        }
    }
    let Some(recreation) = state.steps.recreation.clone() else {
        return Err(Failure::State(format!(
            "{target} does not exist; create it as it was before, empty, and run the same command again"
        )));
    };
    let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(target.database()));
    maintain(target, std::iter::once(drop).chain(recreation).collect()).await?;
    state.steps.restoring = false;
    state.steps.restored = false;
    state.steps.content = None;
    state.steps.recreation = None;
    state.record()?;
    undone.target_cleared = true;
    progress.event("clear", "the target is empty");
    Ok(undone)
}

async fn distinct(source: &Place, target: &Place) -> Result<(), Failure> {
    let (mut from, mut to) = tokio::try_join!(source.connect(), target.connect())?;
    identity::distinct((source, &mut from), (target, &mut to)).await?;
    Place::close(from).await;
    Place::close(to).await;
    Ok(())
}

/// Refuses a target that may have what the source has not.
async fn unchanged(target: &Place, state: &State, progress: Progress) -> Result<(), Failure> {
    let refused = |what: &str| {
        Failure::State(format!(
            "{target} {what}; to lose what is in it, run `rollback --clear-target --discard-changes`"
        ))
    };
    let Some(recorded) = &state.steps.content else {
        return Err(refused(
            "was never found equal to the source, so nothing shows whether it was changed after the move",
        ));
    };
    if parity::content_of(target, progress).await? == *recorded {
        Ok(())
    } else {
        Err(refused("was changed after the move"))
    }
}
