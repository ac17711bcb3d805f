//! For whom a service may act.

use identity::TenantId;

/// The tenants that a service may get a token for. A service without a tenant in its token acts for the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServiceTenants {
    /// For none: what is not written is not allowed.
    #[default]
    None,
    /// For these.
    Listed(Vec<TenantId>),
    /// For every one, `tenants: any`.
    Any,
}

impl ServiceTenants {
    /// The tenants that are written down; none when every one counts.
    #[must_use]
    pub fn listed(&self) -> &[TenantId] {
        match self {
            Self::Listed(tenants) => tenants,
            Self::None | Self::Any => &[],
        }
    }

    /// Whether a token for `tenant` counts.
    #[must_use]
    pub fn include(&self, tenant: TenantId) -> bool {
        match self {
            Self::None => false,
            Self::Listed(tenants) => tenants.contains(&tenant),
            Self::Any => true,
        }
    }
}
