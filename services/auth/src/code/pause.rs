//! Growing pauses between the codes for one address.
//!
//! Any client can request a code for any address. The first codes go out at once, because a person may be
//! impatient or the mail slow. After that each pause is twice as long as the one before, so that a stranger
//! cannot fill a mailbox. The owner is not locked out: the last mailed code stays valid until the next can be
//! requested, so the newest mail always signs in. A sign-in resets the pauses.

mod entity;

use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _};

use entity::{ActiveModel, Column, Entity, Model};

use super::LIFETIME;
use crate::error::Error;

/// How many codes are mailed without a pause: all five places twice. A person who has received none of ten
/// mails has another problem.
pub const FREE: i32 = 10;

/// The first pause, as long as the lifetime of a code.
pub const FIRST: Duration = LIFETIME;

/// The longest pause. A code stays valid for as long, so an hour is short enough to find the mail again, and
/// a persistent stranger sends one mail in an hour.
pub const LONGEST: Duration = Duration::from_secs(3_600);

/// After this long without a mail the pauses start again from the first: longer than the longest pause, and
/// shorter than a night.
pub const QUIET: Duration = Duration::from_secs(6 * 3_600);

/// Counts one more mail to `email` and returns how long its code is valid.
///
/// The row of the address stays locked until the end of the transaction, and this must be its first statement.
///
/// # Errors
/// [`Error::TooManyCodes`] within a pause, [`Error::Store`].
pub(super) async fn next(database: &impl ConnectionTrait, email: &str, now: i64) -> Result<Duration, Error> {
    let new =
        ActiveModel { email: Set(email.to_owned()), mailed: Set(0), next_at: Set(0), forgotten_at: Set(0) };
    // An update that changes nothing locks the row.
    let locked = OnConflict::column(Column::Email).update_column(Column::Email).to_owned();
    Entity::insert(new).on_conflict(locked).exec_without_returning(database).await.map_err(Error::Store)?;
    let row = Entity::find_by_id(email).one(database).await.map_err(Error::Store)?;
    let mailed = match row {
        Some(Model { forgotten_at, .. }) if forgotten_at <= now => 0,
        Some(Model { next_at, .. }) if now < next_at => return Err(Error::TooManyCodes),
        Some(Model { mailed, .. }) => mailed,
        None => 0,
    };
    let mailed = mailed.saturating_add(1);
    let pause = after(mailed);
    let row = ActiveModel {
        email: Set(email.to_owned()),
        mailed: Set(mailed),
        next_at: Set(now.saturating_add_unsigned(pause.as_secs())),
        forgotten_at: Set(now.saturating_add_unsigned(QUIET.as_secs())),
    };
    Entity::update(row).exec(database).await.map_err(Error::Store)?;
    Ok(pause.max(LIFETIME))
}

/// Resets the count of mails to `email` after its owner has signed in.
pub(super) async fn forget(database: &impl ConnectionTrait, email: &str) -> Result<(), Error> {
    Entity::delete_by_id(email).exec(database).await.map_err(Error::Store)?;
    Ok(())
}

/// Deletes rows that no longer matter.
pub(super) async fn throw_away_forgotten(database: &impl ConnectionTrait, now: i64) -> Result<(), Error> {
    let forgotten = Entity::delete_many().filter(Column::ForgottenAt.lte(now));
    forgotten.exec(database).await.map_err(Error::Store)?;
    Ok(())
}

/// Returns the pause after `mailed` mails.
fn after(mailed: i32) -> Duration {
    let Ok(beyond) = u32::try_from(mailed.saturating_sub(FREE)) else { return Duration::ZERO };
    match beyond.checked_sub(1) {
        None => Duration::ZERO,
        // Six doublings exceed the longest pause.
        Some(doublings) => (FIRST * 2_u32.pow(doublings.min(6))).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_begin_after_the_free_mails_double_and_have_an_end() {
        let pauses: Vec<u64> = (FREE..FREE + 8).map(|mailed| after(mailed).as_secs()).collect();
        assert_eq!(pauses, [0, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        assert_eq!((after(0), after(i32::MAX)), (Duration::ZERO, LONGEST));
    }
}
