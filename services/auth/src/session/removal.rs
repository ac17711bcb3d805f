//! Removes the sessions of a tenant that leaves.

use kit::{SubjectId, VerifiedTenant};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _, TransactionTrait as _,
};

use super::entity::{Column, Entity};
use super::{Sessions, person};
use crate::error::Error;

/// Sessions of one transaction.
const BATCH: u64 = 500;

impl Sessions {
    /// Removes all sessions of people of `tenant`, ended ones included, and what is known of people who have no other.
    ///
    /// Nothing is announced to the edge: it refuses every token of the tenant, which is suspended since before and
    /// deleted afterwards. In the legacy backend's Redis the sessions end here.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Legacy`]. Some may be removed then; the same call goes on.
    pub async fn remove(&self, tenant: VerifiedTenant) -> Result<(), Error> {
        loop {
            let some = Entity::find().filter(Column::TenantId.eq(tenant.id().0)).limit(BATCH);
            let some = some.all(&self.database).await.map_err(Error::Store)?;
            if some.is_empty() {
                return Ok(());
            }
            // The keys first: without its row a session would not be found again.
            self.lists().end_keys(&some).await?;
            let transaction = self.database.begin().await.map_err(Error::Store)?;
            Entity::delete_many()
                .filter(Column::Id.is_in(some.iter().map(|row| row.id)))
                .filter(Column::TenantId.eq(tenant.id().0))
                .exec(&transaction)
                .await
                .map_err(Error::Store)?;
            let people = some.iter().map(|row| SubjectId(row.user_id));
            person::remove_without_session(&transaction, people).await?;
            transaction.commit().await.map_err(Error::Store)?;
        }
    }
}
