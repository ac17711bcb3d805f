//! Which books a person has read, and how far.

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query, SelectStatement};
use sea_orm::{ConnectionTrait as _, DbErr, QueryResult};
use time::OffsetDateTime;

use super::part::{self, Page, Sort};
use super::{Activity, row_id};
use crate::account::Owner;
use crate::error::Error;

/// How far a person has read a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// The book's id.
    pub book: i32,
    /// The page, from 1.
    pub page: i32,
    /// When the person first read in it.
    pub created_at: OffsetDateTime,
    /// When the person last read in it.
    pub updated_at: OffsetDateTime,
}

impl Activity {
    /// Returns a part of what a person has read.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn histories(&self, owner: Owner, sort: Sort, page: Page) -> Result<Vec<History>, Error> {
        let mut query = rows(owner);
        part::of(&mut query, self.database.get_database_backend(), sort, page);
        self.found(&query).await
    }

    /// Returns what a person has read of `books`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn histories_of(&self, owner: Owner, books: &[i32]) -> Result<Vec<History>, Error> {
        let query = rows(owner).and_where(Expr::col("book_id").is_in(books.iter().copied())).take();
        self.found(&query).await
    }

    /// Records that a person reads `page` of a book.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the person was deleted meanwhile; [`Error::Store`].
    pub async fn read(&self, owner: Owner, book: i32, page: i32) -> Result<(), Error> {
        let now = self.now();
        let change = Query::update()
            .table("histories_book")
            .value("page", page)
            .value("updated_at", now)
            .and_where(Expr::col("user_id").eq(owner.id()))
            .and_where(Expr::col("book_id").eq(book))
            .take();
        if self.run(&change).await? > 0 {
            return Ok(());
        }
        let add = Query::insert()
            .into_table("histories_book")
            .columns(["id", "book_id", "user_id", "page", "created_at", "updated_at"])
            .values_panic([
                Expr::val(row_id::of_book(book, owner.id())),
                Expr::val(book),
                Expr::val(owner.id()),
                Expr::val(page),
                Expr::val(now),
                Expr::val(now),
            ])
            // Two requests at once: the later one counts.
            .on_conflict(OnConflict::column("id").update_columns(["page", "updated_at"]).to_owned())
            .take();
        self.run(&add).await.map(drop)
    }

    /// Forgets that a person has read a book. Returns whether they had.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn forget_history(&self, owner: Owner, book: i32) -> Result<bool, Error> {
        let remove = Query::delete()
            .from_table("histories_book")
            .and_where(Expr::col("user_id").eq(owner.id()))
            .and_where(Expr::col("book_id").eq(book))
            .take();
        Ok(self.run(&remove).await? > 0)
    }

    async fn found(&self, query: &SelectStatement) -> Result<Vec<History>, Error> {
        let rows = self.database.query_all(query).await.map_err(Error::Store)?;
        rows.iter().map(history).collect::<Result<_, _>>().map_err(Error::Store)
    }
}

fn rows(owner: Owner) -> SelectStatement {
    Query::select()
        .columns(["id", "book_id", "page", "created_at", "updated_at"])
        .from("histories_book")
        .and_where(Expr::col("user_id").eq(owner.id()))
        .take()
}

fn history(row: &QueryResult) -> Result<History, DbErr> {
    Ok(History {
        book: row.try_get("", "book_id")?,
        page: row.try_get("", "page")?,
        created_at: row.try_get("", "created_at")?,
        updated_at: row.try_get("", "updated_at")?,
    })
}
