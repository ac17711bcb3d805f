//! How the end of sessions is announced: one line for each, and one for all of a person when there were many.

use std::time::Duration;

use clock::UnixTime;
use identity::SessionId;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use validity::revocation::{Revocation, SessionEnd, SubjectEnd};

use super::entity::{Column, Entity, Model};
use super::person::{self, Person};
use super::{CLOCK_SKEW, seconds};
use crate::error::Error;
use crate::revocation::Revocations;
use crate::token::{ACCESS_LIFETIME, LEEWAY};

/// How many ended sessions of one person are announced one by one, while their access tokens could still be used. A person
/// with fifty devices who signs out of all and in again five times in four hours stays below it.
pub const MAX_LISTED: u64 = 256;

/// Beyond that, how old the youngest token must be that is ended by one line for the whole person: a session that begins
/// on another replica, whose clock is late by less, must not be among them.
pub const FOLD_MARGIN: Duration = Duration::from_secs(5);

/// A session whose end is to be announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) session: SessionId,
    /// `iat` of its tokens.
    pub(super) issued: UnixTime,
    /// From when on it is dead.
    pub(super) from: UnixTime,
}

impl Ending {
    /// Until when the edge has to remember it: as long as a verifier would take the access token.
    fn until(&self) -> u64 {
        until(self.issued.plus(ACCESS_LIFETIME)).seconds()
    }

    fn line(&self) -> Revocation {
        Revocation::Session(SessionEnd { sid: self.session, from: self.from.seconds(), until: self.until() })
    }
}

/// Announces `endings` of `person`, whose rows say so already.
///
/// Up to [`MAX_LISTED`] each has its line. Beyond it, everything of the person that was issued up to the youngest of them
/// is ended by one line, whose place the next one takes: what one person adds to the list stays bounded. The newest
/// session is never among it. Older ones that were alive are: they end in the database too.
pub(super) async fn announce(
    database: &impl ConnectionTrait,
    revocations: &Revocations,
    person: &mut Person,
    endings: &[Ending],
    now: UnixTime,
) -> Result<(), Error> {
    // A session whose access token is past all use needs no line: this keeps the list short.
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
        fold(database, revocations, person, before, now).await?;
    }
    for ending in single {
        revocations.append(ending.line()).await.map_err(Error::Revocation)?;
    }
    Ok(())
}

/// Whether one more end of a session that was issued at `issued` would have to be folded and cannot be yet.
pub(super) async fn must_wait(
    database: &impl ConnectionTrait,
    person: &Person,
    issued: UnixTime,
    now: UnixTime,
) -> Result<bool, Error> {
    let is_young = issued.plus(FOLD_MARGIN) >= now;
    Ok(is_young && listed(database, person, now).await? >= MAX_LISTED)
}

/// How many sessions of `person` are dead before their access tokens are past all use.
async fn listed(database: &impl ConnectionTrait, person: &Person, now: UnixTime) -> Result<u64, Error> {
    Entity::find()
        .filter(Column::UserId.eq(person.subject().0))
        .filter(Column::AccessExpiresAt.gte(long_ago(now)))
        .filter(Column::DeadFrom.is_not_null())
        .count(database)
        .await
        .map_err(Error::Store)
}

/// Up to which second tokens of `person` can be ended by one line: all of `endings`, but neither the newest session that is
/// alive nor one that is about to begin on another replica.
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

/// Ends everything of `person` that was issued before second `before`, with one line.
async fn fold(
    database: &impl ConnectionTrait,
    revocations: &Revocations,
    person: &mut Person,
    before: u64,
    now: UnixTime,
) -> Result<(), Error> {
    let before_expiry = UnixTime::from_seconds(before).plus(ACCESS_LIFETIME);
    let until = until(before_expiry);
    let ended = Entity::update_many()
        .col_expr(Column::DeadFrom, Expr::value(seconds(now)))
        .filter(Column::UserId.eq(person.subject().0))
        .filter(Column::AccessExpiresAt.lt(seconds(before_expiry)))
        .filter(alive_at(now))
        .exec(database)
        .await
        .map_err(Error::Store)?;
    if ended.rows_affected > 0 {
        let (person, sessions) = (person.subject(), ended.rows_affected);
        tracing::warn!(%person, sessions, "too many sessions of one person ended: older ones end with them");
    }
    let stored = |second: u64| i64::try_from(second).unwrap_or(i64::MAX);
    person.end_before(database, stored(before), seconds(until)).await?;
    let line = SubjectEnd { sub: person.subject(), before, until: until.seconds() };
    revocations.append(Revocation::Subject(line)).await.map_err(Error::Revocation)
}

/// Every line that the database knows of at `now`.
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
        // One line says it for all of them.
        let folded = before.get(&identity::SubjectId(row.user_id));
        if folded.is_none_or(|before| seconds(ending.issued) >= *before) {
            lines.push(ending.line());
        }
    }
    lines.extend(ended.into_iter().filter_map(|(sub, before, until)| {
        let (before, until) = (u64::try_from(before).ok()?, u64::try_from(until).ok()?);
        Some(Revocation::Subject(SubjectEnd { sub, before, until }))
    }));
    Ok(lines)
}

fn ending(row: &Model) -> Option<Ending> {
    let from = UnixTime::from_seconds(u64::try_from(row.dead_from?).ok()?);
    Some(Ending { session: SessionId(row.id), issued: issued(row), from })
}

/// `iat` of the tokens of `row`; both are issued at the same moment.
pub(super) fn issued(row: &Model) -> UnixTime {
    let expires = u64::try_from(row.access_expires_at).unwrap_or_default();
    UnixTime::from_seconds(expires.saturating_sub(ACCESS_LIFETIME.as_secs()))
}

/// Sessions that are not dead at `now`: alive for good, or in their grace.
pub(super) fn alive_at(now: UnixTime) -> Condition {
    Condition::any().add(Column::DeadFrom.is_null()).add(Column::DeadFrom.gt(seconds(now)))
}

/// Access tokens that expired before this are past all use at `now`.
pub(super) fn long_ago(now: UnixTime) -> i64 {
    seconds(now).saturating_sub_unsigned((LEEWAY + CLOCK_SKEW).as_secs())
}

/// Until when the edge has to remember that a session is dead whose access token expires at `access_expires`.
fn until(access_expires: UnixTime) -> UnixTime {
    access_expires.plus(LEEWAY).plus(CLOCK_SKEW)
}
