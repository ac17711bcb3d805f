//! The removal of a tenant's rows, when the tenant leaves the platform.

use identity::TenantId;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::statement::sql;

/// Which rows of a tenant to remove.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'r> {
    /// The kinds.
    pub kinds: &'r [&'r str],
    /// Events of this service alone, for services that share a database. Rows that are no events have none.
    pub source: Option<&'r str>,
}

/// Removes at most `most` of `rows` that belong to `tenant`, whether they wait, are delivered or dead, and returns
/// their ids. Call it until there are none. Every payload with a tenant has it as `tenantId`: events do
/// ([`crate::Envelope`]), and a service whose own kinds of rows should be found writes it there, too.
///
/// A row that a worker is delivering at the moment may be delivered once more, and is removed like the others.
///
/// # Errors
/// The error of the database.
pub async fn forget_tenant(
    database: &impl ConnectionTrait,
    rows: Rows<'_>,
    tenant: &TenantId,
    most: u32,
) -> Result<Vec<Uuid>, DbErr> {
    let Rows { kinds, source } = rows;
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<String> = (0..kinds.len()).map(|place| format!("${}", place + 4)).collect();
    // Both databases read `->>`. The condition on the tenant is that of an index (`crate::tables::Selected`). Ids of
    // tenants that are UUIDs may be written in capital letters.
    let text = format!(
        "DELETE FROM outbox_events WHERE id IN (\
           SELECT id FROM outbox_events WHERE kind IN ({}) AND lower(payload ->> 'tenantId') = lower($1) \
           AND (CAST($2 AS text) IS NULL OR payload -> 'source' ->> 'service' = $2) LIMIT $3) RETURNING id",
        places.join(", ")
    );
    let first = [tenant.to_string().into(), source.map(str::to_owned).into(), i64::from(most).into()];
    let values = first.into_iter().chain(kinds.iter().map(|kind| (*kind).into()));
    let removed = database.query_all_raw(sql(database, &text, values)).await?;
    removed.iter().map(|row| row.try_get_by_index(0)).collect()
}
