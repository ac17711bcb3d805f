//! The library's part of a renewal: one statement before people's part, and one after it ([`crate::renewal`]).

use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, TransactionTrait as _,
};

use super::Books;
use super::entity::{ActiveModel, Column, Entity};
use super::writing::update;
use crate::error::Error;

/// How many books may replace one another in a row. A book has had a few numbers at its source.
const MOST_RENEWALS: usize = 32;

impl Books {
    /// Records that `new` is to replace `old`, with the row of the outbox that completes it if this service ends before it
    /// does. Both must exist. A renewal of `new` as `old` that is under way ends here: the later order counts.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] if both are the same, [`Error::Store`], [`Error::Outbox`].
    pub(crate) async fn begin_renewal(&self, old: i32, new: i32) -> Result<(), Error> {
        if old == new {
            return Err(Error::Invalid("a book cannot replace itself".into()));
        }
        self.one(new).await?;
        let transaction = self.database.begin().await?;
        let row = ActiveModel { renewing_as: Set(Some(new)), ..Default::default() };
        update(&transaction, old, row).await?;
        let other_way = Column::Id.eq(new).and(Column::RenewingAs.eq(old));
        let row = ActiveModel { renewing_as: Set(None), ..Default::default() };
        Entity::update_many().set(row).filter(other_way).exec(&transaction).await?;
        self.news.renewed(&transaction, old, new, self.now()).await?;
        transaction.commit().await?;
        self.news.outbox.committed();
        Ok(())
    }

    /// Returns whether a renewal of the book is under way. A book that does not exist is in none.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn is_renewing(&self, id: i32) -> Result<bool, Error> {
        let row = Entity::find_by_id(id).one(&self.database).await?;
        Ok(row.is_some_and(|row| row.renewing_as.is_some()))
    }

    /// Returns whether `new` is still to replace `old`. It is not once that is done, or after another order.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn is_to_replace(&self, old: i32, new: i32) -> Result<bool, Error> {
        let row = Entity::find_by_id(old).one(&self.database).await?;
        Ok(row.is_some_and(|row| row.renewing_as == Some(new)))
    }

    /// Returns the book that is shown in the place of `new` once it replaces `old`: the one that replaces `new` meanwhile, or
    /// `new` itself. The latter is so, too, when those that replace `new` end at `old`, of which one has to be shown.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn shown_for(&self, old: i32, new: i32) -> Result<i32, Error> {
        let mut shown = new;
        for _ in 0..MOST_RENEWALS {
            let row = Entity::find_by_id(shown).one(&self.database).await?;
            match row.and_then(|row| row.renewed_as) {
                Some(next) if next == old || next == new => return Ok(new),
                Some(next) => shown = next,
                None => return Ok(shown),
            }
        }
        Ok(new)
    }

    /// Replaces `old` by `new`, unless that is done, or another order came meanwhile. If `new` is `shown`, nothing
    /// replaces it any more: otherwise two books that replace each other would both be hidden.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn complete_renewal(&self, old: i32, new: i32, shown: i32) -> Result<(), Error> {
        let now = self.now();
        let transaction = self.database.begin().await?;
        let row = ActiveModel {
            renewed_as: Set(Some(new)),
            renewing_as: Set(None),
            updated_at: Set(now),
            ..Default::default()
        };
        let still = Column::Id.eq(old).and(Column::RenewingAs.eq(new));
        let done = Entity::update_many().set(row).filter(still).exec(&transaction).await?;
        if done.rows_affected > 0 && shown == new {
            let row = ActiveModel { renewed_as: Set(None), updated_at: Set(now), ..Default::default() };
            let replaced = Column::Id.eq(new).and(Column::RenewedAs.is_not_null());
            Entity::update_many().set(row).filter(replaced).exec(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
