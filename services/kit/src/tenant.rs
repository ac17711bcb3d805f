//! The tenant of a caller, proved: what a query of tenant-owned data takes.
//!
//! A [`TenantId`] is data: it is read from files, tokens and columns, and any code can make one. A query that took one
//! could be given another tenant's by accident. A [`VerifiedTenant`] comes from three places only:
//!
//! * a [`Person`](crate::Person), whose identity the edge signed;
//! * a [`TenantService`](crate::TenantService), a service with a token for that tenant;
//! * a [`PlatformService`] that names the tenant for which it acts now ([`on_behalf_of`](crate::PlatformService::on_behalf_of)).
//!
//! So a query without a proved tenant does not compile:
//!
//! ```compile_fail,E0308
//! fn likes_of(_tenant: kit::VerifiedTenant) {}
//! fn handler(from_the_path: kit::TenantId) {
//!     likes_of(from_the_path);
//! }
//! ```
//!
//! nor does code that makes up the proof, or the service that could give it:
//!
//! ```compile_fail,E0423
//! fn forge(id: kit::TenantId) -> kit::VerifiedTenant {
//!     kit::VerifiedTenant(id)
//! }
//! ```
//!
//! ```compile_fail,E0451
//! fn rename(name: identity::ServiceName, proved: kit::PlatformService) -> kit::PlatformService {
//!     kit::PlatformService { name, ..proved }
//! }
//! ```
//!
//! A handler has the proof from its argument:
//!
//! ```
//! fn likes_of(_tenant: kit::VerifiedTenant) {}
//! async fn of_a_person(kit::Person(person): kit::Person) {
//!     likes_of(person.tenant);
//! }
//! async fn of_a_service(service: kit::PlatformService, tenant: kit::TenantId) {
//!     likes_of(service.on_behalf_of(tenant));
//! }
//! ```

use std::fmt;

use crate::id::TenantId;

/// The tenant of a verified caller. See the [module](self) for where one comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerifiedTenant(TenantId);

impl VerifiedTenant {
    /// The tenant of an identity with a valid signature. Only this crate calls it.
    pub(crate) const fn proved(id: TenantId) -> Self {
        Self(id)
    }

    /// Returns the tenant's id, for a column, an answer or a key.
    #[must_use]
    pub const fn id(self) -> TenantId {
        self.0
    }
}

impl fmt::Display for VerifiedTenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which rows a service may see: those of one tenant, or, for a service of the platform, those of all.
///
/// Only a verified caller gives one, so a query that takes a `Reach` cannot be run without a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach(Option<VerifiedTenant>);

impl Reach {
    /// The rows of all tenants. Only a verified service of the platform has this reach.
    pub(crate) const fn of_all() -> Self {
        Self(None)
    }

    /// Returns the one tenant, or `None` for all tenants.
    #[must_use]
    pub const fn tenant(self) -> Option<VerifiedTenant> {
        self.0
    }

    /// Whether a row of `tenant` is in reach; a row without a tenant is only in that of the platform.
    #[must_use]
    pub fn contains(self, tenant: Option<TenantId>) -> bool {
        self.0.is_none_or(|own| tenant == Some(own.0))
    }
}

impl From<VerifiedTenant> for Reach {
    fn from(tenant: VerifiedTenant) -> Self {
        Self(Some(tenant))
    }
}
