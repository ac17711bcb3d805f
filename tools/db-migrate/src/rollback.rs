//! Undoes a move: the source takes writes again, and the target becomes empty if that is wanted.

use serde::Serialize;
use sqlx::Row as _;

use crate::application::{self, maintain};
use crate::failure::Failure;
use crate::freeze::{self, identifier};
use crate::parity;
use crate::place::Place;
use crate::progress::Progress;
use crate::state::State;

/// How the target was created, so that it can be created again.
const CREATED: &str = "
    SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L',
        d.datname, r.rolname, pg_encoding_to_char(d.encoding), d.datcollate, d.datctype)
    FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = current_database()";

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

/// Undoes the move that `state` records. Doing this twice does no harm.
///
/// # Errors
/// [`Failure`]; [`Failure::State`] if the target is not this move's, or was changed.
pub async fn rollback(
    source: &Place,
    target: &Place,
    state: &mut State,
    clearing: Clearing,
    progress: Progress,
) -> Result<Undone, Failure> {
    let mut undone = Undone { source_released: false, target_cleared: false };
    // The source first: its writers wait for it.
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
    if clearing == Clearing::Unchanged
        && let Some(recorded) = &state.steps.content
        && parity::content_of(target).await? != *recorded
    {
        return Err(Failure::State(format!(
            "{target} was changed after the move; to lose these changes, run `rollback --clear-target --discard-changes`"
        )));
    }
    let mut connection = target.connect().await?;
    let row = sqlx::query(CREATED).fetch_one(&mut connection).await.map_err(|error| target.failed(error))?;
    let create: String = row.try_get(0).map_err(|error| target.failed(error))?;
    Place::close(connection).await;
    let drop = format!("DROP DATABASE {} WITH (FORCE)", identifier(target.database()));
    maintain(target, vec![drop, create]).await?;
    state.steps.restoring = false;
    state.steps.restored = false;
    state.steps.content = None;
    state.record()?;
    undone.target_cleared = true;
    progress.event("clear", "the target is empty");
    Ok(undone)
}
