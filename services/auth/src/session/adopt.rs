//! A session of the legacy backend becomes one of this service.

use clock::UnixTime;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    TransactionTrait as _,
};
use validity::revocation::{Revocation, SessionEnd};

use super::entity::{Column, Entity, Model};
use super::person::Person;
use super::rows::{family, family_of, find, find_legacy, insert, of_family, seconds};
use super::{CLOCK_SKEW, Sessions};
use crate::error::Error;
use crate::legacy::store::{Store, Taken};
use crate::legacy::token::Proved;
use crate::token::{ACCESS_LIFETIME, Genuine, Holder, LEEWAY, Pair};

impl Sessions {
    /// Stores the session of `new` in place of the legacy session of `old`, which is proved. Without a `store`
    /// the legacy backend has ended that session already. Returns false when it is not alive, or another
    /// request was faster. A session in the legacy backend's form that began here has a row: the new session joins its
    /// family.
    ///
    /// The order leaves a way back: the person is locked first, then the key is taken from the legacy backend's Redis,
    /// then the rows are written and the transaction commits. When the commit fails, the key is given back. When this
    /// process ends in between, the database has no session of the family, and a copy of the key is still in Redis, so
    /// the next request with the same pair succeeds. A living key beside a stored family means that the commit was
    /// reported as failed and was not: no client received those tokens, so they end.
    ///
    /// # Errors
    /// [`Error::TooManyRefreshes`], [`Error::Store`], [`Error::Revocation`], [`Error::Legacy`]. The old pair is
    /// then valid, or can still be exchanged.
    pub async fn adopt(
        &self,
        old: &Genuine,
        holder: &Holder,
        new: &Pair,
        store: Option<&Store>,
    ) -> Result<bool, Error> {
        if self.ended_elsewhere(old).await? {
            return Ok(false);
        }
        let now = self.clock.now();
        let transaction = self.database.begin().await.map_err(Error::Store)?;
        let mut person = Person::lock(&transaction, holder.subject).await?;
        person.use_refresh(&transaction, self.bounds.refresh_burst, now).await?;
        let row = find(&transaction, old).await?;
        if row.as_ref().is_some_and(|row| self.is_too_old(row, now)) {
            self.end_family(&transaction, &mut person, row.as_ref().map_or(old.session.0, family), now)
                .await?;
            transaction.commit().await.map_err(Error::Store)?;
            return Ok(false);
        }
        // Whether an earlier exchange of this session was committed.
        let is_known = match &row {
            Some(row) => row.dead_from.is_some(),
            None => {
                let of_old = Entity::find().filter(of_family(old.session.0));
                of_old.count(&transaction).await.map_err(Error::Store)? > 0
            }
        };
        if let Some(store) = store {
            match store.take(old.session).await {
                Ok(Taken::Alive) => {}
                Ok(Taken::Before) if !is_known => {}
                Ok(Taken::Before | Taken::Gone) => return Ok(false),
                Err(error) => {
                    // It may have been taken. If this family is known, another request took it.
                    if !is_known {
                        give_back(store, old).await;
                    }
                    return Err(Error::Legacy(error));
                }
            }
        }
        let began_here = row.is_some();
        let before = Before { row, is_known };
        if let Err(error) = self.settle(transaction, &mut person, old, holder, new, now, before).await {
            if let Some(store) = store {
                give_back(store, old).await;
            }
            return Err(error);
        }
        // The copy of the key of a session that began here stays: a sign-out with the old pair proves itself by it, and ends the
        // sign-in.
        self.finish(old, store.filter(|_| !began_here), now).await;
        Ok(true)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the second half of `adopt`, apart so that one place undoes it"
    )]
    async fn settle(
        &self,
        transaction: DatabaseTransaction,
        person: &mut Person,
        old: &Genuine,
        holder: &Holder,
        new: &Pair,
        now: UnixTime,
        before: Before,
    ) -> Result<(), Error> {
        let Before { row, is_known } = before;
        // The age of a sign-in counts from the legacy backend's last refresh: it keeps no earlier time.
        let unknown = (old.session.0, seconds(old.issued).min(seconds(now)));
        let family = row.as_ref().map_or(unknown, family_of);
        if is_known {
            self.end_family(&transaction, person, family.0, now).await?;
        }
        // Its key is taken already. `finish` reports its end.
        Entity::update_many()
            .col_expr(Column::DeadFrom, Expr::value(seconds(now)))
            .filter(Column::Id.eq(old.session.0))
            .filter(Column::DeadFrom.is_null())
            .exec(&transaction)
            .await
            .map_err(Error::Store)?;
        // Only now: it announces the end of other sign-ins to the edge, and a request that takes no key must end none.
        self.make_room(&transaction, person, now).await?;
        insert(&transaction, holder, new, family, now).await?;
        self.commit(transaction, holder, new).await
    }

    /// Reports the end of the legacy session to the edge, which may have cached it. The session has ended in
    /// any case, so failures are only logged.
    async fn finish(&self, old: &Genuine, store: Option<&Store>, now: UnixTime) {
        if let Some(store) = store
            && let Err(error) = store.forget(old.session).await
        {
            tracing::warn!(%error, "the copy of an exchanged session's key stays in the legacy backend's Redis");
        }
        if let Err(error) = self.announce_legacy(old.session, now).await {
            tracing::warn!(error = %kit::answer::Chain(&error), "the edge may accept an exchanged session for some seconds");
        }
    }

    /// Ends the family that a legacy session was exchanged for, and reports the end of the legacy session to
    /// the edge.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Revocation`].
    pub async fn end_adopted(&self, old: &Proved) -> Result<(), Error> {
        let now = self.clock.now();
        self.announce_legacy(old.session, now).await?;
        let transaction = self.database.begin().await.map_err(Error::Store)?;
        let mut person = Person::lock(&transaction, old.subject).await?;
        let row = find_legacy(&transaction, old).await?;
        let family = row.as_ref().map_or(old.session.0, family);
        self.end_family(&transaction, &mut person, family, now).await?;
        transaction.commit().await.map_err(Error::Store)
    }

    async fn announce_legacy(&self, session: kit::SessionId, now: UnixTime) -> Result<(), Error> {
        // No access token of the legacy backend is younger than now.
        let until = now.plus(ACCESS_LIFETIME).plus(LEEWAY).plus(CLOCK_SKEW);
        let end = SessionEnd { sid: session.into(), from: now.seconds(), until: until.seconds() };
        self.revocations.append(Revocation::Session(end)).await.map_err(Error::Revocation)
    }
}

/// What the database holds of a session before its exchange.
struct Before {
    /// Its own row, if it began here.
    row: Option<Model>,
    /// Whether an earlier exchange was committed.
    is_known: bool,
}

async fn give_back(store: &Store, old: &Genuine) {
    if let Err(error) = store.give_back(old.session).await {
        tracing::error!(%error, "a legacy session is not back yet; its refresh still works");
    }
}
