//! Announces the end of sessions: one line for each, or one for all sessions of a person with many.

use std::time::Duration;

use clock::UnixTime;
use kit::SessionId;
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use validity::revocation::{Revocation, SessionEnd, SubjectEnd};

use super::entity::{Column, Entity, Model};
use super::person::{self, Person};
use super::{CLOCK_SKEW, seconds};
use crate::error::Error;
use crate::legacy::store::Store;
use crate::revocation::Revocations;
use crate::token::{ACCESS_LIFETIME, LEEWAY};

/// How many ended sessions of one person are announced one by one while their access tokens could still be
/// used. A person with fifty devices who signs out of all and in again five times in four hours stays below
/// it.
pub const MAX_LISTED: u64 = 256;

/// Beyond [`MAX_LISTED`], the minimum age of the youngest token that a line for the whole person ends. A
/// session that begins on another replica, whose clock is late by less, must not be included.
pub const FOLD_MARGIN: Duration = Duration::from_secs(5);

/// A session whose end must be announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) session: SessionId,
    /// `iat` of its tokens.
    pub(super) issued: UnixTime,
    /// The time from which the session is dead.
    pub(super) from: UnixTime,
}

impl Ending {
    /// Returns until when the edge must remember the end: as long as a verifier would accept the access
    /// token.
    fn until(&self) -> u64 {
        until(self.issued.plus(ACCESS_LIFETIME)).seconds()
    }

    fn line(&self) -> Revocation {
        Revocation::Session(SessionEnd {
            sid: self.session.into(),
            from: self.from.seconds(),
            until: self.until(),
        })
    }
}

/// Everywhere an end is written to.
#[derive(Clone, Copy)]
pub(super) struct Lists<'s> {
    pub(super) revocations: &'s Revocations,
    /// The legacy backend's Redis.
    pub(super) store: Option<&'s Store>,
}

impl Lists<'_> {
    /// Deletes the keys of those of `rows` that are in the legacy backend's form, so that they end there.
    pub(super) async fn end_keys(&self, rows: &[Model]) -> Result<(), Error> {
        let Some(store) = self.store else { return Ok(()) };
        let written: Vec<SessionId> =
            rows.iter().filter(|row| row.refresh_id == row.id).map(|row| SessionId(row.id)).collect();
        store.end(&written).await.map_err(Error::Legacy)
    }
}

/// Announces `endings` of `person`, which are already stored.
///
/// Up to [`MAX_LISTED`] sessions have a line each. Beyond that, one line ends every session of the person
/// issued up to the youngest of `endings`, and the next such line replaces it. So the entries of one person
/// in the list stay bounded. The newest session is never included. Older living sessions are: they end in the
/// database too.
pub(super) async fn announce(
    database: &impl ConnectionTrait,
    lists: Lists<'_>,
    person: &mut Person,
    endings: &[Ending],
    now: UnixTime,
) -> Result<(), Error> {
    // A session whose access token is no longer valid anywhere needs no line. This keeps the list short.
    let needed: Vec<Ending> =
        endings.iter().filter(|ending| ending.until() >= ending.from.seconds()).copied().collect();
    if needed.is_empty() {
        return Ok(());
    }
    let mut single = needed.clone();
    let listed = listed(database, person, now).await?;
    if listed > MAX_LISTED
        && let Some(before) = fold_before(database, person, &needed, now).await?
        && needed.iter().any(|ending| ending.issued.seconds() < before)
    {
        single.retain(|ending| ending.issued.seconds() >= before);
        fold(database, lists, person, before, now).await?;
    }
    for ending in single {
        lists.revocations.append(ending.line()).await.map_err(Error::Revocation)?;
    }
    Ok(())
}

/// Returns whether the end of one more session issued at `issued` would have to be folded, but cannot be yet.
pub(super) async fn must_wait(
    database: &impl ConnectionTrait,
    person: &Person,
    issued: UnixTime,
    now: UnixTime,
) -> Result<bool, Error> {
    let is_young = issued.plus(FOLD_MARGIN) >= now;
    Ok(is_young && listed(database, person, now).await? >= MAX_LISTED)
}

/// Counts the sessions of `person` that ended before their access tokens became invalid.
async fn listed(database: &impl ConnectionTrait, person: &Person, now: UnixTime) -> Result<u64, Error> {
    Entity::find()
        .filter(Column::UserId.eq(person.subject().0))
        .filter(Column::AccessExpiresAt.gte(long_ago(now)))
        .filter(Column::DeadFrom.is_not_null())
        .count(database)
        .await
        .map_err(Error::Store)
}

