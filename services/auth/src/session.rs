//! How a session is stored, begins, is replaced by a refresh, and ends.
//!
//! The sessions of one sign-in, each created by a refresh of the previous one, form a family:
//!
//! | what happens | then |
//! |---|---|
//! | a refresh | the new session joins the family; the old access token works for another [`GRACE`], the old refresh token not at all |
//! | the old refresh token comes again within the grace | refused: two tabs of one browser do that |
//! | the old refresh token comes again after the grace | a copy of it exists, and the service cannot know which holder is the thief: the family ends (RFC 9700 §4.14.2) |
//! | a sign-out with any genuine token of the family | the family ends at once, graces too |
//! | the sign-in is older than the setting `SESSION_MAX_DAYS` | the family ends with the next refresh |
//! | a session of the legacy backend is exchanged | a new family with the id of that session ([`Sessions::adopt`]) |
//! | a session in the legacy backend's form is refreshed | the new session joins the family; the old pair is dead at once, as there |
//! | a sign-in beyond the sessions of a person in the [`Bounds`] | the family of the oldest session ends |
//!
//! Every change of a person's sessions first locks the row of that person ([`person`]), so a simultaneous
//! sign-out and refresh happen one after the other. Within the lock a refresh is one compare-and-set: of any
//! number of requests with the same refresh token, one gets the new pair. The edge must learn of ended
//! sessions ([`ends`]), so each end is written before the transaction commits. If either fails, the session
//! may be dead for the edge and alive here (the client simply tries again), but never the other way round.

mod adopt;
mod ends;
mod entity;
pub mod follow;
mod person;
mod removal;
mod rows;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, UnixTime};
use kit::SessionId;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, TransactionTrait as _,
};
use uuid::Uuid;

pub use ends::{FOLD_MARGIN, MAX_LISTED};
pub use person::REFRESH_INTERVAL;
pub(crate) use rows::seconds;

use ends::{Ending, Lists, alive_at, announce, issued, long_ago};
use entity::{Column, Entity, Model};
use person::Person;
use rows::{family, family_of, find, insert, insert_dead, of_family, unused};

use crate::error::Error;
use crate::legacy::store::Store;
use crate::revocation::Revocations;
use crate::revocation::news::News;
use crate::settings::Bounds;
use crate::token::{Genuine, Holder, LEEWAY, Pair};

/// How long the access token of a refreshed session still works, so that running requests and other tabs of
/// the same browser survive (`contracts/cookies/session.hurl`).
pub const GRACE: Duration = Duration::from_secs(60);

/// How long a revocation outlives the last moment at which a verifier would accept the access token: the
/// largest allowed difference between this machine's clock and a verifier's.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Stores and changes all sessions.
#[derive(Clone)]
pub struct Sessions {
    database: DatabaseConnection,
    revocations: Revocations,
    max_age: Duration,
    bounds: Bounds,
    /// The legacy backend's Redis, which holds the keys of sessions in its form.
    store: Option<Store>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("revocations", &self.revocations).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Uses the sessions in `database`, whose tables are up to date. A sign-in lasts for `max_age`. One
    /// person can use as much as the usual [`Bounds`].
    #[must_use]
    pub fn new(
        database: DatabaseConnection,
        revocations: Revocations,
        max_age: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { database, revocations, max_age, bounds: Bounds::default(), store: None, clock }
    }

