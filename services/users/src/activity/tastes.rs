//! What a person likes and dislikes: books and tags.

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query, SelectStatement, UnionType};
use sea_orm::{Condition, ConnectionTrait as _, DbErr, QueryResult, StatementBuilder, TransactionTrait as _};
use time::OffsetDateTime;

use super::part::{self, Page, Sort};
use super::tag::Tag;
use super::{Activity, failed, row_id};
use crate::account::Owner;
use crate::error::Error;

/// How often a taste is tried to express. Each try that fails needs another request of the same person, about the same
/// subject, within the milliseconds of two statements.
const TRIES: usize = 5;

/// What a taste is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A book, by its id.
    Book(i32),
    /// A tag.
    Tag(Tag),
}

/// The kinds of subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Books.
    Book,
    /// Tags.
    Tag,
}

/// A like or a dislike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taste {
    /// What it is about.
    pub subject: Subject,
    /// Whether it is a dislike.
    pub is_dislike: bool,
    /// When it was first expressed.
    pub created_at: OffsetDateTime,
}

/// Which tastes a list has. The default has all.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only those about this kind.
    pub kind: Option<Kind>,
    /// Only dislikes, or only likes.
    pub is_dislike: Option<bool>,
    /// Only those about these books. The list has no tags then, unless `tags` names some.
    pub books: Option<Vec<i32>>,
    /// Only those about these tags. The list has no books then, unless `books` names some.
    pub tags: Option<Vec<Tag>>,
}

/// The result of expressing a taste.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expressed {
    /// The taste is new, or was the opposite before.
    Stored,
    /// The person had expressed the same before.
    Unchanged,
}

impl Kind {
    fn table(self) -> &'static str {
        match self {
            Self::Book => "likes_book",
            Self::Tag => "likes_book_tag",
        }
    }
}

impl Subject {
    fn kind(&self) -> Kind {
        match self {
            Self::Book(_) => Kind::Book,
            Self::Tag(_) => Kind::Tag,
        }
    }

    fn is_storable(&self) -> bool {
        match self {
            Self::Book(_) => true,
            Self::Tag(tag) => tag.is_storable(),
        }
    }

    fn is(&self) -> Condition {
        match self {
            Self::Book(id) => Condition::all().add(Expr::col("book_id").eq(*id)),
            Self::Tag(tag) => is(tag),
        }
    }
}

fn is(tag: &Tag) -> Condition {
    Condition::all()
        .add(Expr::col("tag_kind").eq(tag.kind.as_str()))
        .add(Expr::col("tag_name").eq(tag.name.as_str()))
}

