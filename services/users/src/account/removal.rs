//! Removes all people of a tenant that leaves, in two steps, because the second cannot be undone.
//!
//! The removal is prepared first: a row that says so. Only then does a request remove people, so one wrong request removes
//! no person. What belongs to a person (tastes, histories, notifications) goes with the person's row. The row of the removal
//! stays, so that a repeated request finds that it was prepared.

pub mod entity;

use kit::VerifiedTenant;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _};
use uuid::Uuid;

use super::Accounts;
use super::entity::{Column, Entity};
use crate::error::Error;

/// People of one statement. Each takes some rows of other tables along, and a statement locks all of them.
const BATCH: u64 = 500;

/// What a request to remove people came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The tenant has no people any more.
    Done,
    /// The removal was not prepared, so no person was removed.
    NotPrepared,
}

impl Accounts {
    /// Prepares the removal of the people of `tenant`. A second time changes nothing.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn prepare_removal(&self, tenant: VerifiedTenant) -> Result<(), Error> {
        let row = entity::ActiveModel { tenant_id: Set(tenant.id().0), prepared_at: Set(self.now()) };
        let once = OnConflict::column(entity::Column::TenantId).do_nothing().to_owned();
        let written = entity::Entity::insert(row).on_conflict(once).exec_without_returning(&self.database);
        written.await.map(drop).map_err(Error::Store)
    }

    /// Takes the preparation back. Without one nothing changes.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn take_removal_back(&self, tenant: VerifiedTenant) -> Result<(), Error> {
        let gone = entity::Entity::delete_by_id(tenant.id().0).exec(&self.database);
        gone.await.map(drop).map_err(Error::Store)
    }

    /// Removes the people of `tenant`, some at a time. A request that was cut off goes on when it is repeated.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn remove_people(&self, tenant: VerifiedTenant) -> Result<Removal, Error> {
        let id = tenant.id().0;
        let prepared = entity::Entity::find_by_id(id).one(&self.database).await.map_err(Error::Store)?;
        if prepared.is_none() {
            return Ok(Removal::NotPrepared);
        }
        loop {
            let some = Entity::find()
                .select_only()
                .column(Column::Id)
                .filter(Column::TenantId.eq(id))
                .limit(BATCH)
                .into_tuple::<Uuid>()
                .all(&self.database)
                .await
                .map_err(Error::Store)?;
            if some.is_empty() {
                return Ok(Removal::Done);
            }
            Entity::delete_many()
                .filter(Column::Id.is_in(some))
                .filter(Column::TenantId.eq(id))
                .exec(&self.database)
                .await
                .map_err(Error::Store)?;
        }
    }
}