    /// The same with other bounds for one person.
    #[must_use]
    pub fn bounded(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// The same with the legacy backend's Redis, where sessions in its form begin and end.
    #[must_use]
    pub fn beside(self, store: Option<Store>) -> Self {
        Self { store, ..self }
    }

    /// Returns whether the database answers.
    pub async fn reachable(&self) -> bool {
        self.database.ping().await.is_ok()
    }

    /// Stores the session of `pair` as the first of its family. A person who already has as many
    /// sessions as the bounds allow loses the oldest.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Revocation`].
    pub async fn begin(&self, holder: &Holder, pair: &Pair) -> Result<(), Error> {
        let now = self.clock.now();
        let transaction = self.database.begin().await.map_err(Error::Store)?;
        let mut person = Person::lock(&transaction, holder.subject).await?;
        self.make_room(&transaction, &mut person, now).await?;
        let (id, began) = (pair.session.0, seconds(now));
        insert(&transaction, holder, pair, (id, began), now).await?;
        self.commit(transaction, holder, pair).await
    }

    /// Commits the row of `pair`, and begins a session in the legacy backend's form there, too.
    ///
    /// The key comes first, within the lock of the person: whatever ends the person's sessions afterwards finds the
    /// row, and deletes the key. An end that was announced before this moment is seen here, because `pair` was issued
    /// before it.
    async fn commit(
        &self,
        transaction: DatabaseTransaction,
        holder: &Holder,
        pair: &Pair,
    ) -> Result<(), Error> {
        let (Some(key), Some(store)) = (&pair.key, &self.store) else {
            return transaction.commit().await.map_err(Error::Store);
        };
        let token = Genuine {
            session: pair.session,
            subject: holder.subject,
            tenant: holder.tenant,
            id: pair.refresh_id,
            issued: pair.issued(),
            expires: pair.refresh_expires,
        };
        if self.ended_elsewhere(&token).await? {
            return Err(Error::Unauthorized);
        }
        let begun = store.begin(pair.session, key.as_str()).await.map_err(Error::Legacy);
        let done = match begun {
            Ok(()) => transaction.commit().await.map_err(Error::Store),
            Err(error) => Err(error),
        };
        if done.is_err()
            && let Err(error) = store.end(&[pair.session]).await
        {
            // Only this process ever had its tokens.
            tracing::warn!(%error, "the key of a session that did not begin stays in the legacy backend's Redis");
        }
        done
    }

    /// Ends the oldest sessions of `person`, so that one more can begin.
    async fn make_room(
        &self,
        database: &impl ConnectionTrait,
        person: &mut Person,
        now: UnixTime,
    ) -> Result<(), Error> {
        let mut alive = Entity::find()
            .filter(Column::UserId.eq(person.subject().0))
            .filter(Column::DeadFrom.is_null())
            .filter(Column::RefreshExpiresAt.gte(seconds(now).saturating_sub_unsigned(LEEWAY.as_secs())))
            .order_by_asc(Column::AccessExpiresAt)
            .all(database)
            .await
            .map_err(Error::Store)?;
        let most = usize::try_from(self.bounds.sessions).unwrap_or(usize::MAX);
        let too_many = (alive.len() + 1).saturating_sub(most);
        alive.truncate(too_many);
        for row in &alive {
            self.end_family(database, person, family(row), now).await?;
        }
        Ok(())
    }

    /// Returns whether the session of `token` is alive: it began here, for the token's person and tenant, and is not
    /// dead yet.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn alive(&self, token: &Genuine) -> Result<bool, Error> {
        let row = find(&self.database, token).await?;
        let now = seconds(self.clock.now());
        Ok(row.is_some_and(|row| row.dead_from.is_none_or(|dead_from| now < dead_from)))
    }

    /// Returns whether the refresh token `old` is still valid for a refresh. This first check avoids a
    /// useless lookup of the person; [`Sessions::replace`] decides.
    ///
    /// A token that was used before, longer ago than the grace, ends its family.
    ///
    /// # Errors
    /// [`Error::TooManyRefreshes`], [`Error::Store`], [`Error::Revocation`].
    pub async fn refreshable(&self, old: &Genuine) -> Result<bool, Error> {
        let now = self.clock.now();
        let Some(row) = find(&self.database, old).await?.filter(|row| row.refresh_id == old.id) else {
            return Ok(false);
        };
        let is_replayed = row.dead_from.is_some_and(|dead_from| dead_from <= seconds(now));
        if is_replayed || self.is_too_old(&row, now) {
            self.end_all_of(old, family(&row), now, is_replayed).await?;
            return Ok(false);
        }
        if row.dead_from.is_some() || self.ended_elsewhere(old).await? {
            return Ok(false);
        }
        Person::check_refresh(&self.database, old.subject, self.bounds.refresh_burst, now).await?;
        Ok(true)
    }

    fn is_too_old(&self, row: &Model, now: UnixTime) -> bool {
        let (_, began) = family_of(row);
        began.saturating_add_unsigned(self.max_age.as_secs()) < seconds(now)
    }

    /// Ends the family of a refresh token that is no longer valid for a refresh.
    async fn end_all_of(
        &self,
        old: &Genuine,
        family: Uuid,
        now: UnixTime,
        is_replayed: bool,
    ) -> Result<(), Error> {
        // The same token often comes again after the end. Each time costs only this query.
        let alive = Entity::find().filter(of_family(family)).filter(alive_at(now)).limit(1);
        if alive.one(&self.database).await.map_err(Error::Store)?.is_none() {
            return Ok(());
        }
        let transaction = self.database.begin().await.map_err(Error::Store)?;
        let mut person = Person::lock(&transaction, old.subject).await?;
        let ended = self.end_family(&transaction, &mut person, family, now).await?;
        transaction.commit().await.map_err(Error::Store)?;
        if ended > 0 && is_replayed {
            let (session, person) = (old.session, old.subject);
            tracing::warn!(%session, %person, "a refresh token was reused: all sessions of its sign-in end");
        }
        Ok(())
    }

