//! Finding books and tags by words, with each database's own full text.
//!
//! Both index the same words ([`words`](crate::book::words)): PostgreSQL in `book_tsvector` of the legacy backend,
//! SQLite in an FTS5 table. The databases look up single words; [`Expression`] becomes the same SQL around them on both.

use std::collections::HashMap;

use sea_orm::sea_query::{CaseStatement, Condition, Expr, ExprTrait as _, Func, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbBackend, DbErr, EntityTrait as _, Order as Direction,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::{Column, Entity};
use super::{Books, Filter, Page, Sort, ordered, tags};
use crate::book::{Book, Tag};
use crate::error::Error;
use crate::search::{Expression, Word};

/// Which text a search reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Titles.
    Title,
    /// Kinds and names of tags.
    Tag,
    /// Both.
    Any,
}

impl Books {
    /// Returns for each tag a part of its books. Tags without books in that part are left out.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn by_tags(
        &self,
        tags: Vec<Tag>,
        filter: &Filter,
        sort: Sort,
        page: Page,
    ) -> Result<Vec<(Tag, Vec<Book>)>, Error> {
        let mut found: Vec<(Tag, Vec<i32>)> = Vec::new();
        for tag in tags.into_iter().filter(storable) {
            let query = Entity::find()
                .select_only()
                .column(Column::Id)
                .filter(filter.condition(self.backend()))
                .filter(Column::Id.in_subquery(tags::books_with(tags::is(&tag))));
            let query = ordered(self.backend(), query, sort).limit(page.per_page).offset(page.offset());
            let ids: Vec<i32> = query.into_tuple().all(&self.database).await?;
            if !ids.is_empty() {
                found.push((tag, ids));
            }
        }
        // The same book can have several of the tags; each is read once.
        let mut ids: Vec<i32> = found.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut books: HashMap<i32, Book> = HashMap::new();
        // SQLite takes at most 32,766 values in a statement; 100 tags with 100 books each stay below.
        for book in self.by_ids(&ids).await? {
            books.insert(book.id, book);
        }
        let whole =
            |(tag, ids): (Tag, Vec<i32>)| (tag, ids.iter().filter_map(|id| books.get(id).cloned()).collect());
        Ok(found.into_iter().map(whole).collect())
    }

    /// Returns a part of the books that match. Without `sort`, those with most of the wanted words come first, and
    /// of those the newest.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn search(
        &self,
        expression: &Expression,
        scope: Scope,
        filter: &Filter,
        sort: Option<Sort>,
        page: Page,
    ) -> Result<Vec<Book>, Error> {
        let backend = self.database.get_database_backend();
        let query =
            Entity::find().filter(filter.condition(backend)).filter(matches(backend, scope, expression));
        let query = match sort {
            Some(sort) => ordered(backend, query, sort),
            None => {
                query.order_by(rank(backend, scope, expression), Direction::Desc).order_by_desc(Column::Id)
            }
        };
        self.part(query, page).await
    }

    /// Returns a part of the titles of books that match, in the order of their bytes.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn titles(&self, expression: &Expression, page: Page) -> Result<Vec<String>, Error> {
        let backend = self.database.get_database_backend();
        let query = Query::select()
            .distinct()
            .expr_as(by_bytes(backend, Expr::col(("books", "title"))), "title")
            .from("books")
            .cond_where(matches(backend, Scope::Title, expression))
            .order_by("title", Direction::Asc)
            .limit(page.per_page)
            .offset(page.offset())
            .take();
        let rows = self.database.query_all(&query).await?;
        Ok(rows.iter().map(|row| row.try_get("", "title")).collect::<Result<_, DbErr>>()?)
    }

    /// Returns a part of the tags that have a word with each of `beginnings`, in the order of their bytes; with an
    /// `expression` only tags of books that match it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn tags(
        &self,
        beginnings: &[String],
        expression: Option<&Expression>,
        page: Page,
    ) -> Result<Vec<Tag>, Error> {
        let backend = self.database.get_database_backend();
        let mut query = Query::select();
        query
            .distinct()
            .expr_as(by_bytes(backend, tags::kind()), "kind")
            .expr_as(by_bytes(backend, Expr::col(("book_tags", "name"))), "name")
            .from("book_tags");
        let whole = Expr::val(" ")
            .binary(CONCAT, Func::lower(tags::kind()))
            .binary(CONCAT, Expr::val(" "))
            .binary(CONCAT, Func::lower(Expr::col(("book_tags", "name"))));
        let spaced = SEPARATORS
            .iter()
            .fold(whole, |text, separator| Func::cust("replace").arg(text).arg(*separator).arg(" ").into());
        let words = Func::coalesce([Expr::col(("book_tags", "words")), spaced]);
        for word in beginnings {
            query.and_where(Expr::from(words.clone()).like(format!("% {word}%")));
        }
        if let Some(expression) = expression {
            let ids = Query::select()
                .column(("books", "id"))
                .from("books")
                .cond_where(matches(backend, Scope::Tag, expression))
                .take();
            let used = Query::select()
                .column(("book_tag_ref", "book_tag_id"))
                .from("book_tag_ref")
                .and_where(Expr::col(("book_tag_ref", "book_id")).in_subquery(ids))
                .take();
            query.and_where(Expr::col(("book_tags", "id")).in_subquery(used));
        }
        query
            .order_by("kind", Direction::Asc)
            .order_by("name", Direction::Asc)
            .limit(page.per_page)
            .offset(page.offset());
        let rows = self.database.query_all(&query).await?;
        Ok(rows.iter().map(tags::tag).collect::<Result<_, DbErr>>()?)
    }

    /// Returns whether a tag exists.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn has_tag(&self, tag: &Tag) -> Result<bool, Error> {
        if !storable(tag) {
            return Ok(false);
        }
        let query = Query::select()
            .column(("book_tags", "id"))
            .from("book_tags")
            .cond_where(tags::is(tag))
            .limit(1)
            .take();
        Ok(self.database.query_one(&query).await?.is_some())
    }
}

