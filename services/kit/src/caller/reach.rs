//! Which tenants' data a verified service may reach.

use super::{PlatformService, ServiceCaller};
use crate::id::TenantId;
use crate::tenant::{Reach, VerifiedTenant};

impl PlatformService {
    /// Returns the proof for `tenant`, for which this service acts in this request. A platform service may act for every
    /// tenant; it names one, so that a query touches that one alone.
    #[must_use]
    pub const fn on_behalf_of(&self, tenant: TenantId) -> VerifiedTenant {
        VerifiedTenant::proved(tenant)
    }
}

impl From<&PlatformService> for Reach {
    fn from(_: &PlatformService) -> Self {
        Self::of_all()
    }
}

impl From<&ServiceCaller> for Reach {
    fn from(caller: &ServiceCaller) -> Self {
        match caller {
            ServiceCaller::Platform(service) => service.into(),
            ServiceCaller::Tenant(service) => service.tenant.into(),
        }
    }
}
