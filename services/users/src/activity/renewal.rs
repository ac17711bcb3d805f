//! A book gets a new number: what people expressed about the old one belongs to the new one.
//!
//! Rows about the old book are read by the statement that removes or holds them, and then written for the new one. So
//! what a person removed or changed a moment before counts. On SQLite no transaction begins with a read, because it
//! could not write any more when another writer came between.

use std::collections::BTreeSet;

use kit::PlatformService;
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType, Query};
use sea_orm::{
    Condition, ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, Order, QueryResult,
    TransactionTrait as _,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Activity, notifications, row};
use crate::error::Error;

/// How many rows are moved in one transaction, so that no table is locked for long. On PostgreSQL it is the number of
/// people, of whom most have one row about a book.
const ROWS_AT_ONCE: u64 = 200;

/// Rows that are to be written for another book.
struct Taken {
    rows: Vec<QueryResult>,
    /// Whether there can be more of them.
    may_have_more: bool,
}

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

    /// Returns whether there can be more to move.
    async fn move_tastes(&self, old: i32, new: i32) -> Result<bool, DbErr> {
        let transaction = self.database.begin().await?;
        let taken = take(&transaction, "likes_book", &["is_dislike"], old).await?;
        let mut people = BTreeSet::new();
        for found in &taken.rows {
            let user: Uuid = found.try_get("", "user_id")?;
            let is_dislike: bool = found.try_get("", "is_dislike")?;
            let created_at: OffsetDateTime = found.try_get("", "created_at")?;
            let rest = [("is_dislike", Expr::val(is_dislike)), ("created_at", Expr::val(created_at))];
            row::add(&transaction, "likes_book", (new, user), rest).await?;
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
        Ok(taken.may_have_more)
    }

    async fn move_histories(&self, old: i32, new: i32) -> Result<bool, DbErr> {
        let transaction = self.database.begin().await?;
        let taken = take(&transaction, "histories_book", &["page", "updated_at"], old).await?;
        for found in &taken.rows {
            let user: Uuid = found.try_get("", "user_id")?;
            let page: i32 = found.try_get("", "page")?;
            let created_at: OffsetDateTime = found.try_get("", "created_at")?;
            let updated_at: OffsetDateTime = found.try_get("", "updated_at")?;
            let rest = [
                ("page", Expr::val(page)),
                ("created_at", Expr::val(created_at)),
                ("updated_at", Expr::val(updated_at)),
            ];
            row::add(&transaction, "histories_book", (new, user), rest).await?;
        }
        transaction.commit().await?;
        Ok(taken.may_have_more)
    }

    async fn move_notifications(&self, old: i32, new: i32) -> Result<bool, DbErr> {
        let transaction = self.database.begin().await?;
        let held = hold(&transaction, "notifications_book", old).await?;
        let ids: Vec<Uuid> = held.rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;
        let mut tags = notifications::tags(&transaction, ids.iter().copied()).await?;
        for found in &held.rows {
            let (id, user): (Uuid, Uuid) = (found.try_get("", "id")?, found.try_get("", "user_id")?);
            let created_at: OffsetDateTime = found.try_get("", "created_at")?;
            // The id of a notification is made of its book, so it becomes another row with tags of its own.
            let tags = tags.remove(&id).unwrap_or_default();
            notifications::add(&transaction, user, new, &tags, created_at).await?;
        }
        // Last, because it takes their tags along.
        let remove =
            Query::delete().from_table("notifications_book").and_where(Expr::col("id").is_in(ids)).take();
        transaction.execute(&remove).await?;
        transaction.commit().await?;
        Ok(held.may_have_more)
    }
}

/// Removes some rows about a book, and returns their columns.
async fn take(
    transaction: &DatabaseTransaction,
    table: &'static str,
    columns: &[&'static str],
    book: i32,
) -> Result<Taken, DbErr> {
    let next = next(transaction, table, book).await?;
    let columns = ["user_id", "created_at"].into_iter().chain(columns.iter().copied());
    let remove = Query::delete()
        .from_table(table)
        .cond_where(next.rows)
        .returning(Query::returning().columns(columns))
        .take();
    let rows = transaction.query_all(&remove).await?;
    Ok(Taken { may_have_more: next.may_have_more.unwrap_or(!rows.is_empty()), rows })
}

/// Holds some rows about a book by an update that changes nothing, and returns their columns.
async fn hold(transaction: &DatabaseTransaction, table: &'static str, book: i32) -> Result<Taken, DbErr> {
    let next = next(transaction, table, book).await?;
    let update = Query::update()
        .table(table)
        .value("book_id", book)
        .cond_where(next.rows)
        .returning(Query::returning().columns(["id", "user_id", "created_at"]))
        .take();
    let rows = transaction.query_all(&update).await?;
    Ok(Taken { may_have_more: next.may_have_more.unwrap_or(!rows.is_empty()), rows })
}

/// Which rows are next.
struct Next {
    rows: Condition,
    /// Whether there can be more of them, if that does not depend on whether there are any.
    may_have_more: Option<bool>,
}

/// Chooses some rows about a book. On PostgreSQL they are those of some people, who are held first: a removal takes
/// people before their rows, too, so neither waits for the other.
async fn next(transaction: &DatabaseTransaction, table: &'static str, book: i32) -> Result<Next, DbErr> {
    let about = Expr::col((table, "book_id")).eq(book);
    if transaction.get_database_backend() != DbBackend::Postgres {
        let some = Query::select().column("id").from(table).and_where(about).limit(ROWS_AT_ONCE).take();
        return Ok(Next {
            rows: Condition::all().add(Expr::col("id").in_subquery(some)),
            may_have_more: None,
        });
    }
    let theirs = Query::select()
        .column("id")
        .from(table)
        .and_where(about.clone())
        .and_where(Expr::col((table, "user_id")).equals(("users", "id")))
        .take();
    let people = Query::select()
        .column("id")
        .from("users")
        .and_where(Expr::exists(theirs))
        .order_by("id", Order::Asc)
        .limit(ROWS_AT_ONCE)
        .lock(LockType::KeyShare)
        .take();
    let people: Vec<Uuid> = transaction
        .query_all(&people)
        .await?
        .iter()
        .map(|row| row.try_get("", "id"))
        .collect::<Result<_, _>>()?;
    let may_have_more = Some(!people.is_empty());
    let rows = Condition::all().add(about).add(Expr::col("user_id").is_in(people));
    Ok(Next { rows, may_have_more })
}
