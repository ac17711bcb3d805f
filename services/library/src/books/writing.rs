//! Adding, changing, releasing and checking books.

use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr,
    EntityTrait as _, QueryFilter as _, QueryResult, SqlErr, Statement, TransactionTrait as _,
};
use serde::Serialize;
use time::OffsetDateTime;

use super::entity::{ActiveModel, Column, Entity, Model};
use super::{Books, tags};
use crate::book::{Tag, words};
use crate::error::Error;
use crate::news::Announced;

/// A book as a client writes it.
#[derive(Clone, Debug)]
pub struct NewBook {
    /// The id, from 1.
    pub id: i32,
    /// The title.
    pub title: String,
    /// The kind, as stored.
    pub kind: &'static str,
    /// The language; the later surface does not send it.
    pub language: Option<String>,
    /// The number of pages; the later surface does not send it.
    pub page: Option<i16>,
    /// The tags.
    pub tags: Vec<Tag>,
    /// When the book appeared at its source; by default now.
    pub created_at: Option<OffsetDateTime>,
    /// Whether the book is released as well. Without it a released book stays released.
    pub released: bool,
}

/// What became of a book that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was new.
    Added,
    /// It replaced an earlier form, or was released.
    Changed,
    /// The library had it like this.
    Unchanged,
}

impl Books {
    /// Adds a book, or replaces title, kind, tags, and what else it has of language, number of pages and time of the book with
    /// its id, and releases it if it says so. Doing this twice is the same as doing it once.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Outbox`].
    pub async fn put(&self, book: NewBook) -> Result<Put, Error> {
        if let Some(stored) = self.stored_as(&book).await? {
            let is_due = book.released && stored.published_at.is_none();
            let is_change = is_due && self.release_now(book.id).await?;
            return Ok(if is_change { Put::Changed } else { Put::Unchanged });
        }
        match self.replace(book.clone()).await {
            Ok(()) => return Ok(Put::Changed),
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        match self.add(book.clone()).await {
            Ok(()) => Ok(Put::Added),
            // Another caller added it meanwhile.
            Err(Error::Taken) => self.replace(book).await.map(|()| Put::Changed),
            Err(error) => Err(error),
        }
    }

    /// Adds a book with its tags, or nothing at all. People are told of it at once, or when it is released, which may be
    /// now ([`Announced`]).
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::Store`], [`Error::Outbox`].
    pub async fn add(&self, book: NewBook) -> Result<(), Error> {
        let is_news = match self.news.announced {
            Announced::WhenAdded => true,
            Announced::WhenReleased => book.released,
        };
        self.insert(book, is_news).await
    }

    /// Like [`Books::add`], for the initial books of an edge, of which people are not told.
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::Store`].
    pub async fn seed(&self, book: NewBook) -> Result<(), Error> {
        self.insert(book, false).await
    }

    async fn insert(&self, book: NewBook, is_news: bool) -> Result<(), Error> {
        let created_at = book.created_at.unwrap_or_else(|| self.now());
        let row = ActiveModel {
            id: Set(book.id),
            title: Set(book.title.clone()),
            // What the legacy table demands and the later surface does not know.
            language: Set(book.language.unwrap_or_default()),
            page: Set(book.page.unwrap_or_default()),
            kind: Set(book.kind.to_owned()),
            created_at: Set(created_at),
            updated_at: Set(created_at),
            published_at: Set(book.released.then(|| self.now())),
            ..Default::default()
        };
        let transaction = self.database.begin().await?;
        Entity::insert(row).exec_without_returning(&transaction).await.map_err(taken)?;
        describe(&transaction, book.id, &book.title, &book.tags).await?;
        if is_news {
            self.news.appeared(&transaction, book.id).await?;
        }
        transaction.commit().await?;
        self.news.outbox.committed();
        Ok(())
    }

