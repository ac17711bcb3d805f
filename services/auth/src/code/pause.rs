//! How many codes one address is mailed.
//!
//! Any client can request a code for any address. At most five are alive, which alone would let a stranger send 150 mails in
//! an hour. So the codes of an address are also counted in a bucket: as many as `CODES_PER_HOUR` at once, and then one in each
//! part of the hour (120 s for the default of 30). A client that requests one code whenever the last has expired never meets
//! that bound. Every code is valid for [`LIFETIME`](super::LIFETIME), however many went before.
//!
//! The owner is not locked out: with the default the next code can be requested as soon as the last has expired, so at any
//! time either a new code can be requested, or the newest mail signs in. A sign-in resets the count.

mod entity;

use kit::{TenantId, VerifiedTenant};
use sea_orm::sea_query::{self, Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _};

use entity::{ActiveModel, Column, Entity, Model};

use crate::error::Error;

const HOUR: i64 = 3_600;

/// Counts one more mail to `email`, of at most `per_hour`.
///
/// The row of the address stays locked until the end of the transaction, and this must be its first statement.
///
/// # Errors
/// [`Error::TooManyCodes`] when the bucket is empty, [`Error::Store`].
pub(super) async fn next(
    database: &impl ConnectionTrait,
    email: &str,
    tenant: TenantId,
    per_hour: u32,
    now: i64,
) -> Result<(), Error> {
    let new = ActiveModel {
        email: Set(email.to_owned()),
        mailed: Set(0),
        next_at: Set(0),
        forgotten_at: Set(0),
        tenant_id: Set(Some(tenant.0)),
    };
    // An update that changes nothing locks the row.
    let locked = OnConflict::column(Column::Email).update_column(Column::Email).to_owned();
    Entity::insert(new).on_conflict(locked).exec_without_returning(database).await.map_err(Error::Store)?;
    let row = Entity::find_by_id(email).one(database).await.map_err(Error::Store)?;
    let known = row.filter(|row| row.forgotten_at > now);
    let (mailed, next_at) = known.map_or((0, 0), |Model { mailed, next_at, .. }| (mailed, next_at));
    let Bucket { next_at, full_at } = after_one_more(next_at, per_hour, now).ok_or(Error::TooManyCodes)?;
    let row = ActiveModel {
        email: Set(email.to_owned()),
        mailed: Set(mailed.saturating_add(1)),
        next_at: Set(next_at),
        forgotten_at: Set(full_at),
        tenant_id: Set(Some(tenant.0)),
    };
    Entity::update(row).exec(database).await.map_err(Error::Store)?;
    Ok(())
}

/// Takes back the count of one mail to `email`, which was not sent.
///
/// # Errors
/// [`Error::Store`].
pub(super) async fn give_back(
    database: &impl ConnectionTrait,
    email: &str,
    per_hour: u32,
) -> Result<(), Error> {
    let part = part(per_hour);
    Entity::update_many()
        .col_expr(Column::NextAt, sea_query::ExprTrait::sub(Expr::col(Column::NextAt), part))
        .col_expr(Column::ForgottenAt, sea_query::ExprTrait::sub(Expr::col(Column::ForgottenAt), part))
        .filter(Column::Email.eq(email))
        .exec(database)
        .await
        .map_err(Error::Store)?;
    Ok(())
}

/// Resets the count of mails to `email` after its owner has signed in.
pub(super) async fn forget(database: &impl ConnectionTrait, email: &str) -> Result<(), Error> {
    Entity::delete_by_id(email).exec(database).await.map_err(Error::Store)?;
    Ok(())
}

/// Deletes the rows of addresses of people of `tenant`.
pub(super) async fn remove(database: &impl ConnectionTrait, tenant: VerifiedTenant) -> Result<(), Error> {
    let removed = Entity::delete_many().filter(Column::TenantId.eq(tenant.id().0));
    removed.exec(database).await.map_err(Error::Store)?;
    Ok(())
}

/// Deletes rows that no longer matter.
pub(super) async fn throw_away_forgotten(database: &impl ConnectionTrait, now: i64) -> Result<(), Error> {
    let forgotten = Entity::delete_many().filter(Column::ForgottenAt.lte(now));
    forgotten.exec(database).await.map_err(Error::Store)?;
    Ok(())
}

/// What is left for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    /// The earliest time of the next code.
    next_at: i64,
    /// When the whole number is available again.
    full_at: i64,
}

/// The seconds after which one more of `per_hour` codes can be requested.
fn part(per_hour: u32) -> i64 {
    HOUR.saturating_div(i64::from(per_hour.max(1)))
}

/// A token bucket in one number (the generic cell rate algorithm). `None` before `next_at`.
fn after_one_more(next_at: i64, per_hour: u32, now: i64) -> Option<Bucket> {
    if now < next_at {
        return None;
    }
    let part = part(per_hour);
    let others = part.saturating_mul(i64::from(per_hour.max(1)).saturating_sub(1));
    let full_at = next_at.saturating_add(others).max(now).saturating_add(part);
    Some(Bucket { next_at: full_at.saturating_sub(others), full_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `requests`, which are times, are granted.
    fn granted(requests: impl Iterator<Item = i64>) -> usize {
        let mut next_at = 0;
        requests
            .filter(|now| {
                let bucket = after_one_more(next_at, 30, *now);
                next_at = bucket.map_or(next_at, |bucket| bucket.next_at);
                bucket.is_some()
            })
            .count()
    }

    #[test]
    fn an_hours_codes_at_once_and_then_one_in_each_part_of_the_hour() {
        let start = 1_000_000;
        assert_eq!(granted((0..100).map(|_| start)), 30);
        assert_eq!(granted((0..86_400).map(|second| start + second)), 30 + 86_400 / 120 - 1);
        assert_eq!(granted((0..1_000).map(|code| start + 121 * code)), 1_000, "one in 121 s for days");
    }
}
