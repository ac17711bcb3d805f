//! What is stored of a session, and its three turns: it begins, it is replaced by a refresh, it ends.
//!
//! A refresh is one compare-and-set in the database: of any number of requests with the same refresh token, one gets the
//! new pair. A session that dies before its tokens expire is also written to the revocation file. The line is written
//! before the transaction commits: if either fails, the session may be dead for the edge and alive here (the client
//! simply tries again), but never the other way round.

mod entity;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, UnixTime};
use identity::SessionId;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DatabaseConnection, EntityTrait as _,
    QueryFilter as _, TransactionTrait as _,
};

use entity::{ActiveModel, Column, Entity, Model};

use crate::error::Error;
use crate::revocation::{Line, Revocations};
use crate::token::{ACCESS_LIFETIME, Genuine, Holder, LEEWAY, Pair};

/// How long the access token of a refreshed session still works (CONTRACT §2.4), so that requests that are under way
/// and other tabs of the same browser survive.
pub const GRACE: Duration = Duration::from_secs(60);

/// How long a revocation outlives the last moment at which a verifier would take the access token: as far as the clocks of
/// this machine and a verifier's may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// All sessions.
#[derive(Clone)]
pub struct Sessions {
    database: DatabaseConnection,
    revocations: Revocations,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("revocations", &self.revocations).finish_non_exhaustive()
    }
}

impl Sessions {
    /// The sessions in `database`, whose tables are up to date.
    #[must_use]
    pub fn new(database: DatabaseConnection, revocations: Revocations, clock: Arc<dyn Clock>) -> Self {
        Self { database, revocations, clock }
    }

    /// Whether the database answers.
    pub async fn reachable(&self) -> bool {
        self.database.ping().await.is_ok()
    }

