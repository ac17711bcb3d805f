//! Every query about books, on both databases.

pub mod entity;
mod finding;
mod renewing;
mod tags;
mod writing;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use clock::{Clock, UnixTime};
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, NullOrdering, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseConnection, DbBackend, EntityTrait as _, Order as Direction,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use time::OffsetDateTime;

use crate::book::{Book, Tag};
use crate::error::Error;
use crate::news::News;
use crate::people::Dislikes;
use crate::search::Expression;
use entity::{Column, Entity, Model};

pub use finding::Scope;
pub(crate) use tags::words_anew;
pub(crate) use writing::index_anew;
pub use writing::{NewBook, Put};

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The most entries, from 1 to 100.
    pub per_page: u64,
    /// The number of the part, from 1.
    pub page: u64,
}

impl Page {
    fn offset(self) -> u64 {
        // At most i64::MAX, the largest offset that databases take.
        const MAX: u64 = i64::MAX.unsigned_abs();
        Ord::min(self.page.saturating_sub(1).saturating_mul(self.per_page), MAX)
    }
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// By id.
    Id(Way),
    /// By the time of release; unreleased books last.
    PublishedAt(Way),
    /// By the time of the last check; unchecked books last.
    CheckedAt(Way),
    /// By the time of the last change.
    UpdatedAt(Way),
    /// By chance, different at each request.
    Random,
}

/// Upwards or downwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The smallest first.
    Asc,
    /// The largest first.
    Desc,
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::Asc => Self::Asc,
            Way::Desc => Self::Desc,
        }
    }
}

/// Whether books that others replace are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Renewed {
    /// With the others: the older surface does not know renewals.
    #[default]
    Shown,
    /// Not listed.
    Hidden,
    /// Nothing else is listed.
    Only,
}

/// Which books a list contains. The default contains all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only ids above this one.
    pub more_than: Option<i64>,
    /// Only ids below this one.
    pub less_than: Option<i64>,
    /// Only these kinds, as stored. Empty means every kind.
    pub kinds: Vec<&'static str>,
    /// Only released books, or only the others.
    pub released: Option<bool>,
    /// Only books that were never checked.
    pub unchecked: bool,
    /// Whether books that others replace are listed.
    pub renewed: Renewed,
    /// Only books whose renewal is under way.
    pub renewing: bool,
    /// Of the books with one title and kind, only the newest. Books that the other fields leave out do not count.
    pub newest_of_each: bool,
    /// Only books whose tags match.
    pub tags: Option<Expression>,
    /// Without these books, and without those that have one of these tags.
    pub without: Dislikes,
}

impl Filter {
    fn condition(&self, backend: DbBackend) -> Condition {
        let own = self.own_condition(backend);
        if !self.newest_of_each {
            return own;
        }
        let newest = Query::select()
            .expr(Func::max(Expr::col(Column::Id)))
            .from(Entity)
            .cond_where(own.clone())
            .group_by_columns([Column::Title, Column::Kind])
            .take();
        own.add(Column::Id.in_subquery(newest))
    }

    fn own_condition(&self, backend: DbBackend) -> Condition {
        let renewed = match self.renewed {
            Renewed::Shown => None,
            Renewed::Hidden => Some(Column::RenewedAs.is_null()),
            Renewed::Only => Some(Column::RenewedAs.is_not_null()),
        };
        let released = self
            .released
            .map(|yes| if yes { Column::PublishedAt.is_not_null() } else { Column::PublishedAt.is_null() });
        Condition::all()
            .add_option(self.more_than.map(|id| Expr::col(Column::Id).gt(id)))
            .add_option(self.less_than.map(|id| Expr::col(Column::Id).lt(id)))
            .add_option((!self.kinds.is_empty()).then(|| Column::Kind.is_in(self.kinds.iter().copied())))
            .add_option(released)
            .add_option(self.unchecked.then(|| Column::CheckedAt.is_null()))
            .add_option(renewed)
            .add_option(self.renewing.then(|| Column::RenewingAs.is_not_null()))
            .add_option(self.tags.as_ref().map(|tags| finding::matches(backend, Scope::Tag, tags)))
            .add_option(
                (!self.without.books.is_empty())
                    .then(|| Column::Id.is_not_in(self.without.books.iter().copied())),
            )
            .add_option(
                tags::any_of(&self.without.tags).map(|any| Column::Id.not_in_subquery(tags::books_with(any))),
            )
    }
}

/// Stores and finds all books.
#[derive(Clone)]
pub struct Books {
    database: DatabaseConnection,
    clock: Arc<dyn Clock>,
    news: News,
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books").finish_non_exhaustive()
    }
}

