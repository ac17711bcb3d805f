//! A book gets a new number: what people expressed about the old one belongs to the new one.

use std::collections::BTreeSet;

use kit::PlatformService;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, TransactionTrait as _};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Activity, notifications, row};
use crate::error::Error;

/// How many rows are moved in one transaction, so that no table is locked for long.
const ROWS_AT_ONCE: u64 = 200;

impl Activity {
    /// Moves likes, histories and notifications of the book `old` to `new`. A person who has one about `new` already keeps
    /// that one. What was moved before an error stays moved, and a repetition moves the rest.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn renew(&self, _: &PlatformService, old: i32, new: i32) -> Result<(), Error> {
        if old == new {
            return Ok(());
        }
        while self.move_tastes(old, new).await.map_err(Error::Store)? {}
        while self.move_histories(old, new).await.map_err(Error::Store)? {}
        while self.move_notifications(old, new).await.map_err(Error::Store)? {}
        Ok(())
    }

    /// Returns whether there was something to move.
    async fn move_tastes(&self, old: i32, new: i32) -> Result<bool, DbErr> {
        let transaction = self.database.begin().await?;
        let rows = transaction.query_all(&some("likes_book", &["is_dislike"], old)).await?;
        let mut people = BTreeSet::new();
        for found in &rows {
            let (id, user): (Uuid, Uuid) = (found.try_get("", "id")?, found.try_get("", "user_id")?);
            let is_dislike: bool = found.try_get("", "is_dislike")?;
            let created_at: OffsetDateTime = found.try_get("", "created_at")?;
            let rest = [("is_dislike", Expr::val(is_dislike)), ("created_at", Expr::val(created_at))];
            row::add(&transaction, "likes_book", (new, user), rest).await?;
            remove(&transaction, "likes_book", id).await?;
            people.insert(user);
        }
        let news = self.news.as_ref().filter(|_| !people.is_empty());
        if let Some(news) = news {
            let people: Vec<Uuid> = people.into_iter().collect();
            news.tastes_changed(&transaction, &people, self.clock.now()).await?;
        }
        transaction.commit().await?;
        if let Some(news) = news {
            news.committed();
        }
        Ok(!rows.is_empty())
    }

    async fn move_histories(&self, old: i32, new: i32) -> Result<bool, DbErr> {
        let transaction = self.database.begin().await?;
        let rows = transaction.query_all(&some("histories_book", &["page", "updated_at"], old)).await?;
        for found in &rows {
            let (id, user): (Uuid, Uuid) = (found.try_get("", "id")?, found.try_get("", "user_id")?);
            let page: i32 = found.try_get("", "page")?;
            let created_at: OffsetDateTime = found.try_get("", "created_at")?;
            let updated_at: OffsetDateTime = found.try_get("", "updated_at")?;
            let rest = [
                ("page", Expr::val(page)),
                ("created_at", Expr::val(created_at)),
                ("updated_at", Expr::val(updated_at)),
            ];
            row::add(&transaction, "histories_book", (new, user), rest).await?;
            remove(&transaction, "histories_book", id).await?;
        }
        transaction.commit().await?;
        Ok(!rows.is_empty())
    }

    async fn move_notifications(&self, old: i32, new: i32) -> Result<bool, DbErr> {
        let transaction = self.database.begin().await?;
        let rows = transaction.query_all(&some("notifications_book", &[], old)).await?;
        for found in &rows {
            let (id, user): (Uuid, Uuid) = (found.try_get("", "id")?, found.try_get("", "user_id")?);
            let created_at: OffsetDateTime = found.try_get("", "created_at")?;
            // The id of a notification is made of its book, so it becomes another row with tags of its own.
            let tags = notifications::tags(&transaction, [id]).await?.remove(&id).unwrap_or_default();
            notifications::add(&transaction, user, new, &tags, created_at).await?;
            remove(&transaction, "notifications_book", id).await?;
        }
        transaction.commit().await?;
        Ok(!rows.is_empty())
    }
}

/// Returns the query of some rows about a book.
fn some(table: &'static str, columns: &[&'static str], book: i32) -> SelectStatement {
    Query::select()
        .columns(["id", "user_id", "created_at"])
        .columns(columns.iter().copied())
        .from(table)
        .and_where(Expr::col("book_id").eq(book))
        .limit(ROWS_AT_ONCE)
        .take()
}

async fn remove(transaction: &DatabaseTransaction, table: &'static str, id: Uuid) -> Result<(), DbErr> {
    let remove = Query::delete().from_table(table).and_where(Expr::col("id").eq(id)).take();
    transaction.execute(&remove).await.map(drop)
}
