//! A person's row about a book, which is added once.

use sea_orm::sea_query::{Expr, ExprTrait as _, InsertStatement, OnConflict, Query};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr};
use uuid::Uuid;

use super::{present, row_id};

/// Adds a row of `user` about `book` with the values `rest`, unless the person has one or is gone, and returns its id
/// if it did.
///
/// The id alone does not tell: rows from before the legacy backend have random ids. So an older row is found by its
/// content, and the id keeps two requests at the same time apart.
pub(super) async fn add<const N: usize>(
    transaction: &DatabaseTransaction,
    table: &'static str,
    (book, user): (i32, Uuid),
    rest: [(&'static str, Expr); N],
) -> Result<Option<Uuid>, DbErr> {
    let id = row_id::of_book(book, user);
    let added = transaction.execute(&statement(table, id, (book, user), rest)?).await?.rows_affected();
    Ok((added > 0).then_some(id))
}

fn statement<const N: usize>(
    table: &'static str,
    id: Uuid,
    (book, user): (i32, Uuid),
    rest: [(&'static str, Expr); N],
) -> Result<InsertStatement, DbErr> {
    let known = Query::select()
        .column("id")
        .from(table)
        .and_where(Expr::col("user_id").eq(user))
        .and_where(Expr::col("book_id").eq(book))
        .take();
    let mut values = Query::select()
        .expr(Expr::val(id))
        .expr(Expr::val(book))
        .expr(Expr::val(user))
        .and_where(Expr::not_exists(known))
        .and_where(present::exists(user))
        .take();
    let mut columns = vec!["id", "book_id", "user_id"];
    for (column, value) in rest {
        columns.push(column);
        values.expr(value);
    }
    let mut insert = Query::insert().into_table(table).columns(columns).take();
    insert.select_from(values).map_err(|error| DbErr::Custom(error.to_string()))?;
    insert.on_conflict(OnConflict::column("id").do_nothing().to_owned());
    Ok(insert)
}
