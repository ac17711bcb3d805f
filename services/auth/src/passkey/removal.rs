//! Removes the passkeys of a tenant that leaves.

use kit::VerifiedTenant;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait as _, QueryFilter as _};

use super::Passkeys;
use super::entity::{Column, Entity};
use crate::error::Error;

impl Passkeys {
    /// Removes the passkeys of people of `tenant`. One that is older than the column of the tenant is found by a
    /// session of its owner, so remove passkeys before sessions.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn remove(&self, tenant: VerifiedTenant) -> Result<(), Error> {
        let tenant = tenant.id().0;
        let people = Query::select()
            .column("user_id")
            .from("auth_sessions")
            .and_where(Expr::col("tenant_id").eq(tenant))
            .take();
        let older = Condition::all()
            .add(ColumnTrait::is_null(&Column::TenantId))
            .add(ColumnTrait::in_subquery(&Column::UserId, people));
        let all = Condition::any().add(ColumnTrait::eq(&Column::TenantId, tenant)).add(older);
        Entity::delete_many().filter(all).exec(&self.database).await.map_err(Error::Store)?;
        Ok(())
    }
}
