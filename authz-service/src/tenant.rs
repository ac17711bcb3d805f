//! Checks the tenant: one that does not exist or is not active gets no access, even with unexpired tokens. A caller without
//! a tenant is not checked, and neither is any caller on an edge without the section `tenants`.

pub mod change;
pub mod directory;
pub mod memory;
pub mod service;
pub mod shared;
pub mod source;

use std::sync::Arc;

use clock::UnixTime;
use identity::{Client, TenantId};
use tokio::time::Instant;
use validity::tenant::Standing;

use crate::credential::presented::{AuthenticatedClient, AuthenticatedService};
use crate::failure::{Failure, Stop};
use crate::session::LiveSession;
use crate::source::Health;
use crate::tenant::directory::{Directory, Status};
use crate::tenant::memory::Memory;
use crate::tenant::source::KnownTenant;

/// Why a tenant is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantFault {
    /// The directory does not list it.
    Unknown,
    /// The directory lists it as suspended.
    Suspended,
}

impl TenantFault {
    /// The stable code of this fault.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "tenant_unknown",
            Self::Suspended => "tenant_suspended",
        }
    }
}

/// A person in a live session of an active tenant. Only [`admit`] makes one.
#[derive(Clone, Debug)]
pub struct TenantMember {
    session: LiveSession,
    until: Option<Instant>,
}

impl TenantMember {
    /// How long the tenant's state is valid without further news; absent when it is valid for as long as its
    /// directory is fresh.
    #[must_use]
    pub const fn until(&self) -> Option<Instant> {
        self.until
    }

    /// The session.
    #[must_use]
    pub fn into_session(self) -> LiveSession {
        self.session
    }
}

/// Admits `session` when its tenant is active at `now`, or when it has none.
///
/// # Errors
/// A denial with [`TenantFault`], or [`Failure::TenantsUnavailable`] when the directory cannot answer.
pub async fn admit(
    session: LiveSession,
    tenants: Option<&Tenants>,
    now: UnixTime,
) -> Result<TenantMember, Stop<TenantFault>> {
    // Without a directory tenants are not looked up, and a person without a tenant has none that could be suspended.
    let (Some(tenants), Some(tenant)) = (tenants, &session.person().tenant) else {
        return Ok(TenantMember { session, until: None });
    };
    let Some(KnownTenant { standing, until }) = tenants.look(tenant, now).await? else {
        return Err(TenantFault::Unknown.into());
    };
    match standing {
        Standing::Active => Ok(TenantMember { session, until }),
        Standing::Suspended => Err(TenantFault::Suspended.into()),
        // Do not reveal that it once existed.
        Standing::Deleted => Err(TenantFault::Unknown.into()),
    }
}

/// The source of tenants on this edge.
#[derive(Clone, Debug)]
pub enum Tenants {
    /// A file, all of it in memory.
    Listed(Arc<Directory>),
    /// The tenants service, queried for one tenant at a time and cached in layers.
    Asked(Arc<Memory>),
}

impl Tenants {
    /// The plan of `tenant`; `None` when it has none. Only a file lists plans.
    #[must_use]
    pub fn plan(&self, tenant: &TenantId, now: UnixTime) -> Option<Arc<str>> {
        match self {
            Self::Listed(directory) => directory.plan(tenant, now),
            Self::Asked(_) => None,
        }
    }

    /// The state of `tenant`, or `None` when there is no such tenant.
    ///
    /// # Errors
    /// [`Failure::TenantsUnavailable`] when no answer is available.
    pub async fn standing(&self, tenant: &TenantId, now: UnixTime) -> Result<Option<Standing>, Failure> {
        Ok(self.look(tenant, now).await?.map(|known| known.standing))
    }