impl Activity {
    /// Returns a part of a person's tastes.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn tastes(
        &self,
        owner: Owner,
        wanted: &Wanted,
        sort: Sort,
        page: Page,
    ) -> Result<Vec<Taste>, Error> {
        let all = match wanted.kind {
            Some(kind) => rows(owner, kind, wanted),
            None => {
                rows(owner, Kind::Book, wanted).union(UnionType::All, rows(owner, Kind::Tag, wanted)).take()
            }
        };
        // Around the union, because a union is ordered by its columns only.
        let mut query = Query::select().expr(Expr::cust("*")).from_subquery(all, "tastes").take();
        part::of(&mut query, self.database.get_database_backend(), sort, page);
        let rows = self.database.query_all(&query).await.map_err(Error::Store)?;
        rows.iter().map(taste).collect::<Result<_, _>>().map_err(Error::Store)
    }

    /// Returns a person's taste about a subject, if there is one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn taste(&self, owner: Owner, subject: &Subject) -> Result<Option<Taste>, Error> {
        if !subject.is_storable() {
            return Ok(None);
        }
        let query = rows(owner, subject.kind(), &Wanted::default()).cond_where(subject.is()).limit(1).take();
        let row = self.database.query_one(&query).await.map_err(Error::Store)?;
        row.as_ref().map(taste).transpose().map_err(Error::Store)
    }

    /// Expresses a taste. The opposite one of before is replaced, and keeps its time.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the person was deleted meanwhile; [`Error::Store`].
    pub async fn express(
        &self,
        owner: Owner,
        subject: &Subject,
        is_dislike: bool,
    ) -> Result<Expressed, Error> {
        // Between two statements another request can add, replace or remove the taste. A statement that changes nothing
        // only shows that one did, so the taste is read again.
        for _ in 0..TRIES {
            // Rows from before the legacy backend have other ids, so a taste is found by its content.
            let is_stored = match self.taste(owner, subject).await? {
                Some(taste) if taste.is_dislike == is_dislike => return Ok(Expressed::Unchanged),
                Some(_) => self.replace(owner, subject, is_dislike).await?,
                None => self.add(owner, subject, is_dislike).await?,
            };
            if is_stored {
                return Ok(Expressed::Stored);
            }
        }
        Err(Error::Store(DbErr::Custom("other requests changed a taste again and again".to_owned())))
    }

    /// Adds a taste. Returns false when one about the subject is stored already.
    async fn add(&self, owner: Owner, subject: &Subject, is_dislike: bool) -> Result<bool, Error> {
        let mut add = Query::insert().into_table(subject.kind().table()).take();
        let (id, user) = (owner.id(), Expr::val(owner.id()));
        let (taken, now) = (Expr::val(is_dislike), Expr::val(self.now()));
        match subject {
            Subject::Book(book) => add
                .columns(["id", "book_id", "user_id", "is_dislike", "created_at"])
                .values_panic([Expr::val(row_id::of_book(*book, id)), Expr::val(*book), user, taken, now]),
            Subject::Tag(tag) => add
                .columns(["id", "tag_kind", "tag_name", "user_id", "is_dislike", "created_at"])
                .values_panic([
                    Expr::val(row_id::of_tag(tag, id)),
                    Expr::val(tag.kind.as_str()),
                    Expr::val(tag.name.as_str()),
                    user,
                    taken,
                    now,
                ]),
        };
        // Two requests at once: the id lets one of them in.
        add.on_conflict(OnConflict::column("id").do_nothing().to_owned());
        Ok(self.change_taste(owner, &add).await? > 0)
    }

    /// Replaces a stored taste by its opposite. The time stays. Returns false when there is none.
    async fn replace(&self, owner: Owner, subject: &Subject, is_dislike: bool) -> Result<bool, Error> {
        let change = Query::update()
            .table(subject.kind().table())
            .value("is_dislike", is_dislike)
            .and_where(Expr::col("user_id").eq(owner.id()))
            .cond_where(subject.is())
            .and_where(Expr::col("is_dislike").eq(!is_dislike))
            .take();
        Ok(self.change_taste(owner, &change).await? > 0)
    }

    /// Removes a taste: only a dislike or only a like, if `is_dislike` says so. Returns whether there was one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn forget_taste(
        &self,
        owner: Owner,
        subject: &Subject,
        is_dislike: Option<bool>,
    ) -> Result<bool, Error> {
        if !subject.is_storable() {
            return Ok(false);
        }
        let mut remove = Query::delete()
            .from_table(subject.kind().table())
            .and_where(Expr::col("user_id").eq(owner.id()))
            .cond_where(subject.is())
            .take();
        if let Some(is_dislike) = is_dislike {
            remove.and_where(Expr::col("is_dislike").eq(is_dislike));
        }
        Ok(self.change_taste(owner, &remove).await? > 0)
    }

    /// Runs a statement about a person's tastes with the event that they changed, if they did. Returns the number of rows.
    async fn change_taste(&self, owner: Owner, statement: &impl StatementBuilder) -> Result<u64, Error> {
        let Some(news) = &self.news else { return self.run(statement).await };
        let change = self.database.begin().await.map_err(Error::Store)?;
        let changed = change.execute(statement).await.map_err(failed)?.rows_affected();
        if changed > 0 {
            let people = [owner.id()];
            news.tastes_changed(&change, &people, self.clock.now()).await.map_err(Error::Store)?;
        }
        change.commit().await.map_err(Error::Store)?;
        if changed > 0 {
            news.committed();
        }
        Ok(changed)
    }
}

/// Returns the query of a person's rows of one kind, with the columns of both kinds.
fn rows(owner: Owner, kind: Kind, wanted: &Wanted) -> SelectStatement {
    let mut query = Query::select().column("id").take();
    match kind {
        Kind::Book => query.column("book_id"),
        Kind::Tag => query.expr_as(Expr::cust("NULL"), "book_id"),
    };
    match kind {
        Kind::Book => query.expr_as(Expr::cust("NULL"), "tag_kind").expr_as(Expr::cust("NULL"), "tag_name"),
        Kind::Tag => query.columns(["tag_kind", "tag_name"]),
    };
    query.columns(["is_dislike", "created_at"]).from(kind.table());
    query.and_where(Expr::col("user_id").eq(owner.id()));
    if let Some(is_dislike) = wanted.is_dislike {
        query.and_where(Expr::col("is_dislike").eq(is_dislike));
    }
    let is_narrowed = wanted.books.is_some() || wanted.tags.is_some();
    if is_narrowed {
        let some = match kind {
            Kind::Book => {
                let ids = wanted.books.as_deref().unwrap_or_default();
                Condition::all().add(Expr::col("book_id").is_in(ids.iter().copied()))
            }
            Kind::Tag => {
                let tags = wanted.tags.as_deref().unwrap_or_default();
                // Nothing fits an empty list.
                tags.iter()
                    .filter(|tag| tag.is_storable())
                    .fold(Condition::any().add(Expr::cust("1 = 0")), |any, tag| any.add(is(tag)))
            }
        };
        query.cond_where(some);
    }
    query
}

fn taste(row: &QueryResult) -> Result<Taste, DbErr> {
    let subject = match row.try_get::<Option<i32>>("", "book_id")? {
        Some(book) => Subject::Book(book),
        None => Subject::Tag(Tag { kind: row.try_get("", "tag_kind")?, name: row.try_get("", "tag_name")? }),
    };
    Ok(Taste {
        subject,
        is_dislike: row.try_get("", "is_dislike")?,
        created_at: row.try_get("", "created_at")?,
    })
}