    /// Begins the session of `pair`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn begin(&self, holder: &Holder, pair: &Pair) -> Result<(), Error> {
        self.insert(&self.database, holder, pair).await
    }

    /// Whether the session is alive: begun here, and not dead yet.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn alive(&self, session: SessionId) -> Result<bool, Error> {
        let row = Entity::find_by_id(session.0).one(&self.database).await.map_err(Error::Store)?;
        let now = seconds(self.clock.now());
        Ok(row.is_some_and(|row| row.dead_from.is_none_or(|dead_from| now < dead_from)))
    }

    /// Whether the refresh token `old` is still good for a refresh. A first look that spares the lookup of the person;
    /// [`Sessions::replace`] decides.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn refreshable(&self, old: &Genuine) -> Result<bool, Error> {
        let row = Entity::find_by_id(old.session.0)
            .filter(unused(old))
            .one(&self.database)
            .await
            .map_err(Error::Store)?;
        Ok(row.is_some() && !self.ended_elsewhere(old).await?)
    }

    /// Whether somebody else has ended it: `cutover revoke`, for one session, a person or a tenant.
    async fn ended_elsewhere(&self, token: &Genuine) -> Result<bool, Error> {
        self.revocations.ends(token, self.clock.now()).await.map_err(Error::Revocation)
    }

    /// Replaces the session of the refresh token `old` by the session of `new`, unless somebody was faster: whether it
    /// did. The old access token works for [`GRACE`] more, the old refresh token not at all.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Revocation`]; then nothing has changed.
    pub async fn replace(&self, old: &Genuine, holder: &Holder, new: &Pair) -> Result<bool, Error> {
        if self.ended_elsewhere(old).await? {
            return Ok(false);
        }
        let dead_from = self.clock.now().plus(GRACE);
        let transaction = self.database.begin().await.map_err(Error::Store)?;
        let changed = Entity::update_many()
            .col_expr(Column::DeadFrom, Expr::value(seconds(dead_from)))
            .filter(Column::Id.eq(old.session.0))
            .filter(unused(old))
            .exec(&transaction)
            .await
            .map_err(Error::Store)?;
        if changed.rows_affected == 0 {
            return Ok(false);
        }
        self.insert(&transaction, holder, new).await?;
        self.revoke(old.session, dead_from, access_expiry(old)).await?;
        transaction.commit().await.map_err(Error::Store)?;
        Ok(true)
    }

    /// Ends the session that the genuine token `token` (of either kind, of any age) names, at once. Ending it again
    /// changes nothing.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Revocation`]; then it may be dead for the edge and alive here.
    pub async fn end(&self, token: &Genuine) -> Result<(), Error> {
        let now = self.clock.now();
        let transaction = self.database.begin().await.map_err(Error::Store)?;
        let later = Condition::any().add(Column::DeadFrom.is_null()).add(Column::DeadFrom.gt(seconds(now)));
        let changed = Entity::update_many()
            .col_expr(Column::DeadFrom, Expr::value(seconds(now)))
            .filter(Column::Id.eq(token.session.0))
            .filter(later)
            .exec(&transaction)
            .await
            .map_err(Error::Store)?;
        // A genuine token of a session that this database has never seen (it was replaced by an older copy): the session
        // is remembered as dead, which also keeps a second logout from writing a second line.
        if changed.rows_affected == 0 && !self.insert_dead(&transaction, token, now).await? {
            return Ok(());
        }
        self.revoke(token.session, now, access_expiry(token)).await?;
        transaction.commit().await.map_err(Error::Store)
    }

    /// Deletes sessions whose tokens have all expired, and rewrites the revocation file without what nobody needs any more
    /// and with what the database knows better.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Revocation`].
    pub async fn throw_away_expired(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let long_ago = seconds(now).saturating_sub_unsigned((LEEWAY + CLOCK_SKEW).as_secs());
        Entity::delete_many()
            .filter(Column::RefreshExpiresAt.lt(long_ago))
            .filter(Column::AccessExpiresAt.lt(long_ago))
            .exec(&self.database)
            .await
            .map_err(Error::Store)?;
        let dead = Entity::find()
            .filter(Column::DeadFrom.is_not_null())
            .filter(Column::AccessExpiresAt.gte(long_ago))
            .all(&self.database)
            .await
            .map_err(Error::Store)?;
        let lines = dead.into_iter().filter_map(|row| line(&row)).collect();
        self.revocations.rewrite(lines, now).await.map_err(Error::Revocation)
    }

    async fn insert(
        &self,
        database: &impl ConnectionTrait,
        holder: &Holder,
        pair: &Pair,
    ) -> Result<(), Error> {
        let row = ActiveModel {
            id: Set(pair.session.0),
            user_id: Set(holder.subject.0),
            tenant_id: Set(holder.tenant.0),
            refresh_id: Set(pair.refresh_id),
            created_at: Set(seconds(self.clock.now())),
            access_expires_at: Set(seconds(pair.access_expires)),
            refresh_expires_at: Set(seconds(pair.refresh_expires)),
            dead_from: Set(None),
        };
        Entity::insert(row).exec_without_returning(database).await.map_err(Error::Store)?;
        Ok(())
    }

    async fn insert_dead(
        &self,
        database: &impl ConnectionTrait,
        token: &Genuine,
        now: UnixTime,
    ) -> Result<bool, Error> {
        let row = ActiveModel {
            id: Set(token.session.0),
            user_id: Set(token.subject.0),
            tenant_id: Set(token.tenant.0),
            refresh_id: Set(token.id),
            created_at: Set(seconds(token.issued)),
            access_expires_at: Set(seconds(access_expiry(token))),
            refresh_expires_at: Set(seconds(token.expires)),
            dead_from: Set(Some(seconds(now))),
        };
        let known = OnConflict::column(Column::Id).do_nothing().to_owned();
        let inserted = Entity::insert(row)
            .on_conflict(known)
            .exec_without_returning(database)
            .await
            .map_err(Error::Store)?;
        Ok(inserted == 1)
    }

    async fn revoke(
        &self,
        session: SessionId,
        from: UnixTime,
        access_expires: UnixTime,
    ) -> Result<(), Error> {
        let line = Line { sid: session, from: from.seconds(), until: until(access_expires).seconds() };
        // A session whose access token is past all use needs no line: this keeps the file short.
        if line.until < line.from {
            return Ok(());
        }
        self.revocations.append(line).await.map_err(Error::Revocation)
    }
}

/// The row of `old`, as long as nobody has refreshed or ended it.
fn unused(old: &Genuine) -> Condition {
    Condition::all().add(Column::RefreshId.eq(old.id)).add(Column::DeadFrom.is_null())
}

/// When the access token of the session expires; both tokens of a session are issued at the same moment.
fn access_expiry(token: &Genuine) -> UnixTime {
    token.issued.plus(ACCESS_LIFETIME)
}

/// Until when the edge has to remember that a session is dead.
fn until(access_expires: UnixTime) -> UnixTime {
    access_expires.plus(LEEWAY).plus(CLOCK_SKEW)
}

fn line(row: &Model) -> Option<Line> {
    let access_expires = UnixTime::from_seconds(u64::try_from(row.access_expires_at).ok()?);
    Some(Line {
        sid: SessionId(row.id),
        from: u64::try_from(row.dead_from?).ok()?,
        until: until(access_expires).seconds(),
    })
}

/// A time as the tables hold it.
pub(crate) fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.seconds()).unwrap_or(i64::MAX)
}
