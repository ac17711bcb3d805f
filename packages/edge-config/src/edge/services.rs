//! The tenants for which a service may act.

use identity::TenantId;

/// The tenants for which a service may get a token. A service without a tenant in its token acts for the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServiceTenants {
    /// None: a tenant that is not listed is not allowed.
    #[default]
    None,
    /// These tenants.
    Listed(Vec<TenantId>),
    /// Every tenant, `tenants: any`.
    Any,
}

impl ServiceTenants {
    /// The listed tenants; none when every tenant is allowed.
    #[must_use]
    pub fn listed(&self) -> &[TenantId] {
        match self {
            Self::Listed(tenants) => tenants,
            Self::None | Self::Any => &[],
        }
    }

    /// Whether a token for `tenant` is valid.
    #[must_use]
    pub fn include(&self, tenant: TenantId) -> bool {
        match self {
            Self::None => false,
            Self::Listed(tenants) => tenants.contains(&tenant),
            Self::Any => true,
        }
    }
}
