//! Login codes (CONTRACT §5.1): twelve characters, two minutes, used once, at most five alive for an address.

mod entity;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::Clock;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait as _, DatabaseConnection, EntityTrait as _, QueryFilter as _};
use sha2::{Digest as _, Sha256};

use entity::{ActiveModel, Column, Entity};

use crate::error::Error;

/// How long a code is valid.
pub const LIFETIME: Duration = Duration::from_secs(120);

/// How many codes an address can have at a time.
pub const MAX_ALIVE: i16 = 5;

/// Length of a code in characters.
pub const LENGTH: usize = 12;

/// Nine random bytes are exactly twelve characters of base64url, whose alphabet is the contract's: `A–Z a–z 0–9 _ -`.
const RANDOM_BYTES: usize = LENGTH / 4 * 3;

/// All codes.
#[derive(Clone)]
pub struct Codes {
    database: DatabaseConnection,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codes").finish_non_exhaustive()
    }
}

impl Codes {
    /// The codes in `database`, whose tables are up to date.
    #[must_use]
    pub fn new(database: DatabaseConnection, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock }
    }

    /// A new code for `email`.
    ///
    /// # Errors
    /// [`Error::TooManyCodes`] when five are alive, [`Error::Store`], [`Error::Random`].
    pub async fn issue(&self, email: &str) -> Result<String, Error> {
        let code = random()?;
        let now = self.now();
        Entity::delete_many()
            .filter(Column::Email.eq(email))
            .filter(Column::ExpiresAt.lte(now))
            .exec(&self.database)
            .await
            .map_err(Error::Store)?;
        let expires_at = now.saturating_add_unsigned(LIFETIME.as_secs());
        for slot in 0..MAX_ALIVE {
            let row = ActiveModel {
                email: Set(email.to_owned()),
                slot: Set(slot),
                digest: Set(digest(email, &code)),
                expires_at: Set(expires_at),
            };
            let taken = OnConflict::columns([Column::Email, Column::Slot]).do_nothing().to_owned();
            let inserted = Entity::insert(row)
                .on_conflict(taken)
                .exec_without_returning(&self.database)
                .await
                .map_err(Error::Store)?;
            if inserted == 1 {
                return Ok(code);
            }
        }
        Err(Error::TooManyCodes)
    }

    /// Uses up a code; whether it was one. Of two requests with the same code, one gets it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn consume(&self, email: &str, code: &str) -> Result<bool, Error> {
        if code.len() != LENGTH {
            return Ok(false);
        }
        let deleted = Entity::delete_many()
            .filter(Column::Email.eq(email))
            .filter(Column::Digest.eq(digest(email, code)))
            .filter(Column::ExpiresAt.gt(self.now()))
            .exec(&self.database)
            .await
            .map_err(Error::Store)?;
        Ok(deleted.rows_affected > 0)
    }

    /// Deletes what has expired.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn throw_away_expired(&self) -> Result<(), Error> {
        let expired = Entity::delete_many().filter(Column::ExpiresAt.lte(self.now()));
        expired.exec(&self.database).await.map_err(Error::Store)?;
        Ok(())
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

/// The address is part of it, separated by a byte that no address has: a code of one address is worth nothing for another.
fn digest(email: &str, code: &str) -> String {
    let digest = Sha256::new().chain_update(email).chain_update([0]).chain_update(code).finalize();
    URL_SAFE_NO_PAD.encode(digest)
}