    /// Returns the stored book if its content is this one. Its release is no part of the content.
    async fn stored_as(&self, book: &NewBook) -> Result<Option<Model>, Error> {
        let Some(stored) = Entity::find_by_id(book.id).one(&self.database).await? else { return Ok(None) };
        let is_same = stored.title == book.title
            && stored.kind == book.kind
            && book.language.as_ref().is_none_or(|language| *language == stored.language)
            && book.page.is_none_or(|page| page == stored.page)
            // PostgreSQL keeps microseconds.
            && book.created_at.is_none_or(|at| (at - stored.created_at).whole_microseconds() == 0);
        if !is_same {
            return Ok(None);
        }
        let tags = tags::of_books(&self.database, &[book.id]).await?.remove(&book.id).unwrap_or_default();
        Ok((tags == book.tags).then_some(stored))
    }

    /// Replaces title, kind and tags of a book; its time stays.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn change(&self, book: NewBook) -> Result<(), Error> {
        self.replace(NewBook { created_at: None, ..book }).await
    }

    async fn replace(&self, book: NewBook) -> Result<(), Error> {
        let mut row = ActiveModel {
            title: Set(book.title.clone()),
            kind: Set(book.kind.to_owned()),
            updated_at: Set(self.now()),
            ..Default::default()
        };
        if let Some(language) = book.language {
            row.language = Set(language);
        }
        if let Some(page) = book.page {
            row.page = Set(page);
        }
        if let Some(created_at) = book.created_at {
            row.created_at = Set(created_at);
        }
        let transaction = self.database.begin().await?;
        update(&transaction, book.id, row).await?;
        let links =
            Query::delete().from_table("book_tag_ref").and_where(Expr::col("book_id").eq(book.id)).take();
        transaction.execute(&links).await?;
        describe(&transaction, book.id, &book.title, &book.tags).await?;
        if book.released {
            self.release_within(&transaction, book.id).await?;
        }
        transaction.commit().await?;
        self.news.outbox.committed();
        Ok(())
    }

    /// Releases a book. A released one keeps its time.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`], [`Error::Outbox`].
    pub async fn release(&self, id: i32) -> Result<(), Error> {
        if self.release_now(id).await? { Ok(()) } else { self.one(id).await.map(drop) }
    }

    /// Releases a book that is there and not released, and returns whether there was one.
    async fn release_now(&self, id: i32) -> Result<bool, Error> {
        let transaction = self.database.begin().await?;
        if !self.release_within(&transaction, id).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        transaction.commit().await?;
        self.news.outbox.committed();
        Ok(true)
    }

    /// As [`Books::release_now`], in the transaction of another change.
    async fn release_within(&self, transaction: &DatabaseTransaction, id: i32) -> Result<bool, Error> {
        let row = ActiveModel { published_at: Set(Some(self.now())), ..Default::default() };
        // The condition is in the statement, so the later of two releases at once changes nothing.
        let unreleased =
            Entity::update_many().set(row).filter(Column::Id.eq(id)).filter(Column::PublishedAt.is_null());
        let is_released_now = unreleased.exec(transaction).await?.rows_affected > 0;
        if is_released_now && self.news.announced == Announced::WhenReleased {
            self.news.appeared(transaction, id).await?;
        }
        Ok(is_released_now)
    }

    /// Records that a book was checked at its source.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn check(&self, id: i32) -> Result<(), Error> {
        let row = ActiveModel { checked_at: Set(Some(self.now())), ..Default::default() };
        update(&self.database, id, row).await
    }
}

pub(super) async fn update(database: &impl ConnectionTrait, id: i32, row: ActiveModel) -> Result<(), Error> {
    let done = Entity::update_many().set(row).filter(Column::Id.eq(id)).exec(database).await?;
    if done.rows_affected == 0 { Err(Error::NotFound("Not found book")) } else { Ok(()) }
}

