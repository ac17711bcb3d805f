//! The removal of a tenant's data at a service that takes part in it.
//!
//! The tenants service has the removal prepared first, which writes a row that says so. Only then does a request remove
//! data, so one wrong request removes none. The row stays, so that a repeated request finds that it was prepared, and a
//! service can refuse what still arrives for the tenant.
//!
//! | call of the tenants service | here |
//! |---|---|
//! | `PUT /_/NAME/tenants/{tenant}/removal` | [`Removals::prepare`] |
//! | `DELETE /_/NAME/tenants/{tenant}/removal` | [`Removals::take_back`] |
//! | `DELETE /_/NAME/tenants/{tenant}` | [`Removals::begin`], and then the service's own deletion |

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use clock::UnixTime;
use sea_orm::sea_query::{ColumnDef, Expr, ExprTrait as _, OnConflict, Query, Table, TableCreateStatement};
use sea_orm::{ConnectionTrait, DbErr};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::caller::PlatformService;
use crate::id::TenantId;
use crate::tenant::VerifiedTenant;

/// The one service that removes tenants. The edge checks this too, but a wrongly configured route must not open it.
const TENANTS: &str = "tenants";

/// The body of a 409: the removal was not prepared.
pub const NOT_PREPARED: &str = "Prepare the removal first";

/// A call that removes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Another service than the tenants service calls.
    #[error("another service than `tenants` calls")]
    Caller,
    /// The path has no tenant's id.
    #[error("the path has no tenant's id")]
    Tenant,
}

/// Returns the tenant of the path, for which `caller` acts.
///
/// # Errors
/// [`NotAllowed`].
pub fn tenant(
    caller: &PlatformService,
    id: Result<Path<String>, PathRejection>,
) -> Result<VerifiedTenant, NotAllowed> {
    if caller.name.as_str() != TENANTS {
        return Err(NotAllowed::Caller);
    }
    let Path(id) = id.map_err(|_| NotAllowed::Tenant)?;
    let id: TenantId = id.parse().map_err(|_| NotAllowed::Tenant)?;
    Ok(caller.on_behalf_of(id))
}

/// Returns the table of a service's removals, for its migrations. Services can share a database, so each has one of its
/// own.
#[must_use]
pub fn table(name: &'static str) -> TableCreateStatement {
    Table::create()
        .table(name)
        .if_not_exists()
        .col(ColumnDef::new("tenant_id").uuid().not_null().primary_key())
        .col(ColumnDef::new("prepared_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("begun_at").timestamp_with_time_zone())
        .to_owned()
}

/// The removals of one service, in its [`table`].
#[derive(Clone, Copy, Debug)]
pub struct Removals(&'static str);

impl Removals {
    /// The removals in `table`.
    #[must_use]
    pub const fn new(table: &'static str) -> Self {
        Self(table)
    }

    /// Prepares the removal of the data of `tenant`. A second time changes nothing.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn prepare(
        self,
        database: &impl ConnectionTrait,
        tenant: VerifiedTenant,
        now: UnixTime,
    ) -> Result<(), DbErr> {
        let row = Query::insert()
            .into_table(self.0)
            .columns(["tenant_id", "prepared_at"])
            .values_panic([Expr::val(tenant.id().0), Expr::val(moment(now))])
            .on_conflict(OnConflict::column("tenant_id").do_nothing().to_owned())
            .take();
        database.execute(&row).await.map(drop)
    }

    /// Takes the preparation back, unless data were removed. Without a preparation nothing changes.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn take_back(
        self,
        database: &impl ConnectionTrait,
        tenant: VerifiedTenant,
    ) -> Result<(), DbErr> {
        let row = Query::delete()
            .from_table(self.0)
            .and_where(Expr::col("tenant_id").eq(tenant.id().0))
            .and_where(Expr::col("begun_at").is_null())
            .take();
        database.execute(&row).await.map(drop)
    }

    /// Records that data of `tenant` are removed from now on, and returns true. False when that was not prepared:
    /// remove nothing.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn begin(
        self,
        database: &impl ConnectionTrait,
        tenant: VerifiedTenant,
        now: UnixTime,
    ) -> Result<bool, DbErr> {
        let row = Query::update()
            .table(self.0)
            .value("begun_at", moment(now))
            .and_where(Expr::col("tenant_id").eq(tenant.id().0))
            .take();
        Ok(database.execute(&row).await?.rows_affected() > 0)
    }

    /// Whether data of the tenant `id` were removed: what still arrives for it must not be stored.
    ///
    /// Call it within the transaction that stores it, behind the first write. A removal that begins at that moment
    /// waits for the end of the transaction, and finds what it stored.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn has_begun(self, database: &impl ConnectionTrait, id: Uuid) -> Result<bool, DbErr> {
        // Every prepared row is locked, also one that has not begun. SQLite has one writer at a time and needs no lock.
        let row = Query::select()
            .column("begun_at")
            .from(self.0)
            .and_where(Expr::col("tenant_id").eq(id))
            .lock_shared()
            .take();
        let Some(row) = database.query_one(&row).await? else { return Ok(false) };
        Ok(row.try_get_by_index::<Option<OffsetDateTime>>(0)?.is_some())
    }
}

fn moment(now: UnixTime) -> OffsetDateTime {
    let seconds = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
