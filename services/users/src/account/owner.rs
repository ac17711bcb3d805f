//! Whose data a query is about.

use sea_orm::{EntityTrait as _, QueryFilter as _, QuerySelect as _};
use uuid::Uuid;

use kit::{Member, Reach, SubjectId};

use super::entity::{Column, Entity};
use super::{Accounts, rows_in};
use crate::error::Error;

/// A person who exists in the tenant of the caller. Only [`Accounts`] makes one, so that no query of a person's data can
/// be written for a person of another tenant, or for an id that a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(SubjectId);

impl Owner {
    /// Returns the person's id, for the columns `user_id`.
    pub(crate) fn id(self) -> Uuid {
        self.0.0
    }
}

impl Accounts {
    /// Returns the caller as the owner of data.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account is gone, as the legacy backend answers; [`Error::Store`].
    pub async fn owner(&self, person: &Member) -> Result<Owner, Error> {
        self.own(person).await.map(|account| Owner(account.id))
    }

    /// Returns the person whom a service names, within its `reach`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn owner_in(&self, reach: Reach, id: SubjectId) -> Result<Owner, Error> {
        self.look_up(reach, &super::Key::Id(id)).await.map(|account| Owner(account.id))
    }

    /// Returns the existing ones of `ids`, within the `reach` of a service.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn owners_in(&self, reach: Reach, ids: &[SubjectId]) -> Result<Vec<Owner>, Error> {
        let query = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(sea_orm::ColumnTrait::is_in(&Column::Id, ids.iter().map(|id| id.0)))
            // A person whose tenant is not assigned yet is in no tenant's reach here.
            .filter(rows_in(reach, false));
        let found: Vec<Uuid> = query.into_tuple().all(&self.database).await.map_err(Error::Store)?;
        Ok(found.into_iter().map(|id| Owner(SubjectId(id))).collect())
    }
}
