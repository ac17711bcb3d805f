//! Every query about tenants.
//!
//! A change is one transaction: the tenant's row, its history ([`events::store`]), the events for other services and for the
//! audit, and the invalidation for the edge ([`crate::invalidation`]). Either all of it happened, or nothing.
//!
//! The row follows from the history: [`rebuild`] makes lost or wrong rows again.

mod change;
pub(crate) mod entity;
pub mod rebuild;

use std::fmt;
use std::sync::Arc;

use clock::Clock;
use events::{Outbox, Source};
use kit::{Reach, TenantId};
use sea_orm::{
    ColumnTrait as _, DatabaseConnection, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use tokio::sync::Notify;

use crate::error::Error;
use crate::tenant::Tenant;
use entity::{Column, Entity, Model};

pub use change::{Creation, History};

/// The most tenants or entries of a history on one page. At 150 bytes each a page has 15 KiB.
pub const MAX_PAGE: u16 = 100;

/// Stores and changes all tenants.
#[derive(Clone)]
pub struct Tenants {
    database: DatabaseConnection,
    clock: Arc<dyn Clock>,
    news: News,
}

/// Where changes are announced.
#[derive(Clone, Debug)]
pub struct News {
    /// Events for other services.
    pub events: Outbox,
    /// Invalidations for the edge; absent without Redis.
    pub invalidations: Option<Outbox>,
    /// The name of this process in events.
    pub source: Source,
    /// Wakes the worker of offboardings.
    pub offboardings: Arc<Notify>,
    /// The services whose data an offboarding removes, in this order.
    pub participants: Arc<[identity::ServiceName]>,
}

/// A page of tenants, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most [`MAX_PAGE`] tenants.
    pub tenants: Vec<Tenant>,
    /// Where the next page begins; absent on the last one.
    pub next: Option<TenantId>,
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants").field("news", &self.news).finish_non_exhaustive()
    }
}

impl Tenants {
    /// Uses the tenants in `database`, whose tables are up to date.
    #[must_use]
    pub const fn new(database: DatabaseConnection, clock: Arc<dyn Clock>, news: News) -> Self {
        Self { database, clock, news }
    }

    /// Returns whether the database answers.
    pub async fn reachable(&self) -> bool {
        self.database.ping().await.is_ok()
    }

    pub(crate) const fn database(&self) -> &DatabaseConnection {
        &self.database
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) const fn news(&self) -> &News {
        &self.news
    }

    /// Returns the tenant `id`, if it is in `reach`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn get(&self, reach: Reach, id: TenantId) -> Result<Tenant, Error> {
        if !reach.contains(Some(id)) {
            return Err(Error::NotFound);
        }
        self.find(id).await?.ok_or(Error::NotFound)
    }

    /// Returns the tenant `id` for the edge, which asks about the tenants of its own callers.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn find(&self, id: TenantId) -> Result<Option<Tenant>, Error> {
        Entity::find_by_id(id.0).one(&self.database).await?.map(Tenant::try_from).transpose()
    }

    /// Returns at most `most` tenants in `reach` (and at most [`MAX_PAGE`]), behind the id `after`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self, reach: Reach, after: Option<TenantId>, most: u16) -> Result<Page, Error> {
        let most = most.clamp(1, MAX_PAGE);
        let mut query = Entity::find().order_by_asc(Column::Id).limit(u64::from(most) + 1);
        if let Some(own) = reach.tenant() {
            query = query.filter(Column::Id.eq(own.id().0));
        }
        if let Some(after) = after {
            query = query.filter(Column::Id.gt(after.0));
        }
        let rows = query.all(&self.database).await?;
        let mut tenants = rows.into_iter().map(Tenant::try_from).collect::<Result<Vec<_>, _>>()?;
        let is_last = tenants.len() <= usize::from(most);
        tenants.truncate(usize::from(most));
        let next = tenants.last().filter(|_| !is_last).map(|tenant| tenant.id);
        Ok(Page { tenants, next })
    }
}

impl TryFrom<Model> for Tenant {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let Model { id, name, standing, version, created_at, updated_at } = row;
        Ok(Self { id: TenantId(id), name, standing: standing.parse()?, version, created_at, updated_at })
    }
}
