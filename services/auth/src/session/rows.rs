//! The rows of sessions: how they are found, written and grouped into families.

use clock::UnixTime;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _,
};
use uuid::Uuid;

use super::entity::{ActiveModel, Column, Entity, Model};
use crate::error::Error;
use crate::legacy::token::Proved;
use crate::token::{ACCESS_LIFETIME, Genuine, Holder, Pair};

/// Stores the session of `pair`, which begins at `now`, in the family that began at second `began`.
pub(super) async fn insert(
    database: &impl ConnectionTrait,
    holder: &Holder,
    pair: &Pair,
    (family, began): (Uuid, i64),
    now: UnixTime,
) -> Result<(), Error> {
    let row = ActiveModel {
        id: Set(pair.session.0),
        user_id: Set(holder.subject.0),
        tenant_id: Set(holder.tenant.0),
        refresh_id: Set(pair.refresh_id),
        created_at: Set(seconds(now)),
        access_expires_at: Set(seconds(pair.access_expires)),
        refresh_expires_at: Set(seconds(pair.refresh_expires)),
        family_id: Set(Some(family)),
        family_began_at: Set(Some(began)),
        dead_from: Set(None),
    };
    Entity::insert(row).exec_without_returning(database).await.map_err(Error::Store)?;
    Ok(())
}

/// Stores the session of `token` as one that ended at `now`, if no row has its id.
pub(super) async fn insert_dead(
    database: &impl ConnectionTrait,
    token: &Genuine,
    now: UnixTime,
) -> Result<(), Error> {
    let row = ActiveModel {
        id: Set(token.session.0),
        user_id: Set(token.subject.0),
        tenant_id: Set(token.tenant.0),
        refresh_id: Set(token.id),
        created_at: Set(seconds(token.issued)),
        access_expires_at: Set(seconds(token.issued.plus(ACCESS_LIFETIME))),
        refresh_expires_at: Set(seconds(token.expires)),
        family_id: Set(Some(token.session.0)),
        family_began_at: Set(Some(seconds(token.issued))),
        dead_from: Set(Some(seconds(now))),
    };
    let known = OnConflict::column(Column::Id).do_nothing().to_owned();
    Entity::insert(row).on_conflict(known).exec_without_returning(database).await.map_err(Error::Store)?;
    Ok(())
}

/// The row of the session of `token`, if its person has it in its tenant.
pub(super) async fn find(database: &impl ConnectionTrait, token: &Genuine) -> Result<Option<Model>, Error> {
    let own = Entity::find_by_id(token.session.0)
        .filter(Column::UserId.eq(token.subject.0))
        .filter(Column::TenantId.eq(token.tenant.0));
    own.one(database).await.map_err(Error::Store)
}

/// The row of the session of a token of the legacy backend, if its person has it. Such a token says nothing of a
/// tenant.
pub(super) async fn find_legacy(
    database: &impl ConnectionTrait,
    token: &Proved,
) -> Result<Option<Model>, Error> {
    let own = Entity::find_by_id(token.session.0).filter(Column::UserId.eq(token.subject.0));
    own.one(database).await.map_err(Error::Store)
}

/// Returns the family of `row`, and when it began.
pub(super) fn family_of(row: &Model) -> (Uuid, i64) {
    (family(row), row.family_began_at.unwrap_or(row.created_at))
}

/// Returns the family of `row`: its own id when a version without families wrote it.
pub(super) fn family(row: &Model) -> Uuid {
    row.family_id.unwrap_or(row.id)
}

/// Selects the rows of `family`, those that a version without families wrote included.
pub(super) fn of_family(family: Uuid) -> Condition {
    Condition::any().add(Column::FamilyId.eq(family)).add(Column::Id.eq(family))
}

/// Selects the row of `old` while it is neither refreshed nor ended.
pub(super) fn unused(old: &Genuine) -> Condition {
    Condition::all().add(Column::RefreshId.eq(old.id)).add(Column::DeadFrom.is_null())
}

/// Converts a time to the format of the tables.
pub(crate) fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.seconds()).unwrap_or(i64::MAX)
}