/// Links a book to its tags and indexes its words.
async fn describe(database: &impl ConnectionTrait, id: i32, title: &str, all: &[Tag]) -> Result<(), DbErr> {
    for tag in all {
        let tag = tags::ensure(database, tag).await?;
        let link = Query::insert()
            .into_table("book_tag_ref")
            .columns(["book_id", "book_tag_id"])
            .values_panic([Expr::val(id), Expr::val(tag)])
            .take();
        database.execute(&link).await?;
    }
    let tag_text: String = all.iter().map(|tag| format!("{} {} ", tag.kind, tag.name)).collect();
    index(database, id, title, &tag_text).await
}

/// Replaces the words of a book in the index.
async fn index(database: &impl ConnectionTrait, id: i32, title: &str, tags: &str) -> Result<(), DbErr> {
    let row = Indexed::new(id, title, tags);
    if database.get_database_backend() == DbBackend::Postgres {
        return index_in_postgres(database, &[row]).await;
    }
    let Indexed { id, title, tags } = row;
    let run = async |sql: &str, values: Vec<sea_orm::Value>| {
        database.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await
    };
    run("DELETE FROM book_words WHERE rowid = ?", vec![id.into()]).await?;
    let sql = "INSERT INTO book_words (rowid, title, tags) VALUES (?, ?, ?)";
    run(sql, vec![id.into(), title.into(), tags.into()]).await?;
    Ok(())
}

/// The words of a book, with spaces between them.
#[derive(Serialize)]
struct Indexed {
    id: i32,
    title: String,
    tags: String,
}

impl Indexed {
    fn new(id: i32, title: &str, tags: &str) -> Self {
        let joined = |text: &str| words(text).collect::<Vec<_>>().join(" ");
        Self { id, title: joined(title), tags: joined(tags) }
    }
}

async fn index_in_postgres(database: &impl ConnectionTrait, books: &[Indexed]) -> Result<(), DbErr> {
    // Words by themselves: `to_tsvector` would split some of them again.
    let sql = "INSERT INTO book_tsvector (id, title_tsv, tag_tsv) \
               SELECT id, array_to_tsvector(string_to_array(title, ' ')), array_to_tsvector(string_to_array(tags, ' ')) \
               FROM json_to_recordset(CAST($1 AS json)) AS book (id integer, title text, tags text) \
               ON CONFLICT (id) DO UPDATE SET title_tsv = excluded.title_tsv, tag_tsv = excluded.tag_tsv";
    let books = serde_json::to_string(books).map_err(|error| DbErr::Json(error.to_string()))?;
    database.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, [books.into()])).await?;
    Ok(())
}

/// Replaces the words of all books in PostgreSQL's index, `at_once` books with each statement.
///
/// # Errors
/// Those of the database.
pub(crate) async fn index_anew(database: &impl ConnectionTrait, at_once: usize) -> Result<(), DbErr> {
    let sql = "SELECT books.id, books.title, \
                   coalesce(string_agg(CAST(book_tags.kind AS text) || ' ' || book_tags.name, ' '), '') AS tags \
               FROM books LEFT JOIN book_tag_ref ON book_tag_ref.book_id = books.id \
                   LEFT JOIN book_tags ON book_tags.id = book_tag_ref.book_tag_id \
               WHERE books.id > $1 GROUP BY books.id ORDER BY books.id LIMIT $2";
    let most = i64::try_from(at_once).unwrap_or(i64::MAX);
    let mut last = i32::MIN;
    loop {
        let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, [last.into(), most.into()]);
        let rows = database.query_all_raw(query).await?;
        let read = |row: &QueryResult| -> Result<Indexed, DbErr> {
            let (title, tags): (String, String) = (row.try_get("", "title")?, row.try_get("", "tags")?);
            Ok(Indexed::new(row.try_get("", "id")?, &title, &tags))
        };
        let books = rows.iter().map(read).collect::<Result<Vec<Indexed>, DbErr>>()?;
        let Some(end) = books.last() else { return Ok(()) };
        last = end.id;
        index_in_postgres(database, &books).await?;
    }
}

fn taken(error: DbErr) -> Error {
    if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) {
        Error::Taken
    } else {
        Error::Store(error)
    }
}
