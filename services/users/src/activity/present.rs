//! People who are there until a transaction ends.
//!
//! Tables without a foreign key (notifications, devices) would keep what is written for people who are removed at the
//! same time. So a transaction that writes for people holds them first, and a removal waits for it, or it waits for the
//! removal and finds them gone.

use sea_orm::sea_query::{Expr, ExprTrait as _, LockType, Query, SimpleExpr};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, Order};
use uuid::Uuid;

/// Returns the existing ones of `people`, and holds back their removal until the transaction ends.
///
/// SQLite has one writer at a time, and a transaction there must not begin with a read. It returns all of them: the
/// statements that write look for the person themselves, by [`exists`].
pub(crate) async fn hold(transaction: &DatabaseTransaction, people: &[Uuid]) -> Result<Vec<Uuid>, DbErr> {
    lock(transaction, people, LockType::KeyShare).await
}

/// As [`hold`], for a transaction that removes them: it waits for all that hold one of them.
pub(crate) async fn hold_to_remove(
    transaction: &DatabaseTransaction,
    people: &[Uuid],
) -> Result<Vec<Uuid>, DbErr> {
    lock(transaction, people, LockType::Update).await
}

async fn lock(
    transaction: &DatabaseTransaction,
    people: &[Uuid],
    lock: LockType,
) -> Result<Vec<Uuid>, DbErr> {
    if transaction.get_database_backend() != DbBackend::Postgres {
        return Ok(people.to_vec());
    }
    let query = Query::select()
        .column("id")
        .from("users")
        .and_where(Expr::col("id").is_in(people.iter().copied()))
        // In one order everywhere, so that two transactions never wait for each other.
        .order_by("id", Order::Asc)
        .lock(lock)
        .take();
    transaction.query_all(&query).await?.iter().map(|row| row.try_get("", "id")).collect()
}

/// Returns the condition that the person exists.
pub(super) fn exists(user: Uuid) -> SimpleExpr {
    Expr::exists(Query::select().column("id").from("users").and_where(Expr::col("id").eq(user)).take())
}
