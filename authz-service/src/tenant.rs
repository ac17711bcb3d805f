//! For whom: a tenant that does not exist or is not active gets nothing, whatever tokens are still unexpired.

pub mod directory;

use std::sync::Arc;

use clock::UnixTime;
use identity::Client;

use crate::credential::AuthenticatedClient;
use crate::decision::{Failure, Stop};
use crate::session::LiveSession;
use crate::tenant::directory::{Directory, Status};

/// Why a tenant gets nothing.
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
}

impl TenantMember {
    /// The session.
    #[must_use]
    pub fn into_session(self) -> LiveSession {
        self.session
    }
}

/// Lets `session` on when its tenant is active at `now`.
///
/// # Errors
/// A denial with [`TenantFault`], or [`Failure::TenantsUnavailable`] when the directory cannot tell.
pub fn admit(
    session: LiveSession,
    directory: Option<&Directory>,
    now: UnixTime,
) -> Result<TenantMember, Stop> {
    // An edge without a directory knows no tenant; a policy that needs one cannot be decided.
    let directory = directory.ok_or(Failure::TenantsUnavailable)?;
    match directory.status(session.person().tenant, now)? {
        Some(Status::Active) => Ok(TenantMember { session }),
        Some(Status::Suspended) => Err(TenantFault::Suspended.into()),
        None => Err(TenantFault::Unknown.into()),
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

/// Lets `client` on when its tenant is active at `now`. It has no session that could have been ended; its key is
/// revoked where keys are listed.
///
/// # Errors
/// As [`admit`].
pub fn admit_client(
    client: &AuthenticatedClient,
    directory: Option<&Directory>,
    now: UnixTime,
) -> Result<TenantClient, Stop> {
    let directory = directory.ok_or(Failure::TenantsUnavailable)?;
    match directory.status(client.client().tenant, now)? {
        Some(Status::Active) => Ok(TenantClient { client: Arc::clone(client.client()) }),
        Some(Status::Suspended) => Err(TenantFault::Suspended.into()),
        None => Err(TenantFault::Unknown.into()),
    }
}

impl From<TenantFault> for Stop {
    fn from(fault: TenantFault) -> Self {
        Self::Denied(crate::decision::DenyReason::Tenant(fault))
    }
}
