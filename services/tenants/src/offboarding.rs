//! The removal of a tenant, as a saga: steps that are stored, and undone when one cannot be taken.
//!
//! ```text
//! suspended at the edge ─▶ prepare users ─▶ prepare … ─▶│─▶ remove users ─▶ remove … ─▶ deleted
//!         ▲                     │ refused, or no answer  │
//!         └── take back … ◀─────┘ after all attempts     └ nothing leads back from here
//! ```
//!
//! * The tenant is suspended in the transaction that begins the offboarding, so its people change nothing meanwhile.
//! * *Prepare* asks each service whether it can remove the tenant's data. A refusal undoes what was prepared, in reverse, and
//!   the tenant is what it was before.
//! * *Remove* deletes. Removed data cannot be given back, so from the first removal on every step is repeated until it
//!   succeeds.
//! * Each step is a call that a service can get twice: this service may be killed between the call and the record of it, and
//!   another process then takes the same step again. [`progress`] is the pure part, [`run`] the worker.

pub(crate) mod entity;
pub mod participants;
pub mod progress;
pub mod run;
mod shown;

use clock::UnixTime;
use identity::ServiceName;
use kit::TenantId;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseTransaction, DbErr, EntityTrait as _};

use crate::error::Error;
use crate::standing::Kept;
use crate::tenant::Author;
use entity::{ActiveModel, Column, Entity, Model};
use progress::{Phase, Progress};

/// Where the offboarding of a tenant stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offboarding {
    /// The tenant.
    pub tenant: TenantId,
    /// How far it is.
    pub progress: Progress,
    /// How often the present step has failed.
    pub attempts: i32,
    /// Why it failed last, or why everything was undone.
    pub last_error: Option<String>,
}

/// Begins the offboarding of `tenant` in the transaction that changes its standing. An older one that was undone is
/// replaced.
pub(crate) async fn begin(
    written: &DatabaseTransaction,
    tenant: TenantId,
    kept: Kept,
    participants: &[ServiceName],
    author: &Author,
    now: UnixTime,
) -> Result<(), DbErr> {
    let names: Vec<&str> = participants.iter().map(ServiceName::as_str).collect();
    let row = ActiveModel {
        tenant_id: Set(tenant.0),
        kept: Set(kept.standing().as_str().to_owned()),
        // Stored with the offboarding: another list after a restart would give the steps another meaning.
        participants: Set(names.join(",")),
        phase: Set(Phase::Preparing.as_str().to_owned()),
        step: Set(0),
        attempts: Set(0),
        last_error: Set(None),
        begun_by: Set(author.service().to_string()),
        request_id: Set(author.request_id().to_owned()),
        reason: Set(author.reason().map(str::to_owned)),
        claim: Set(0),
        free_at: Set(millis(now)),
    };
    let columns = [
        Column::Kept,
        Column::Participants,
        Column::Phase,
        Column::Step,
        Column::Attempts,
        Column::LastError,
        Column::BegunBy,
        Column::RequestId,
        Column::Reason,
        Column::FreeAt,
    ];
    // The claim of an older one stays and goes on: a worker that is late with that one must not record anything in
    // this.
    let again = OnConflict::column(Column::TenantId).update_columns(columns).to_owned();
    Entity::insert(row).on_conflict(again).exec_without_returning(written).await.map(drop)
}

/// `time` as a column.
pub(crate) fn millis(time: UnixTime) -> i64 {
    i64::try_from(time.millis()).unwrap_or(i64::MAX)
}

impl TryFrom<&Model> for Offboarding {
    type Error = Error;

    fn try_from(row: &Model) -> Result<Self, Error> {
        let unreadable =
            |what: String| Error::Unreadable(format!("offboarding of {}: {what}", row.tenant_id));
        let phase = row.phase.parse::<Phase>().map_err(|error| unreadable(error.to_string()))?;
        let names = row.participants.split(',').filter(|name| !name.is_empty());
        let participants = names
            .map(str::parse::<ServiceName>)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unreadable(error.to_string()))?;
        let step = usize::try_from(row.step).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self {
            tenant: TenantId(row.tenant_id),
            progress: Progress { phase, step, participants },
            attempts: row.attempts,
            last_error: row.last_error.clone(),
        })
    }
}
