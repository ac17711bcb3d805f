//! Removes the messages of a tenant that leaves: those that wait, those that were sent, and dead ones. Each has an
//! address or a device of a person, and a text.
//!
//! A message that is queued for the tenant afterwards is refused. What another service queued before can arrive late
//! from the broker; it is dropped.

use clock::UnixTime;
use events::Exchange;
use events::outbox::{Rows, forget_tenant};
use kit::VerifiedTenant;
use kit::removal::Removals;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait as _};

use crate::message::{MAIL, PUSH};
use crate::sending::SERVICE;

/// The table of removals.
pub const TABLE: &str = "notifications_removals";

/// The removals of this service.
pub const REMOVALS: Removals = Removals::new(TABLE);

/// Messages of one transaction, which must end within the database's limit of five seconds.
const STEP: u32 = 500;

/// What a request to remove messages came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The tenant has no messages any more.
    Done,
    /// The removal was not prepared, so no message was removed.
    NotPrepared,
}

/// Removes the messages of `tenant`, some at a time. A request that was cut off goes on when it is repeated.
///
/// # Errors
/// The error of the database.
pub async fn remove(
    database: &DatabaseConnection,
    tenant: VerifiedTenant,
    now: UnixTime,
) -> Result<Removal, DbErr> {
    if !REMOVALS.begin(database, tenant, now).await? {
        return Ok(Removal::NotPrepared);
    }
    let tenant = identity::TenantId::from(tenant.id());
    // An event of this service says that a device is gone, with its token.
    let (messages, events) = ([PUSH, MAIL], [Exchange::Events.kind()]);
    for rows in [Rows { kinds: &messages, source: None }, Rows { kinds: &events, source: Some(SERVICE) }] {
        while remove_some(database, rows, &tenant).await? > 0 {}
    }
    Ok(Removal::Done)
}

/// Removes some of `rows` with the marks of their sending, and returns their number.
async fn remove_some(
    database: &DatabaseConnection,
    rows: Rows<'_>,
    tenant: &identity::TenantId,
) -> Result<usize, DbErr> {
    let change = database.begin().await?;
    let removed = forget_tenant(&change, rows, tenant, STEP).await?;
    if !removed.is_empty() {
        let marks = Expr::col("id").is_in(removed.iter().copied());
        change.execute(&Query::delete().from_table("sendings").and_where(marks).take()).await?;
    }
    change.commit().await?;
    Ok(removed.len())
}

/// Whether the tenant of a message has left, so that the message must not be stored. Only ids of the platform's own
/// tenants, which are UUIDs, can have. Call it behind the first write of the transaction ([`Removals::has_begun`]).
///
/// # Errors
/// The error of the database.
pub async fn has_left(database: &impl ConnectionTrait, tenant: &str) -> Result<bool, DbErr> {
    match tenant.parse() {
        Ok(tenant) => REMOVALS.has_begun(database, tenant).await,
        Err(_) => Ok(false),
    }
}
