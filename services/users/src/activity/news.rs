//! The events of this service. Each is written in the transaction of the change that it is about, so a change that was stored has
//! its event, also when this process is killed a moment later.

use std::collections::{BTreeMap, HashMap};

use clock::UnixTime;
use events::outbox::OutboxError;
use events::{Envelope, EventType, Exchange, Outbox, Source};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The type of the event that tastes of people changed. Its `data.people` has their ids. The library keeps dislikes for some
/// seconds, and drops those of these people.
pub const TASTE_CHANGED: &str = "users.taste.changed";

/// A platform service that acts for a tenant, and the id of its request.
#[derive(Clone, Debug)]
pub struct Acting {
    /// The service.
    pub service: identity::ServiceName,
    /// The id.
    pub request_id: String,
}

/// Writes events.
#[derive(Clone, Debug)]
pub struct News {
    outbox: Outbox,
    source: Source,
}

impl News {
    /// Writes them to `outbox` as `source`.
    #[must_use]
    pub const fn new(outbox: Outbox, source: Source) -> Self {
        Self { outbox, source }
    }

    /// Writes that tastes of `people` changed, in the transaction `change`: one event for each tenant.
    pub(super) async fn tastes_changed(
        &self,
        change: &DatabaseTransaction,
        people: &[Uuid],
        now: UnixTime,
    ) -> Result<(), DbErr> {
        let mut of_tenants: BTreeMap<String, (identity::TenantId, Vec<Uuid>)> = BTreeMap::new();
        for (person, tenant) in tenants_of(change, people).await? {
            let (_, found) = of_tenants.entry(tenant.to_string()).or_insert_with(|| (tenant, Vec::new()));
            found.push(person);
        }
        for (tenant, mut people) in of_tenants.into_values() {
            people.sort_unstable();
            let data = [("people".to_owned(), json!(people))].into_iter().collect();
            self.write(change, (Exchange::Events, TASTE_CHANGED), tenant, data, now).await?;
        }
        Ok(())
    }

    /// Writes for the audit that `by` acts for `tenant`, in the transaction of what it does. `people` is the number of
    /// people that it does it to, if it does something to people.
    pub(crate) async fn audit(
        &self,
        change: &DatabaseTransaction,
        kind: &str,
        (by, tenant): (&Acting, identity::TenantId),
        people: Option<usize>,
        now: UnixTime,
    ) -> Result<(), DbErr> {
        let fields = [
            ("by", Some(json!(by.service.as_str()))),
            ("requestId", Some(json!(by.request_id))),
            ("people", people.map(|number| json!(number))),
        ];
        let data = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        self.write(change, (Exchange::Audit, kind), tenant, data, now).await
    }

    /// Writes an event of a tenant.
    pub(super) async fn write(
        &self,
        change: &DatabaseTransaction,
        (exchange, kind): (Exchange, &str),
        tenant: identity::TenantId,
        data: Map<String, Value>,
        now: UnixTime,
    ) -> Result<(), DbErr> {
        let kind: EventType = kind.parse().map_err(invalid)?;
        let event = Envelope::new(kind, tenant, self.source.clone(), data, now);
        match self.outbox.announce(change, exchange, &event).await {
            Ok(_) => Ok(()),
            Err(OutboxError::Database(error)) => Err(error),
            Err(error @ (OutboxError::Event(_) | OutboxError::Length { .. } | OutboxError::Nul(_))) => {
                Err(invalid(error))
            }
        }
    }

    /// Has the events published now, and not with the next poll of the outbox. Call it after the commit.
    pub(crate) fn committed(&self) {
        self.outbox.committed();
    }
}

fn invalid(error: impl std::fmt::Display) -> DbErr {
    DbErr::Custom(format!("an event cannot be written: {error}"))
}

/// Returns the tenants of `people`. Those without a tenant are left out, because an event belongs to a tenant.
pub(super) async fn tenants_of(
    change: &DatabaseTransaction,
    people: &[Uuid],
) -> Result<HashMap<Uuid, identity::TenantId>, DbErr> {
    let tenants = Query::select()
        .columns(["id", "tenant_id"])
        .from("users")
        .and_where(Expr::col("id").is_in(people.iter().copied()))
        .and_where(Expr::col("tenant_id").is_not_null())
        .take();
    let mut tenant_of = HashMap::new();
    for row in change.query_all(&tenants).await? {
        let (person, tenant): (Uuid, Uuid) = (row.try_get("", "id")?, row.try_get("", "tenant_id")?);
        tenant_of.insert(person, tenant.to_string().parse().map_err(invalid)?);
    }
    Ok(tenant_of)
}
