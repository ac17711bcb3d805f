//! Which tenants' data a verified service may reach.

use super::{PlatformService, ServiceCaller};
use crate::id::TenantId;
use crate::tenant::{Reach, VerifiedTenant};

impl PlatformService {
    /// Returns the proof for `tenant`, for which this service acts in this request. A platform service may act for every
    /// tenant; it names one, so that a query touches that one alone. That it does so is logged under the target
    /// `audit`, within the span of the request, which has its id. A service that announces events for the audit writes
    /// one with what it changes then; docs/events.md names them. The others leave this line alone.
    #[must_use]
    pub fn on_behalf_of(&self, tenant: TenantId) -> VerifiedTenant {
        tracing::info!(target: "audit", service = %self.name, %tenant, "a platform service acts for a tenant");
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
