//! Limits of one person's usage, so that no person can fill the shared lists.
//!
//! Every authorizer remembers each ended session until its access token is no longer valid anywhere, four
//! hours. Two limits keep the share of one person small: how often sessions are refreshed, and how many
//! sessions are alive ([`Bounds`](crate::settings::Bounds)). Both are kept in the database, so that replicas share them
//! and a restart forgets nothing.

mod entity;

use std::time::Duration;

use clock::UnixTime;
use kit::SubjectId;
use sea_orm::sea_query::{OnConflict, Query};
use sea_orm::{ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _};

use entity::{ActiveModel, Column, Entity, Model};

use super::seconds;
use crate::error::Error;

/// How long it takes until one more refresh is possible. An honest device refreshes once in four hours.
/// Thirty seconds leave room for two hundred devices, and limit the entries of one person in the list of
/// ended sessions to about 540 in that time.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(30);

/// A person whose row is locked until the end of the transaction. Other changes of their sessions wait.
pub(super) struct Person(Model);

impl Person {
    /// Locks `subject`. It must be the first statement of the transaction, because a SQLite transaction that
    /// begins with a read cannot always upgrade to a write.
    pub(super) async fn lock(database: &impl ConnectionTrait, subject: SubjectId) -> Result<Self, Error> {
        let new = ActiveModel {
            user_id: Set(subject.0),
            refreshes_paid_until: Set(0),
            ended_before: Set(0),
            ended_until: Set(0),
        };
        // An update that changes nothing locks the row.
        let locked = OnConflict::column(Column::UserId).update_column(Column::UserId).to_owned();
        Entity::insert(new)
            .on_conflict(locked)
            .exec_without_returning(database)
            .await
            .map_err(Error::Store)?;
        let row = Entity::find_by_id(subject.0).one(database).await.map_err(Error::Store)?;
        let unknown = Model { user_id: subject.0, refreshes_paid_until: 0, ended_before: 0, ended_until: 0 };
        Ok(Self(row.unwrap_or(unknown)))
    }

    /// Returns an error unless `subject`, who can do `burst` refreshes at once, can refresh at `now`. Uses nothing up.
    pub(super) async fn check_refresh(
        database: &impl ConnectionTrait,
        subject: SubjectId,
        burst: u32,
        now: UnixTime,
    ) -> Result<(), Error> {
        let row = Entity::find_by_id(subject.0).one(database).await.map_err(Error::Store)?;
        paid_after_one_more(row.map_or(0, |row| row.refreshes_paid_until), burst, now).map(|_| ())
    }

    /// Uses up one refresh of `burst`.
    ///
    /// # Errors
    /// [`Error::TooManyRefreshes`] when the burst is used up, [`Error::Store`].
    pub(super) async fn use_refresh(
        &mut self,
        database: &impl ConnectionTrait,
        burst: u32,
        now: UnixTime,
    ) -> Result<(), Error> {
        self.0.refreshes_paid_until = paid_after_one_more(self.0.refreshes_paid_until, burst, now)?;
        let row =
            ActiveModel { refreshes_paid_until: Set(self.0.refreshes_paid_until), ..Default::default() };
        self.update(database, row).await
    }

    /// Returns the person's id.
    pub(super) const fn subject(&self) -> SubjectId {
        SubjectId(self.0.user_id)
    }

    /// Records that every token issued before second `before` is dead, which matters until `until`.
    pub(super) async fn end_before(
        &mut self,
        database: &impl ConnectionTrait,
        before: i64,
        until: i64,
    ) -> Result<(), Error> {
        self.0.ended_before = self.0.ended_before.max(before);
        self.0.ended_until = self.0.ended_until.max(until);
        let row = ActiveModel {
            ended_before: Set(self.0.ended_before),
            ended_until: Set(self.0.ended_until),
            ..Default::default()
        };
        self.update(database, row).await
    }

    async fn update(&self, database: &impl ConnectionTrait, row: ActiveModel) -> Result<(), Error> {
        let update = Entity::update_many().set(row).filter(Column::UserId.eq(self.0.user_id));
        update.exec(database).await.map_err(Error::Store)?;
        Ok(())
    }
}

/// Returns the persons whose tokens before a moment are all dead at `now`: the person, that moment, and until
/// when it matters.
pub(super) async fn ended(
    database: &impl ConnectionTrait,
    now: UnixTime,
) -> Result<Vec<(SubjectId, i64, i64)>, Error> {
    let rows = Entity::find()
        .filter(Column::EndedUntil.gte(seconds(now)))
        .all(database)
        .await
        .map_err(Error::Store)?;
    Ok(rows.into_iter().map(|row| (SubjectId(row.user_id), row.ended_before, row.ended_until)).collect())
}

/// Deletes persons with their whole burst available and no announcement in force.
pub(super) async fn forget_idle(database: &impl ConnectionTrait, now: UnixTime) -> Result<(), Error> {
    let idle = Entity::delete_many()
        .filter(Column::RefreshesPaidUntil.lt(seconds(now)))
        .filter(Column::EndedUntil.lt(seconds(now)));
    idle.exec(database).await.map_err(Error::Store)?;
    Ok(())
}

/// Deletes those of `people` who have no session, neither alive nor ended.
pub(super) async fn remove_without_session(
    database: &impl ConnectionTrait,
    people: impl Iterator<Item = SubjectId>,
) -> Result<(), Error> {
    let with_session = Query::select().column("user_id").from("auth_sessions").take();
    let without = Entity::delete_many()
        .filter(Column::UserId.is_in(people.map(|person| person.0)))
        .filter(Column::UserId.not_in_subquery(with_session));
    without.exec(database).await.map_err(Error::Store)?;
    Ok(())
}

/// A token bucket in one number (the generic cell rate algorithm): returns until when the refreshes are paid
/// for after one more.
fn paid_after_one_more(paid_until: i64, burst: u32, now: UnixTime) -> Result<i64, Error> {
    let now = seconds(now);
    let interval = i64::try_from(REFRESH_INTERVAL.as_secs()).unwrap_or(i64::MAX);
    let next = paid_until.max(now).saturating_add(interval);
    let latest = now.saturating_add(interval.saturating_mul(i64::from(burst)));
    if next <= latest {
        return Ok(next);
    }
    let wait = u64::try_from(next.saturating_sub(latest)).unwrap_or_default();
    Err(Error::TooManyRefreshes { wait: Duration::from_secs(wait) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: u32 = 60;

    #[test]
    fn a_burst_and_then_one_in_each_interval() {
        let now = UnixTime::from_seconds(1_000);
        let mut paid = 0;
        for _ in 0..BURST {
            paid = paid_after_one_more(paid, BURST, now).unwrap();
        }
        let later = |seconds| now.plus(Duration::from_secs(seconds));
        let Err(Error::TooManyRefreshes { wait }) = paid_after_one_more(paid, BURST, later(20)) else {
            panic!("one more than the burst");
        };
        assert_eq!(wait, Duration::from_secs(10));
        let paid = paid_after_one_more(paid, BURST, later(30)).unwrap();
        assert!(paid_after_one_more(paid, BURST, later(59)).is_err());
        assert!(paid_after_one_more(paid, BURST, later(60)).is_ok());
        // A clock that was set back locks a person out for at most the length of the burst.
        assert!(paid_after_one_more(i64::MAX, BURST, now).is_err());
    }
}
