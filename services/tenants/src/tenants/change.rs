//! Changes of tenants, each with its history and its news in one transaction.

use std::time::Duration;

use clock::UnixTime;
use events::outbox::Entry;
use events::store::{Appended, Fact};
use events::{Envelope, EventType, Exchange, Metadata};
use kit::{Reach, TenantId};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _, TransactionTrait as _,
};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::entity::{ActiveModel, Column, Entity};
use super::{MAX_PAGE, Tenants};
use crate::error::Error;
use crate::standing::{Change, Next, Standing};
use crate::tenant::{Author, Name, Tenant};
use crate::{invalidation, offboarding};

/// How often a change begins anew because another request was faster. Each round one of them succeeds, so more than a few
/// rounds mean a crowd, which is refused.
const ROUNDS: u8 = 4;

/// What a request to create a tenant came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The tenant is new.
    New(Tenant),
    /// The same request came before.
    Before(Tenant),
}

/// An entry of a tenant's history.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The tenant's version after it.
    pub version: i64,
    /// What happened.
    pub kind: String,
    /// Who, why, from where to where, and by which request.
    pub change: Value,
    /// When.
    pub at: OffsetDateTime,
}

/// What names of tenants' streams in the event store begin with.
pub(super) const STREAMS: &str = "tenants.tenant:";

/// The name of a tenant's stream in the event store.
fn stream(id: TenantId) -> String {
    format!("{STREAMS}{id}")
}