    /// Returns whether another program ended the session: `cutover revoke`, for one session, a person or a
    /// tenant.
    async fn ended_elsewhere(&self, token: &Genuine) -> Result<bool, Error> {
        self.revocations.ends(token, self.clock.now()).await.map_err(Error::Revocation)
    }

    /// Replaces the session of the refresh token `old` by the session of `new`. Returns false when another
    /// request was faster. The old access token works for another [`GRACE`], the old refresh token not at
    /// all.
    ///
    /// # Errors
    /// [`Error::TooManyRefreshes`], [`Error::Store`], [`Error::Revocation`]. Nothing has changed then.
    pub async fn replace(&self, old: &Genuine, holder: &Holder, new: &Pair) -> Result<bool, Error> {
        if self.ended_elsewhere(old).await? {
            return Ok(false);
        }
        let now = self.clock.now();
        let dead_from = now.plus(GRACE);
        let transaction = self.database.begin().await.map_err(Error::Store)?;
        let mut person = Person::lock(&transaction, old.subject).await?;
        let Some(row) = find(&transaction, old).await? else { return Ok(false) };
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
        // From here on an error rolls the update back.
        if ends::must_wait(&transaction, &person, old.issued, now).await? {
            return Err(Error::TooManyRefreshes { wait: FOLD_MARGIN });
        }
        person.use_refresh(&transaction, self.bounds.refresh_burst, now).await?;
        insert(&transaction, holder, new, family_of(&row), now).await?;
        let ending = Ending { session: old.session, issued: old.issued, from: dead_from };
        announce(&transaction, self.lists(), &mut person, &[ending], now).await?;
        self.commit(transaction, holder, new).await?;
        Ok(true)
    }

    /// Ends the family of the session that the genuine token `token` (of either kind, of any age) names, at
    /// once. Ending it again changes nothing.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Revocation`]. The session may then be dead for the edge and alive here.
    pub async fn end(&self, token: &Genuine) -> Result<(), Error> {
        let now = self.clock.now();
        let transaction = self.database.begin().await.map_err(Error::Store)?;
        let mut person = Person::lock(&transaction, token.subject).await?;
        match find(&transaction, token).await? {
            Some(row) => {
                self.end_family(&transaction, &mut person, family(&row), now).await?;
            }
            // A genuine token of a session that is missing from this database (it was restored from an older
            // copy). The session is stored as dead, which also keeps a second logout from writing a second
            // line.
            None => {
                insert_dead(&transaction, token, now).await?;
                let ending = Ending { session: token.session, issued: token.issued, from: now };
                announce(&transaction, self.lists(), &mut person, &[ending], now).await?;
            }
        }
        transaction.commit().await.map_err(Error::Store)
    }

    /// Ends every session of `family` that is not dead at `now`, and returns their number.
    async fn end_family(
        &self,
        database: &impl ConnectionTrait,
        person: &mut Person,
        family: Uuid,
        now: UnixTime,
    ) -> Result<usize, Error> {
        let alive = Entity::find().filter(of_family(family)).filter(alive_at(now));
        let rows = alive.order_by_asc(Column::AccessExpiresAt).all(database).await.map_err(Error::Store)?;
        self.lists().end_keys(&rows).await?;
        Entity::update_many()
            .col_expr(Column::DeadFrom, Expr::value(seconds(now)))
            .filter(of_family(family))
            .filter(alive_at(now))
            .exec(database)
            .await
            .map_err(Error::Store)?;
        let ending = |row: &Model| Ending { session: SessionId(row.id), issued: issued(row), from: now };
        let endings: Vec<Ending> = rows.iter().map(ending).collect();
        announce(database, self.lists(), person, &endings, now).await?;
        Ok(endings.len())
    }

    /// Returns the revocations of other programs, when sessions in the legacy backend's form end by them.
    #[must_use]
    pub fn news(&self) -> Option<News> {
        self.store.as_ref().map(|_| self.revocations.news())
    }

    /// Returns everywhere an end is written to.
    fn lists(&self) -> Lists<'_> {
        Lists { revocations: &self.revocations, store: self.store.as_ref() }
    }

    /// Deletes sessions whose tokens have all expired. Rewrites the revocation file without expired lines and
    /// with those from the database.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Revocation`].
    pub async fn throw_away_expired(&self) -> Result<(), Error> {
        let now = self.clock.now();
        Entity::delete_many()
            .filter(Column::RefreshExpiresAt.lt(long_ago(now)))
            .filter(Column::AccessExpiresAt.lt(long_ago(now)))
            .exec(&self.database)
            .await
            .map_err(Error::Store)?;
        person::forget_idle(&self.database, now).await?;
        let lines = ends::all(&self.database, now).await?;
        self.revocations.rewrite(lines, now).await.map_err(Error::Revocation)
    }
}