    /// The state of `tenant` and how long it is valid, or `None` when there is no such tenant.
    ///
    /// # Errors
    /// As [`standing`](Self::standing).
    pub async fn look(&self, tenant: &TenantId, now: UnixTime) -> Result<Option<KnownTenant>, Failure> {
        match self {
            Self::Listed(directory) => Ok(directory.status(tenant, now)?.map(|status| {
                let standing = match status {
                    Status::Active => Standing::Active,
                    Status::Suspended => Standing::Suspended,
                };
                KnownTenant { standing, until: None }
            })),
            Self::Asked(memory) => Box::pin(memory.look(tenant)).await,
        }
    }

    /// Whether every change until [`FRESH`](crate::ended::FRESH) before this moment is known: `now` by the
    /// wall clock, `at` by the machine's own. A service that pushes no changes is always fresh: its answers
    /// are valid for a stated time ([`KnownTenant::until`]).
    #[must_use]
    pub fn is_fresh(&self, now: UnixTime, at: Instant) -> bool {
        match self {
            Self::Listed(directory) => directory.is_fresh(now, at),
            Self::Asked(memory) => memory.is_fresh(at),
        }
    }

    /// The state of the directory, for `/readyz`. A service that has answered once never makes the replica
    /// unready again: every replica loses it at the same moment, and cached states stay valid for a while.
    #[must_use]
    pub fn health(&self, now: UnixTime) -> Health {
        match self {
            Self::Listed(directory) => directory.health(now),
            Self::Asked(memory) => {
                let (known, unknown) = memory.rough_sizes();
                let ready = memory.has_answered();
                let detail = if ready {
                    format!("{known} known, {unknown} unknown in memory")
                } else {
                    "the tenants service has not answered yet".to_owned()
                };
                Health { ready, detail }
            }
        }
    }
}

/// A client of an active tenant. Only [`admit_client`] makes one.
#[derive(Clone, Debug)]
pub struct TenantClient {
    client: Arc<Client>,
}

impl TenantClient {
    /// The client.
    #[must_use]
    pub const fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

/// Admits `client` when its tenant is active at `now`, or when it has none. A client has no session that could have been ended;
/// its key is revoked where keys are listed.
///
/// # Errors
/// As [`admit`].
pub async fn admit_client(
    client: &AuthenticatedClient,
    tenants: Option<&Tenants>,
    now: UnixTime,
) -> Result<TenantClient, Stop<TenantFault>> {
    let (Some(tenants), Some(tenant)) = (tenants, &client.client().tenant) else {
        return Ok(TenantClient { client: Arc::clone(client.client()) });
    };
    match tenants.standing(tenant, now).await? {
        Some(Standing::Active) => Ok(TenantClient { client: Arc::clone(client.client()) }),
        Some(Standing::Suspended) => Err(TenantFault::Suspended.into()),
        Some(Standing::Deleted) | None => Err(TenantFault::Unknown.into()),
    }
}

/// A service that acts for the platform, or for an active tenant. Only [`admit_service`] makes one.
#[derive(Clone, Debug)]
pub struct TenantService {
    service: AuthenticatedService,
}

impl TenantService {
    /// The service.
    #[must_use]
    pub const fn service(&self) -> &AuthenticatedService {
        &self.service
    }
}

/// Admits `service` when it acts for no tenant, or for one that is active at `now`.
///
/// # Errors
/// As [`admit`].
pub async fn admit_service(
    service: AuthenticatedService,
    tenants: Option<&Tenants>,
    now: UnixTime,
) -> Result<TenantService, Stop<TenantFault>> {
    let (Some(tenants), Some(tenant)) = (tenants, &service.service().tenant) else {
        return Ok(TenantService { service });
    };
    match tenants.standing(tenant, now).await? {
        Some(Standing::Active) => Ok(TenantService { service }),
        Some(Standing::Suspended) => Err(TenantFault::Suspended.into()),
        Some(Standing::Deleted) | None => Err(TenantFault::Unknown.into()),
    }
}

impl From<TenantFault> for Stop<TenantFault> {
    fn from(fault: TenantFault) -> Self {
        Self::Denied(fault)
    }
}
