//! The tags of books, and tags themselves.
//!
//! The legacy database has an enumeration type for kinds, so a kind is cast in both directions. It has no unique
//! constraint on kind and name, so the same tag can have two rows; readers must not care which one a book has.

use std::collections::{BTreeMap, HashMap};

use sea_orm::sea_query::{Alias, Condition, Expr, ExprTrait as _, Query, SelectStatement, SimpleExpr};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult};

use crate::book::Tag;

/// PostgreSQL's type of a kind, as the legacy backend named it.
pub(crate) const KIND_TYPE: &str = "book_tags_kind_enum";

/// Returns the kind of a tag as text.
pub(super) fn kind() -> SimpleExpr {
    Expr::col(("book_tags", "kind")).cast_as(Alias::new("text"))
}

/// Returns the value of a kind for a row.
pub(super) fn kind_value(backend: DbBackend, kind: &str) -> SimpleExpr {
    let value = Expr::val(kind);
    if backend == DbBackend::Postgres { value.cast_as(Alias::new(KIND_TYPE)) } else { value }
}

/// Returns the query of the ids of books with one of the tags that fit `condition`.
pub(super) fn books_with(condition: Condition) -> SelectStatement {
    Query::select()
        .column(("book_tag_ref", "book_id"))
        .from("book_tag_ref")
        .inner_join("book_tags", Expr::col(("book_tags", "id")).equals(("book_tag_ref", "book_tag_id")))
        .cond_where(condition)
        .take()
}

/// Returns the condition on rows of one tag.
pub(super) fn is(tag: &Tag) -> Condition {
    Condition::all()
        .add(kind().eq(tag.kind.as_str()))
        .add(Expr::col(("book_tags", "name")).eq(tag.name.as_str()))
}

/// Returns the condition on rows of one of `tags`, or nothing if none of them can have a row.
pub(super) fn any_of(tags: &[(String, String)]) -> Option<Condition> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    // PostgreSQL refuses a statement with a NUL in a text.
    for (kind, name) in tags.iter().filter(|(kind, name)| !kind.contains('\0') && !name.contains('\0')) {
        names.entry(kind).or_default().push(name);
    }
    // One comparison for each kind: SQLite takes at most a thousand `OR` beside each other.
    let one = |(kind, names): (&str, Vec<&str>)| {
        Condition::all().add(self::kind().eq(kind)).add(Expr::col(("book_tags", "name")).is_in(names))
    };
    (!names.is_empty()).then(|| names.into_iter().map(one).fold(Condition::any(), Condition::add))
}

/// Returns the tags of each of `ids`, in the order in which they were given.
pub(super) async fn of_books(
    database: &impl ConnectionTrait,
    ids: &[i32],
) -> Result<HashMap<i32, Vec<Tag>>, DbErr> {
    let mut all: HashMap<i32, Vec<Tag>> = HashMap::new();
    if ids.is_empty() {
        return Ok(all);
    }
    let query = Query::select()
        .column(("book_tag_ref", "book_id"))
        .expr_as(kind(), "kind")
        .column(("book_tags", "name"))
        .from("book_tag_ref")
        .inner_join("book_tags", Expr::col(("book_tags", "id")).equals(("book_tag_ref", "book_tag_id")))
        .and_where(Expr::col(("book_tag_ref", "book_id")).is_in(ids.iter().copied()))
        .order_by(("book_tag_ref", "id"), sea_orm::Order::Asc)
        .take();
    for row in database.query_all(&query).await? {
        all.entry(row.try_get("", "book_id")?).or_default().push(tag(&row)?);
    }
    Ok(all)
}

/// Reads a tag from the columns `kind` and `name`.
pub(super) fn tag(row: &QueryResult) -> Result<Tag, DbErr> {
    Ok(Tag { kind: row.try_get("", "kind")?, name: row.try_get("", "name")? })
}

/// Returns the id of a tag, which is added if it is missing.
pub(super) async fn ensure(database: &impl ConnectionTrait, tag: &Tag) -> Result<i32, DbErr> {
    let find = Query::select()
        .column(("book_tags", "id"))
        .from("book_tags")
        .cond_where(is(tag))
        .order_by(("book_tags", "id"), sea_orm::Order::Asc)
        .limit(1)
        .take();
    if let Some(row) = database.query_one(&find).await? {
        return row.try_get("", "id");
    }
    let add = Query::insert()
        .into_table("book_tags")
        .columns(["kind", "name"])
        .values_panic([kind_value(database.get_database_backend(), &tag.kind), Expr::val(tag.name.as_str())])
        .returning_col("id")
        .take();
    let row = database.query_one(&add).await?.ok_or_else(|| DbErr::RecordNotInserted)?;
    row.try_get("", "id")
}
