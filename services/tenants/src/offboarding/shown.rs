//! Where an offboarding stands, for those who may see its tenant.

use kit::{Reach, TenantId};
use sea_orm::EntityTrait as _;

use super::Offboarding;
use super::entity::Entity;
use crate::error::Error;
use crate::tenants::Tenants;

impl Tenants {
    /// Returns where the offboarding of the tenant `id` stands.
    ///
    /// # Errors
    /// [`Error::NotFound`], when it has none or is not in `reach`; [`Error::Store`].
    pub async fn offboarding(&self, reach: Reach, id: TenantId) -> Result<Offboarding, Error> {
        if !reach.contains(Some(id)) {
            return Err(Error::NotFound);
        }
        let row = Entity::find_by_id(id.0).one(self.database()).await?.ok_or(Error::NotFound)?;
        Offboarding::try_from(&row)
    }
}