/// Returns whether a row can have this tag. PostgreSQL refuses a statement with a NUL in a text.
fn storable(tag: &Tag) -> bool {
    !tag.kind.contains('\0') && !tag.name.contains('\0')
}

/// What stands between the words of tags in practice, besides spaces: for tags without the column `words`, which the legacy
/// backend added while both write the same database.
const SEPARATORS: [&str; 8] = ["-", "_", ".", ",", ":", "/", "(", "'"];

/// Both databases join text with `||`.
const CONCAT: sea_orm::sea_query::BinOper = sea_orm::sea_query::BinOper::Custom("||");

/// PostgreSQL compares text by the rules of a language otherwise, and SQLite by bytes.
fn by_bytes(backend: DbBackend, expression: impl Into<SimpleExpr>) -> SimpleExpr {
    if backend == DbBackend::Postgres {
        Expr::cust_with_expr("$1 COLLATE \"C\"", expression)
    } else {
        expression.into()
    }
}

/// The most words of an expression that PostgreSQL may look up together, as joins of one plan. It looks for the best
/// order of joins, which takes it a millisecond for four words and seconds for sixty-four.
const MAX_JOINED: usize = 4;

/// Returns the condition that a book matches `expression`.
pub(super) fn matches(backend: DbBackend, scope: Scope, expression: &Expression) -> Condition {
    let is_alone = backend == DbBackend::Postgres && expression.count() > MAX_JOINED;
    matches_part(backend, scope, is_alone, expression)
}

fn matches_part(backend: DbBackend, scope: Scope, is_alone: bool, expression: &Expression) -> Condition {
    let part = |part| matches_part(backend, scope, is_alone, part);
    match expression {
        Expression::Word(word) => {
            let found = has(backend, scope, word);
            // A subquery below `IS TRUE` is never part of a join: PostgreSQL runs it once and keeps the ids.
            let found = if is_alone { Expr::cust_with_expr("($1) IS TRUE", found) } else { found };
            Condition::all().add(found)
        }
        Expression::All(parts) => parts.iter().map(part).fold(Condition::all(), Condition::add),
        Expression::Any(parts) => parts.iter().map(part).fold(Condition::any(), Condition::add),
        Expression::Not(inner) => part(inner).not(),
    }
}

/// Counts the wanted words that a book has.
fn rank(backend: DbBackend, scope: Scope, expression: &Expression) -> SimpleExpr {
    expression.wanted().into_iter().fold(Expr::val(0), |sum, word| {
        let one: SimpleExpr =
            CaseStatement::new().case(has(backend, scope, word), Expr::val(1)).finally(Expr::val(0)).into();
        sum.add(one)
    })
}

/// Returns whether the index has the word for the book. Words are letters and digits, so quotes cannot end early.
fn has(backend: DbBackend, scope: Scope, word: &Word) -> SimpleExpr {
    let Word { text, prefix } = word;
    if backend == DbBackend::Postgres {
        let found = match scope {
            Scope::Title => "title_tsv @@ CAST($1 AS tsquery)",
            Scope::Tag => "tag_tsv @@ CAST($1 AS tsquery)",
            Scope::Any => "(title_tsv @@ CAST($1 AS tsquery) OR tag_tsv @@ CAST($1 AS tsquery))",
        };
        let sought = format!("'{text}'{}", if *prefix { ":*" } else { "" });
        let sql = format!("\"books\".\"id\" IN (SELECT \"id\" FROM \"book_tsvector\" WHERE {found})");
        return Expr::cust_with_values(sql, [sought]);
    }
    let column = match scope {
        Scope::Title => "title : ",
        Scope::Tag => "tags : ",
        Scope::Any => "",
    };
    let sought = format!("{column}\"{text}\"{}", if *prefix { " *" } else { "" });
    let sql = "\"books\".\"id\" IN (SELECT rowid FROM book_words WHERE book_words MATCH ?)";
    Expr::cust_with_values(sql, [sought])
}