/// Returns the second before which one line ends the tokens of `person`. It includes all of `endings`, but
/// neither the newest living session nor one that is about to begin on another replica.
async fn fold_before(
    database: &impl ConnectionTrait,
    person: &Person,
    endings: &[Ending],
    now: UnixTime,
) -> Result<Option<u64>, Error> {
    let newest: Option<Option<i64>> = Entity::find()
        .select_only()
        .column_as(Column::AccessExpiresAt.max(), "newest")
        .filter(Column::UserId.eq(person.subject().0))
        .filter(Column::DeadFrom.is_null())
        .into_tuple()
        .one(database)
        .await
        .map_err(Error::Store)?;
    let Some(youngest) = endings.iter().map(|ending| ending.issued.seconds()).max() else { return Ok(None) };
    let newest = newest.flatten().and_then(|expires| u64::try_from(expires).ok());
    let newest = newest.map_or(u64::MAX, |expires| expires.saturating_sub(ACCESS_LIFETIME.as_secs()));
    let settled = now.seconds().saturating_sub(FOLD_MARGIN.as_secs());
    Ok(Some(youngest.saturating_add(1).min(newest).min(settled)))
}

/// Ends every session of `person` issued before second `before`, with one line.
async fn fold(
    database: &impl ConnectionTrait,
    lists: Lists<'_>,
    person: &mut Person,
    before: u64,
    now: UnixTime,
) -> Result<(), Error> {
    let before_expiry = UnixTime::from_seconds(before).plus(ACCESS_LIFETIME);
    let until = until(before_expiry);
    let older = Condition::all()
        .add(Column::UserId.eq(person.subject().0))
        .add(Column::AccessExpiresAt.lt(seconds(before_expiry)))
        .add(alive_at(now));
    if lists.store.is_some() {
        let rows = Entity::find().filter(older.clone()).filter(is_written());
        lists.end_keys(&rows.all(database).await.map_err(Error::Store)?).await?;
    }
    let ended = Entity::update_many()
        .col_expr(Column::DeadFrom, Expr::value(seconds(now)))
        .filter(older)
        .exec(database)
        .await
        .map_err(Error::Store)?;
    if ended.rows_affected > 0 {
        let (person, sessions) = (person.subject(), ended.rows_affected);
        tracing::warn!(%person, sessions, "too many sessions of one person ended: ending older ones with them");
    }
    let stored = |second: u64| i64::try_from(second).unwrap_or(i64::MAX);
    person.end_before(database, stored(before), seconds(until)).await?;
    let line = SubjectEnd { sub: person.subject().into(), before, until: until.seconds() };
    lists.revocations.append(Revocation::Subject(line)).await.map_err(Error::Revocation)
}

/// Selects sessions in the legacy backend's form: its refresh tokens have no id of their own.
pub(super) fn is_written() -> SimpleExpr {
    // Not imported: its methods shadow those of numbers.
    sea_orm::ExprTrait::eq(Expr::col(Column::RefreshId), Expr::col(Column::Id))
}

/// Returns every line that the database holds at `now`.
pub(super) async fn all(database: &impl ConnectionTrait, now: UnixTime) -> Result<Vec<Revocation>, Error> {
    let dead = Entity::find()
        .filter(Column::DeadFrom.is_not_null())
        .filter(Column::AccessExpiresAt.gte(long_ago(now)))
        .order_by_asc(Column::Id)
        .all(database)
        .await
        .map_err(Error::Store)?;
    let ended = person::ended(database, now).await?;
    let before: std::collections::HashMap<_, _> =
        ended.iter().map(|(sub, before, _)| (*sub, *before)).collect();
    let mut lines: Vec<Revocation> = Vec::with_capacity(dead.len() + ended.len());
    for row in &dead {
        let Some(ending) = ending(row) else { continue };
        // One line covers all of them.
        let folded = before.get(&kit::SubjectId(row.user_id));
        if folded.is_none_or(|before| seconds(ending.issued) >= *before) {
            lines.push(ending.line());
        }
    }
    lines.extend(ended.into_iter().filter_map(|(sub, before, until)| {
        let (before, until) = (u64::try_from(before).ok()?, u64::try_from(until).ok()?);
        Some(Revocation::Subject(SubjectEnd { sub: sub.into(), before, until }))
    }));
    Ok(lines)
}

fn ending(row: &Model) -> Option<Ending> {
    let from = UnixTime::from_seconds(u64::try_from(row.dead_from?).ok()?);
    Some(Ending { session: SessionId(row.id), issued: issued(row), from })
}

/// Returns `iat` of the tokens of `row`. Both tokens are issued at the same moment.
pub(super) fn issued(row: &Model) -> UnixTime {
    let expires = u64::try_from(row.access_expires_at).unwrap_or_default();
    UnixTime::from_seconds(expires.saturating_sub(ACCESS_LIFETIME.as_secs()))
}

/// Selects sessions that are not dead at `now`: alive, or within their grace.
pub(super) fn alive_at(now: UnixTime) -> Condition {
    Condition::any().add(Column::DeadFrom.is_null()).add(Column::DeadFrom.gt(seconds(now)))
}

/// Access tokens that expired before the returned time are invalid everywhere at `now`.
pub(super) fn long_ago(now: UnixTime) -> i64 {
    seconds(now).saturating_sub_unsigned((LEEWAY + CLOCK_SKEW).as_secs())
}

/// Returns until when the edge must remember the end of a session whose access token expires at
/// `access_expires`.
fn until(access_expires: UnixTime) -> UnixTime {
    access_expires.plus(LEEWAY).plus(CLOCK_SKEW)
}
