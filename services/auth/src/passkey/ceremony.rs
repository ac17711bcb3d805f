//! The state between the two halves of a ceremony: what the service asked, and so what the answer must fit.
//!
//! It lives for two minutes and is used once, whatever comes of it. With `REDIS_URL` it is in Redis, under
//! `passkey_reg:PERSON:ID` and `passkey_auth:ADDRESS:ID`; otherwise in the database.
//!
//! Any client can begin a sign-in for any address, so one owner has at most [`MAX_ALIVE`] ceremonies: one more replaces the
//! oldest. A refusal instead, as login codes have it ([`code::pause`](crate::code::pause)), would let a stranger keep a person
//! out with a few requests; nothing is mailed here that a pause would spare.

mod entity;
mod shared;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseConnection, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use entity::{ActiveModel, Column, Entity};
use shared::Shared;

use crate::error::Error;

/// How long a ceremony lives. A person has to find the security key, and perhaps a phone.
pub const LIFETIME: Duration = Duration::from_secs(120);

/// How many ceremonies one owner has at a time. One client address begins at most 240 in a ceremony's life by the limit of the
/// shipped edges, so a stranger needs several to take a person's away. They are 1 MB.
pub const MAX_ALIVE: usize = 512;

/// How many replaced ceremonies one more removes, so that simultaneous ones do not add up. The others expire.
const MAX_REPLACED: u64 = 64;

/// For whom a ceremony is, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A person who is signed in registers a passkey.
    Registration(Uuid),
    /// A client signs in with the passkey of this address.
    Authentication(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registration(person) => write!(f, "passkey_reg:{person}"),
            Self::Authentication(email) => write!(f, "passkey_auth:{email}"),
        }
    }
}

/// Stores the ceremonies.
#[derive(Clone)]
pub struct Ceremonies {
    database: DatabaseConnection,
    shared: Option<Shared>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Ceremonies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ceremonies").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Ceremonies {
    /// Uses the Redis at `redis_url` when there is one, and otherwise `database`, whose tables are up to date.
    ///
    /// # Errors
    /// When `redis_url` is not valid. The message does not repeat it.
    pub fn new(
        database: DatabaseConnection,
        redis_url: Option<&str>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let shared = redis_url.map(Shared::new).transpose()?;
        Ok(Self { database, shared, clock })
    }

    /// Stores `state` for `owner`, and returns the id of the ceremony.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Ceremony`].
    pub async fn begin(&self, owner: &Owner, state: String) -> Result<Uuid, Error> {
        let (id, owner) = (Uuid::new_v4(), owner.to_string());
        if let Some(shared) = &self.shared {
            shared.put(&owner, id, &state).await.map_err(Error::Ceremony)?;
            return Ok(id);
        }
        let expires_at = self.now().saturating_add_unsigned(LIFETIME.as_secs());
        let row = ActiveModel {
            id: Set(id),
            owner: Set(owner.clone()),
            state: Set(state),
            expires_at: Set(expires_at),
        };
        Entity::insert(row).exec_without_returning(&self.database).await.map_err(Error::Store)?;
        self.replace_oldest(&owner, id).await?;
        Ok(id)
    }

    /// Removes the ceremonies of `owner` beyond [`MAX_ALIVE`], oldest first, but never `newest`.
    async fn replace_oldest(&self, owner: &str, newest: Uuid) -> Result<(), Error> {
        let others = u64::try_from(MAX_ALIVE - 1).unwrap_or(u64::MAX);
        let replaced: Vec<Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Owner.eq(owner))
            .filter(Column::Id.ne(newest))
            .order_by_desc(Column::ExpiresAt)
            .offset(others)
            .limit(MAX_REPLACED)
            .into_tuple()
            .all(&self.database)
            .await
            .map_err(Error::Store)?;
        if !replaced.is_empty() {
            let replaced = Entity::delete_many().filter(Column::Id.is_in(replaced));
            replaced.exec(&self.database).await.map_err(Error::Store)?;
        }
        Ok(())
    }

    /// Uses the ceremony `id` up and returns its state. `None` when `owner` has no such ceremony, or not any more. Of two
    /// requests with the same id, one gets it.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Ceremony`]. The ceremony may be used up.
    pub async fn take(&self, owner: &Owner, id: Uuid) -> Result<Option<String>, Error> {
        let owner = owner.to_string();
        if let Some(shared) = &self.shared {
            return shared.take(&owner, id).await.map_err(Error::Ceremony);
        }
        let alive = Entity::find_by_id(id)
            .filter(Column::Owner.eq(owner.as_str()))
            .filter(Column::ExpiresAt.gt(self.now()));
        let Some(row) = alive.one(&self.database).await.map_err(Error::Store)? else { return Ok(None) };
        let deleted = Entity::delete_by_id(id).exec(&self.database).await.map_err(Error::Store)?;
        Ok((deleted.rows_affected == 1).then_some(row.state))
    }

    /// Deletes expired ceremonies. Redis does that by itself.
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
