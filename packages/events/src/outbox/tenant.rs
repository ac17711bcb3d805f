//! The removal of a tenant's rows, when the tenant leaves the platform.

use identity::TenantId;
use sea_orm::{ConnectionTrait, DbErr};

use crate::statement::sql;

/// Removes at most `most` rows of `kinds` that belong to `tenant`, whether they wait, are delivered or dead, and returns their
/// number. Call it until that is zero. Every payload with a tenant has it as `tenantId`: events do ([`crate::Envelope`]), and
/// a service whose own kinds of rows should be found writes it there, too.
///
/// A row that a worker is delivering at the moment may be delivered once more, and is removed like the others.
///
/// # Errors
/// The error of the database.
pub async fn forget_tenant(
    database: &impl ConnectionTrait,
    kinds: &[&str],
    tenant: &TenantId,
    most: u32,
) -> Result<u64, DbErr> {
    if kinds.is_empty() {
        return Ok(0);
    }
    let places: Vec<String> = (0..kinds.len()).map(|place| format!("${}", place + 3)).collect();
    // Both databases read `->>`. Ids of tenants that are UUIDs may be written in capital letters.
    let text = format!(
        "DELETE FROM outbox_events WHERE id IN (\
           SELECT id FROM outbox_events WHERE kind IN ({}) AND lower(payload ->> 'tenantId') = lower($1) LIMIT $2)",
        places.join(", ")
    );
    let first = [tenant.to_string().into(), i64::from(most).into()];
    let values = first.into_iter().chain(kinds.iter().map(|kind| (*kind).into()));
    Ok(database.execute_raw(sql(database, &text, values)).await?.rows_affected())
}