/// `time` in whole microseconds, which both databases return as they were stored.
pub(crate) fn moment(time: UnixTime) -> OffsetDateTime {
    let since = Duration::from_millis(time.millis());
    let since = time::Duration::try_from(since).unwrap_or(time::Duration::ZERO);
    OffsetDateTime::UNIX_EPOCH.checked_add(since).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

impl Tenants {
    /// Creates an active tenant, with the id that the request chose, or a new one. A request that is repeated with its id
    /// finds the tenant of the first time.
    ///
    /// # Errors
    /// [`Error::Taken`] when the id is another tenant's; [`Error::Store`] and the like.
    pub async fn create(&self, id: Option<TenantId>, name: Name, author: &Author) -> Result<Creation, Error> {
        let now = self.clock.now();
        let id = id.unwrap_or_else(|| TenantId(Uuid::now_v7()));
        let created_at = moment(now);
        let tenant = Tenant {
            id,
            name: name.as_str().to_owned(),
            standing: Standing::Active,
            version: 1,
            created_at,
            updated_at: created_at,
        };
        let row = ActiveModel {
            id: Set(id.0),
            name: Set(tenant.name.clone()),
            standing: Set(tenant.standing.as_str().to_owned()),
            version: Set(tenant.version),
            created_at: Set(created_at),
            updated_at: Set(created_at),
        };
        let change = self.database.begin().await?;
        let once = OnConflict::column(Column::Id).do_nothing().to_owned();
        let written = Entity::insert(row).on_conflict(once).exec_without_returning(&change).await?;
        if written == 0 {
            change.rollback().await?;
            let before = self.find(id).await?.ok_or(Error::Busy)?;
            return if before.name == tenant.name { Ok(Creation::Before(before)) } else { Err(Error::Taken) };
        }
        self.record(&change, &tenant, None, "tenants.tenant.created", author, now).await?;
        change.commit().await?;
        self.wake();
        Ok(Creation::New(tenant))
    }

    /// Changes the standing of the tenant `id`, and returns the tenant after it. A change that was made before changes
    /// nothing more.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Standing`], [`Error::Busy`]; [`Error::Store`] and the like.
    pub async fn change(&self, id: TenantId, change: Change, author: &Author) -> Result<Tenant, Error> {
        for _ in 0..ROUNDS {
            let tenant = self.find(id).await?.ok_or(Error::NotFound)?;
            let Next::To(to) = tenant.standing.after(change)? else { return Ok(tenant) };
            let now = self.clock.now();
            let written = self.database.begin().await?;
            let Some(changed) = self.move_to(&written, &tenant, to, change, author, now).await? else {
                written.rollback().await?;
                continue;
            };
            if let (Change::Offboard, Some(kept)) = (change, tenant.standing.kept()) {
                offboarding::begin(&written, id, kept, &self.news.participants, author, now).await?;
            }
            written.commit().await?;
            self.wake();
            return Ok(changed);
        }
        Err(Error::Busy)
    }

    /// Moves `tenant` in the transaction `written`, and returns it after the change; `None` when another change was faster.
    /// The caller then rolls back.
    pub(crate) async fn move_to(
        &self,
        written: &DatabaseTransaction,
        tenant: &Tenant,
        to: Standing,
        change: Change,
        author: &Author,
        now: UnixTime,
    ) -> Result<Option<Tenant>, Error> {
        let changed = Tenant {
            standing: to,
            version: tenant.version.saturating_add(1),
            updated_at: moment(now),
            ..tenant.clone()
        };
        let row = ActiveModel {
            standing: Set(to.as_str().to_owned()),
            version: Set(changed.version),
            updated_at: Set(changed.updated_at),
            ..Default::default()
        };
        // The first statement writes: on SQLite a transaction that read first could not become the writer.
        let done = Entity::update_many()
            .set(row)
            .filter(Column::Id.eq(tenant.id.0))
            .filter(Column::Version.eq(tenant.version))
            .exec(written)
            .await?;
        if done.rows_affected == 0 {
            return Ok(None);
        }
        self.record(written, &changed, Some(tenant.standing), change.event(), author, now).await?;
        Ok(Some(changed))
    }

    /// Writes the history, the events for other services and for the audit, and the invalidation of a change whose
    /// result is `tenant`.
    async fn record(
        &self,
        written: &DatabaseTransaction,
        tenant: &Tenant,
        from: Option<Standing>,
        kind: &str,
        author: &Author,
        now: UnixTime,
    ) -> Result<(), Error> {
        let kind: EventType = kind.parse().map_err(|e| Error::Unreadable(format!("{e}")))?;
        let data = json!({
            "name": tenant.name,
            "from": from.map(Standing::as_str),
            "to": tenant.standing.as_str(),
            "version": tenant.version,
            "by": author.service(),
            "reason": author.reason(),
            "requestId": author.request_id(),
        });
        let fact = Fact { kind: kind.clone(), payload: data.clone() };
        let expected = tenant.version.saturating_sub(1);
        match events::store::append_in(written, &stream(tenant.id), expected, &[fact], now).await? {
            Appended::At(_) => {}
            Appended::Conflict => {
                let what = format!("the history of {} has another version than its row", tenant.id);
                return Err(Error::Unreadable(what));
            }
        }
        let data = if let Value::Object(fields) = data { fields } else { Map::new() };
        let source = self.news.source.clone();
        let mut event = Envelope::new(kind, tenant.id.into(), source, data, now);
        event.metadata =
            Metadata { correlation_id: Some(author.request_id().to_owned()), ..Metadata::default() };
        self.news.events.announce(written, Exchange::Events, &event).await?;
        // The same for the audit, with an id of its own, because a row of the outbox goes to one exchange.
        let mut audited = Envelope::new(event.kind, event.tenant_id, event.source, event.data, now);
        audited.metadata = Metadata { causation_id: Some(event.id.to_string()), ..event.metadata };
        self.news.events.announce(written, Exchange::Audit, &audited).await?;
        if let Some(outbox) = &self.news.invalidations {
            let (payload, key) = invalidation::row(tenant)?;
            let entry = Entry {
                kind: invalidation::KIND,
                payload: &payload,
                idempotency_key: &key,
                delay: Duration::ZERO,
            };
            outbox.put(written, entry).await?;
        }
        Ok(())
    }

    /// Wakes the workers after a commit, so that the change travels now and not with the next poll.
    pub(crate) fn wake(&self) {
        self.news.events.committed();
        if let Some(outbox) = &self.news.invalidations {
            outbox.committed();
        }
        self.news.offboardings.notify_one();
    }

    /// Returns at most `most` entries (and at most [`MAX_PAGE`]) of the history of the tenant `id`, behind the version
    /// `after`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`], [`Error::History`].
    pub async fn history(
        &self,
        reach: Reach,
        id: TenantId,
        after: i64,
        most: u16,
    ) -> Result<Vec<History>, Error> {
        self.get(reach, id).await?;
        let entries =
            events::store::read(&self.database, &stream(id), after, most.clamp(1, MAX_PAGE)).await?;
        Ok(entries
            .into_iter()
            .map(|entry| History {
                version: entry.version,
                kind: entry.kind.as_str().to_owned(),
                change: entry.payload,
                at: entry.recorded_at,
            })
            .collect())
    }
}
