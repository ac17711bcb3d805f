//! Removes what a tenant that leaves has here: passkeys, login codes and sessions of its people.
//!
//! | not found by the tenant | its end |
//! |---|---|
//! | a passkey from before passkeys had a tenant, whose owner has not signed in since | none by itself; without the account it is of no use |
//! | a ceremony of a passkey | two minutes, and the next hour's removal of expired rows |
//! | a login code in the legacy backend's Redis | its expiry |

use std::fmt;
use std::sync::Arc;

use clock::Clock;
use kit::VerifiedTenant;
use kit::removal::Removals;
use sea_orm::DatabaseConnection;

use crate::code::Codes;
use crate::error::Error;
use crate::passkey::Passkeys;
use crate::session::Sessions;

/// The table of removals.
pub const TABLE: &str = "auth_removals";

const REMOVALS: Removals = Removals::new(TABLE);

/// Removes the data of tenants.
#[derive(Clone)]
pub struct Removal {
    /// The database, whose tables are up to date.
    pub database: DatabaseConnection,
    /// The passkeys.
    pub passkeys: Passkeys,
    /// The login codes.
    pub codes: Codes,
    /// The sessions.
    pub sessions: Sessions,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removal").finish_non_exhaustive()
    }
}

impl Removal {
    /// Prepares the removal of the data of `tenant`. A second time changes nothing.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn prepare(&self, tenant: VerifiedTenant) -> Result<(), Error> {
        REMOVALS.prepare(&self.database, tenant, self.clock.now()).await.map_err(Error::Store)
    }

    /// Takes the preparation back, unless data were removed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn take_back(&self, tenant: VerifiedTenant) -> Result<(), Error> {
        REMOVALS.take_back(&self.database, tenant).await.map_err(Error::Store)
    }

    /// Removes the data of `tenant`. A request that was cut off goes on when it is repeated. Returns false, and removes
    /// nothing, when the removal was not prepared.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Legacy`].
    pub async fn remove(&self, tenant: VerifiedTenant) -> Result<bool, Error> {
        if !REMOVALS.begin(&self.database, tenant, self.clock.now()).await.map_err(Error::Store)? {
            return Ok(false);
        }
        // Sessions last: they show whose the oldest passkeys are.
        self.passkeys.remove(tenant).await?;
        self.codes.remove(tenant).await?;
        self.sessions.remove(tenant).await?;
        Ok(true)
    }
}
