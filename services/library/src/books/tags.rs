//! The tags of books, and tags themselves.
//!
//! The legacy database has an enumeration type for kinds, so a kind is cast in both directions. It has no unique
//! constraint on kind and name, so the same tag can have two rows; readers must not care which one a book has.

use std::collections::{BTreeMap, HashMap};

use sea_orm::sea_query::{Alias, Condition, Expr, ExprTrait as _, Query, SelectStatement, SimpleExpr};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, FromQueryResult as _, Iterable as _, QueryResult, Statement,
};

use super::entity::{Column, Model};
use crate::book::{Tag, words};

/// PostgreSQL's type of a kind, as the legacy backend named it.
pub(crate) const KIND_TYPE: &str = "book_tags_kind_enum";

/// The columns of a tag beside those of its book, which has a kind of its own.
const TAG_KIND: &str = "tag_kind";
const TAG_NAME: &str = "tag_name";

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

/// Returns the row of one book with its tags, in the order in which they were given.
///
/// In one query: this is the most frequent request, and a query costs the service more than the rows of some tags.
pub(super) async fn book_with_tags(
    database: &impl ConnectionTrait,
    id: i32,
) -> Result<Option<(Model, Vec<Tag>)>, DbErr> {
    let query = Query::select()
        .columns(Column::iter().map(|column| ("books", column)))
        .expr_as(kind(), TAG_KIND)
        .expr_as(Expr::col(("book_tags", "name")), TAG_NAME)
        .from("books")
        .left_join("book_tag_ref", Expr::col(("book_tag_ref", "book_id")).equals(("books", "id")))
        .left_join("book_tags", Expr::col(("book_tags", "id")).equals(("book_tag_ref", "book_tag_id")))
        .and_where(Expr::col(("books", "id")).eq(id))
        .order_by(("book_tag_ref", "id"), sea_orm::Order::Asc)
        .take();
    let mut found: Option<(Model, Vec<Tag>)> = None;
    for row in database.query_all(&query).await? {
        let (_, tags) = match &mut found {
            Some(found) => found,
            None => found.insert((Model::from_query_result(&row, "")?, Vec::new())),
        };
        // A book without tags has one row without a tag.
        if let Some(kind) = row.try_get("", TAG_KIND)? {
            tags.push(Tag { kind, name: row.try_get("", TAG_NAME)? });
        }
    }
    Ok(found)
}

/// Reads a tag from the columns `kind` and `name`.
pub(super) fn tag(row: &QueryResult) -> Result<Tag, DbErr> {
    Ok(Tag { kind: row.try_get("", "kind")?, name: row.try_get("", "name")? })
}

/// Returns the column `words` of a tag: the words of its kind and name, as the index of books has them, each after a space.
fn sought(kind: &str, name: &str) -> String {
    words(kind).chain(words(name)).map(|word| format!(" {word}")).collect()
}

/// Fills the column `words` of all tags, `at_once` with each statement.
///
/// # Errors
/// Those of the database.
pub(crate) async fn words_anew(database: &impl ConnectionTrait, at_once: u64) -> Result<(), DbErr> {
    let backend = database.get_database_backend();
    let store = if backend == DbBackend::Postgres {
        "UPDATE book_tags SET words = given.words \
         FROM json_to_recordset(CAST($1 AS json)) AS given (id integer, words text) WHERE book_tags.id = given.id"
    } else {
        "UPDATE book_tags SET words = given.value ->> 'words' \
         FROM json_each(?) AS given WHERE book_tags.id = given.value ->> 'id'"
    };
    let mut last = i32::MIN;
    loop {
        let query = Query::select()
            .column(("book_tags", "id"))
            .expr_as(kind(), "kind")
            .column(("book_tags", "name"))
            .from("book_tags")
            .and_where(Expr::col(("book_tags", "id")).gt(last))
            .order_by(("book_tags", "id"), sea_orm::Order::Asc)
            .limit(at_once)
            .take();
        let mut given = Vec::new();
        for row in database.query_all(&query).await? {
            last = row.try_get("", "id")?;
            let Tag { kind, name } = tag(&row)?;
            given.push(serde_json::json!({ "id": last, "words": sought(&kind, &name) }));
        }
        if given.is_empty() {
            return Ok(());
        }
        let given = serde_json::Value::Array(given).to_string();
        database.execute_raw(Statement::from_sql_and_values(backend, store, [given.into()])).await?;
    }
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
        .columns(["kind", "name", "words"])
        .values_panic([
            kind_value(database.get_database_backend(), &tag.kind),
            Expr::val(tag.name.as_str()),
            Expr::val(sought(&tag.kind, &tag.name)),
        ])
        .returning_col("id")
        .take();
    let row = database.query_one(&add).await?.ok_or_else(|| DbErr::RecordNotInserted)?;
    row.try_get("", "id")
}