impl Books {
    /// Uses the books in `database`, whose tables are up to date. Changes that concern people become `news`.
    #[must_use]
    pub fn new(database: DatabaseConnection, clock: Arc<dyn Clock>, news: News) -> Self {
        Self { database, clock, news }
    }

    /// Returns whether the database answers.
    pub async fn reachable(&self) -> bool {
        self.database.ping().await.is_ok()
    }

    /// Returns one book.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn one(&self, id: i32) -> Result<Book, Error> {
        let found = tags::book_with_tags(&self.database, id).await?;
        let (row, tags) = found.ok_or(Error::NotFound("Not found book"))?;
        Ok(whole(&mut HashMap::from([(id, tags)]), row))
    }

    /// Returns the existing ones of `ids`, in their order.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn by_ids(&self, ids: &[i32]) -> Result<Vec<Book>, Error> {
        let rows = Entity::find().filter(Column::Id.is_in(ids.iter().copied())).all(&self.database).await?;
        let mut books = self.by_id(rows).await?;
        Ok(ids.iter().filter_map(|id| books.remove(id)).collect())
    }

    /// Returns a part of all books.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self, filter: &Filter, sort: Sort, page: Page) -> Result<Vec<Book>, Error> {
        let query = Entity::find().filter(filter.condition(self.backend()));
        self.part(ordered(self.backend(), query, sort), page).await
    }

    /// Returns a part of all ids, the largest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn ids(&self, filter: &Filter, page: Page) -> Result<Vec<i32>, Error> {
        let query = Entity::find().select_only().column(Column::Id).filter(filter.condition(self.backend()));
        let query =
            ordered(self.backend(), query, Sort::Id(Way::Desc)).limit(page.per_page).offset(page.offset());
        Ok(query.into_tuple().all(&self.database).await?)
    }

    fn backend(&self) -> DbBackend {
        self.database.get_database_backend()
    }

    async fn part(&self, query: Select<Entity>, page: Page) -> Result<Vec<Book>, Error> {
        let rows = query.limit(page.per_page).offset(page.offset()).all(&self.database).await?;
        self.whole(rows).await
    }

    /// Adds their tags to rows.
    async fn whole(&self, rows: Vec<Model>) -> Result<Vec<Book>, Error> {
        let ids: Vec<i32> = rows.iter().map(|row| row.id).collect();
        let mut tags = tags::of_books(&self.database, &ids).await?;
        Ok(rows.into_iter().map(|row| whole(&mut tags, row)).collect())
    }

    async fn by_id(&self, rows: Vec<Model>) -> Result<HashMap<i32, Book>, Error> {
        Ok(self.whole(rows).await?.into_iter().map(|book| (book.id, book)).collect())
    }

    fn now(&self) -> OffsetDateTime {
        let since = self.clock.now().since(UnixTime::from_seconds(0));
        // Whole milliseconds, as clients see them.
        let since = time::Duration::milliseconds(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        OffsetDateTime::UNIX_EPOCH.checked_add(since).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// Returns a column of times in a form whose order is that of the times. SQLite has them as text, whose fraction of a second
/// has no trailing zeros: without the `Z` at its end, a shorter text is the earlier time.
fn moment(backend: DbBackend, column: Column) -> SimpleExpr {
    if backend == DbBackend::Sqlite {
        Func::cust("rtrim").args([Expr::col((Entity, column)), Expr::val("Z")]).into()
    } else {
        Expr::col((Entity, column))
    }
}

fn whole(tags: &mut HashMap<i32, Vec<Tag>>, row: Model) -> Book {
    let Model {
        id,
        title,
        language,
        page,
        kind,
        created_at,
        updated_at,
        published_at,
        checked_at: _,
        renewed_as,
        renewing_as: _,
    } = row;
    let tags = tags.remove(&id).unwrap_or_default();
    Book { id, title, kind, language, page, tags, created_at, updated_at, published_at, renewed_as }
}

/// Orders a query. Books with the same value have the newest id first, so that the parts of a list fit.
fn ordered(backend: DbBackend, query: Select<Entity>, sort: Sort) -> Select<Entity> {
    let by = |query: Select<Entity>, column: Column, way: Way| {
        query
            .order_by_with_nulls(moment(backend, column), way.into(), NullOrdering::Last)
            .order_by_desc(Column::Id)
    };
    match sort {
        Sort::Id(way) => query.order_by(Column::Id, way.into()),
        Sort::PublishedAt(way) => by(query, Column::PublishedAt, way),
        Sort::CheckedAt(way) => by(query, Column::CheckedAt, way),
        Sort::UpdatedAt(way) => by(query, Column::UpdatedAt, way),
        Sort::Random => query.order_by(Expr::from(Func::random()), Direction::Asc),
    }
}
