//! The services that may call on an internal listener, and the issuer of their tokens.

use std::path::PathBuf;

use identity::TenantId;

/// A service that may call on an internal listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The JWK set with its public keys.
    pub keys: PathBuf,
    /// The permissions that policies of internal routes can require.
    pub permissions: Vec<String>,
    /// The tenants for which it may act.
    pub tenants: ServiceTenants,
}

/// The trusted issuer of service tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTokens {
    /// The `iss` that a token must have.
    pub issuer: String,
    /// The JWK set with the issuer's public keys.
    pub keys: PathBuf,
}

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
    pub fn include(&self, tenant: &TenantId) -> bool {
        match self {
            Self::None => false,
            Self::Listed(tenants) => tenants.contains(tenant),
            Self::Any => true,
        }
    }
}
