//! `tenants rebuild`: makes the rows of tenants again of their histories.
//!
//! A row is what the events of its tenant's stream come to, kept in a table so that a list and the answer to an
//! authorizer read one row each. When rows are lost or wrong (a table that was restored from an older copy, a change by
//! hand), the histories have all of them: no one can change those. The service may run meanwhile. A row that it changes
//! at the same moment has a later version than was read here, and is left alone. The service writes a row together with
//! its history, so a row that is ahead of a history that is read after it was changed by hand.

use std::io::Write as _;

use events::store::{self, Projection, Stored};
use kit::TenantId;
use kit::answer::Chain;
use kit::startup::StartError;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{DatabaseConnection, EntityTrait as _};
use serde::Deserialize;
use time::OffsetDateTime;

use super::change::STREAMS;
use super::entity::{ActiveModel, Column, Entity, Model};
use crate::error::Error;
use crate::migrations;
use crate::standing::Standing;
use crate::tenant::Tenant;

/// What a rebuild came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Tenants with a history.
    pub tenants: u64,
    /// Rows that were missing or wrong, and are not any more.
    pub repaired: u64,
}

/// A tenant as far as its history was read.
#[derive(Debug, Default)]
struct Told {
    tenant: Option<Known>,
    /// The first event that cannot be understood.
    fault: Option<String>,
}

#[derive(Debug)]
struct Known {
    name: String,
    standing: Standing,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

/// The part of an event's data that a row has.
#[derive(Deserialize)]
struct Outcome {
    name: String,
    to: String,
}

impl Told {
    fn take(&mut self, event: &Stored) -> Result<(), String> {
        let Outcome { name, to } =
            serde_json::from_value(event.payload.clone()).map_err(|error| error.to_string())?;
        let standing = to.parse().map_err(|error: crate::standing::UnknownStanding| error.to_string())?;
        let updated_at = whole(event.recorded_at);
        let created_at = self.tenant.as_ref().map_or(updated_at, |known| known.created_at);
        self.tenant = Some(Known { name, standing, created_at, updated_at });
        Ok(())
    }
}

/// Returns `time` to the millisecond, as a row has it. The event store adds a nanosecond.
fn whole(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_millisecond(time.millisecond()).unwrap_or(time)
}

impl Projection for Told {
    fn apply(&mut self, event: &Stored) {
        if let Err(fault) = self.take(event)
            && self.fault.is_none()
        {
            self.fault = Some(format!("version {}: {fault}", event.version));
        }
    }
}

/// Makes the row of each tenant again of its history, where the row is missing or differs.
///
/// # Errors
/// [`Error::Store`], [`Error::History`]; [`Error::Unreadable`] for a history that this service never wrote. Rows that
/// were repaired before stay so, and a repetition goes on.
pub async fn rebuild(database: &DatabaseConnection) -> Result<Rebuilt, Error> {
    let (mut after, mut rebuilt) = (String::new(), Rebuilt::default());
    loop {
        let page = store::streams(database, STREAMS, &after, u16::MAX).await?;
        let Some(last) = page.last() else { return Ok(rebuilt) };
        after.clone_from(last);
        for stream in &page {
            rebuilt.tenants += 1;
            rebuilt.repaired += u64::from(repair(database, stream).await?);
        }
    }
}

/// Returns whether the row of the tenant with the history `stream` had to be repaired.
async fn repair(database: &DatabaseConnection, stream: &str) -> Result<bool, Error> {
    let tenant = in_history(database, stream).await?;
    let read: Option<Model> = Entity::find_by_id(tenant.id.0).one(database).await?;
    let first = read.as_ref().map(|row| row.version);
    if read.is_some_and(|row| Tenant::try_from(row).is_ok_and(|stored| stored == tenant)) {
        return Ok(false);
    }
    let version = tenant.version;
    if replace(database, tenant, version).await? {
        return Ok(true);
    }
    // The row is ahead of what was read of the history. Read behind the row, the history has all that the service wrote.
    let row: Option<Model> = Entity::find_by_id(id_of(stream)?.0).one(database).await?;
    let ahead = row.map(|row| row.version);
    let tenant = in_history(database, stream).await?;
    match ahead {
        Some(ahead) if ahead <= tenant.version => Ok(false),
        // It stands still, so it was changed by hand, and the service can change nothing of the tenant.
        Some(ahead) if first == Some(ahead) && replace(database, tenant, ahead).await? => Ok(true),
        _ => Err(Error::Unreadable(format!(
            "the row of the tenant with the history {stream} is ahead of it and was changed meanwhile; repeat the command"
        ))),
    }
}

/// Returns the id of the tenant with the history `stream`.
fn id_of(stream: &str) -> Result<TenantId, Error> {
    let id = stream.strip_prefix(STREAMS).unwrap_or_default();
    id.parse().map_err(|error| Error::Unreadable(format!("the history {stream}: {error}")))
}

/// Returns the tenant as its history has it.
async fn in_history(database: &DatabaseConnection, stream: &str) -> Result<Tenant, Error> {
    let unreadable = |what: String| Error::Unreadable(format!("the history {stream}: {what}"));
    let id = id_of(stream)?;
    let (told, version) = store::rebuild::<Told>(database, stream).await?;
    if let Some(fault) = told.fault {
        return Err(unreadable(fault));
    }
    let Known { name, standing, created_at, updated_at } =
        told.tenant.ok_or_else(|| unreadable("it is empty".to_owned()))?;
    Ok(Tenant { id, name, standing, version, created_at, updated_at })
}

/// Writes the row of `tenant`, unless there is one of a later version than `newest`. Returns whether it did.
async fn replace(database: &DatabaseConnection, tenant: Tenant, newest: i64) -> Result<bool, Error> {
    let Tenant { id, name, standing, version, created_at, updated_at } = tenant;
    let row = ActiveModel {
        id: Set(id.0),
        name: Set(name),
        standing: Set(standing.as_str().to_owned()),
        version: Set(version),
        created_at: Set(created_at),
        updated_at: Set(updated_at),
    };
    let mut replace = OnConflict::column(Column::Id);
    replace
        .update_columns([
            Column::Name,
            Column::Standing,
            Column::Version,
            Column::CreatedAt,
            Column::UpdatedAt,
        ])
        .action_and_where(Expr::col((Entity, Column::Version)).lte(newest));
    Ok(Entity::insert(row).on_conflict(replace).exec_without_returning(database).await? > 0)
}

/// The command.
///
/// # Errors
/// [`StartError`], which names the history that cannot be used.
pub async fn command(database: &DatabaseConnection) -> Result<(), StartError> {
    migrations::run(database).await?;
    let rebuilt = rebuild(database).await.map_err(|error| StartError::File(Chain(&error).to_string()))?;
    let Rebuilt { tenants, repaired } = rebuilt;
    // A closed standard output changes nothing.
    let _ = writeln!(std::io::stdout(), "{tenants} tenants, {repaired} rows repaired");
    Ok(())
}
