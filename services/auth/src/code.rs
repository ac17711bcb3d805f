//! Login codes: twelve characters, valid for two minutes, used once, at most five alive for one address
//! (`contracts/http/auth_code.hurl`, `contracts/http/auth_login.hurl`). After many codes for one address the
//! next ones have to wait ([`pause`]).
//!
//! While sign-in moves, the codes can be shared with the legacy backend ([`shared`]). Then the shared store alone
//! decides whether a code is valid, and the database counts them.

mod entity;
pub mod pause;
pub mod shared;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::Clock;
use kit::{TenantId, VerifiedTenant};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseConnection, EntityTrait as _, QueryFilter as _,
    TransactionTrait as _,
};
use sha2::{Digest as _, Sha256};

use entity::{ActiveModel, Column, Entity};
use shared::SharedCodes;

use crate::error::Error;

/// How long a code is valid.
pub const LIFETIME: Duration = Duration::from_secs(120);

/// How many codes an address can have at a time.
pub const MAX_ALIVE: i16 = 5;

/// Length of a code in characters.
pub const LENGTH: usize = 12;

/// Nine random bytes are exactly twelve characters of base64url, whose alphabet is the contract's: `A–Z a–z 0–9 _ -`.
const RANDOM_BYTES: usize = LENGTH / 4 * 3;

/// Stores the login codes in the database.
#[derive(Clone)]
pub struct Codes {
    database: DatabaseConnection,
    shared: Option<SharedCodes>,
    per_hour: u32,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codes").finish_non_exhaustive()
    }
}

impl Codes {
    /// Uses the codes in `database`, whose tables are up to date, and those that are shared with the legacy backend. An
    /// address is mailed `per_hour` codes.
    #[must_use]
    pub fn new(
        database: DatabaseConnection,
        shared: Option<SharedCodes>,
        per_hour: u32,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { database, shared, per_hour, clock }
    }

    /// Creates and stores a new code for `email`, the address of an account of `tenant`.
    ///
    /// # Errors
    /// [`Error::TooManyCodes`] when five are alive or the codes of an hour are used up, [`Error::Store`],
    /// [`Error::Legacy`], [`Error::Random`].
    pub async fn issue(&self, email: &str, tenant: TenantId) -> Result<String, Error> {
        let code = random()?;
        let now = self.now();
        let transaction = self.database.begin().await.map_err(Error::Store)?;
        pause::next(&transaction, email, tenant, self.per_hour, now).await?;
        Entity::delete_many()
            .filter(Column::Email.eq(email))
            .filter(Column::ExpiresAt.lte(now))
            .exec(&transaction)
            .await
            .map_err(Error::Store)?;
        let expires_at = now.saturating_add_unsigned(LIFETIME.as_secs());
        for slot in 0..MAX_ALIVE {
            let row = ActiveModel {
                email: Set(email.to_owned()),
                slot: Set(slot),
                digest: Set(digest(email, &code)),
                expires_at: Set(expires_at),
                tenant_id: Set(Some(tenant.0)),
            };
            let taken = OnConflict::columns([Column::Email, Column::Slot]).do_nothing().to_owned();
            let inserted = Entity::insert(row)
                .on_conflict(taken)
                .exec_without_returning(&transaction)
                .await
                .map_err(Error::Store)?;
            if inserted == 1 {
                transaction.commit().await.map_err(Error::Store)?;
                if let Some(shared) = &self.shared
                    && let Err(error) = shared.put(email, &code, LIFETIME).await
                {
                    self.forget(email, &code).await?;
                    return Err(Error::Legacy(error));
                }
                return Ok(code);
            }
        }
        // The transaction is rolled back: a code that was not mailed does not count.
        Err(Error::TooManyCodes)
    }

    /// Uses up a code and returns whether it was valid. Of two requests with the same code, only one
    /// succeeds. The address's other codes live on until they expire, as at the legacy backend. Success resets the
    /// count of its mails.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Legacy`]. The code may be used up.
    pub async fn consume(&self, email: &str, code: &str) -> Result<bool, Error> {
        // An invalid address has no code. It may also contain a NUL, which PostgreSQL reports as an error.
        if code.len() != LENGTH || !kit::email::is_address(email) {
            return Ok(false);
        }
        let is_shared = match &self.shared {
            Some(shared) => Some(shared.take(email, code).await.map_err(Error::Legacy)?),
            None => None,
        };
        if is_shared == Some(false) {
            return Ok(false);
        }
        let transaction = self.database.begin().await.map_err(Error::Store)?;
        // First the row that `issue` locks first: the other order could wait for an `issue` that waits for this code's place.
        pause::forget(&transaction, email).await?;
        let deleted = Entity::delete_many()
            .filter(Column::Email.eq(email))
            .filter(Column::Digest.eq(digest(email, code)))
            .filter(Column::ExpiresAt.gt(self.now()))
            .exec(&transaction)
            .await
            .map_err(Error::Store)?;
        // A code of the legacy backend has no row here. Without a code the transaction is rolled back.
        if deleted.rows_affected == 0 && is_shared.is_none() {
            return Ok(false);
        }
        transaction.commit().await.map_err(Error::Store)?;
        Ok(true)
    }

    /// Removes a code that could not be mailed, so that it neither keeps one of the five places nor counts as a mail.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn take_back(&self, email: &str, code: &str) -> Result<(), Error> {
        if let Some(shared) = &self.shared {
            shared.take(email, code).await.map_err(Error::Legacy)?;
        }
        pause::give_back(&self.database, email, self.per_hour).await?;
        self.forget(email, code).await
    }

    async fn forget(&self, email: &str, code: &str) -> Result<(), Error> {
        let unread = Entity::delete_many().filter(Column::Email.eq(email));
        let unread = unread.filter(Column::Digest.eq(digest(email, code)));
        unread.exec(&self.database).await.map_err(Error::Store)?;
        Ok(())
    }

    /// Removes the codes of people of `tenant`, and the counts of their addresses. Shared codes are not found by their
    /// tenant; they expire within two minutes.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn remove(&self, tenant: VerifiedTenant) -> Result<(), Error> {
        let codes = Entity::delete_many().filter(Column::TenantId.eq(tenant.id().0));
        codes.exec(&self.database).await.map_err(Error::Store)?;
        pause::remove(&self.database, tenant).await
    }

    /// Deletes expired codes and counts that no longer matter.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn throw_away_expired(&self) -> Result<(), Error> {
        let expired = Entity::delete_many().filter(Column::ExpiresAt.lte(self.now()));
        expired.exec(&self.database).await.map_err(Error::Store)?;
        pause::throw_away_forgotten(&self.database, self.now()).await
    }

    fn now(&self) -> i64 {
        crate::session::seconds(self.clock.now())
    }
}

fn random() -> Result<String, Error> {
    let mut bytes = [0_u8; RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Hashes address and code, separated by a byte that no address contains: the code of one address is
/// worthless for another address.
fn digest(email: &str, code: &str) -> String {
    let digest = Sha256::new().chain_update(email).chain_update([0]).chain_update(code).finalize();
    URL_SAFE_NO_PAD.encode(digest)
}
