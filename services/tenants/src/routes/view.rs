//! What answers contain.

use kit::TenantId;
use serde::{Serialize, Serializer};
use serde_json::Value;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use utoipa::ToSchema;

use crate::offboarding::Offboarding;
use crate::tenant::Tenant;
use crate::tenants::{History, Page};

const MILLISECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(super) struct TenantView {
    #[schema(value_type = String, format = "uuid")]
    id: TenantId,
    name: String,
    /// `active`, `suspended`, `offboarding` (its data is being removed) or `deleted`.
    #[schema(example = "active")]
    standing: &'static str,
    /// Grows by one with each change, from 1.
    version: i64,
    #[serde(serialize_with = "written")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(serialize_with = "written")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: OffsetDateTime,
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        let Tenant { id, name, standing, version, created_at, updated_at } = tenant;
        Self { id, name, standing: standing.as_str(), version, created_at, updated_at }
    }
}

/// A page of tenants.
#[derive(Serialize, ToSchema)]
#[schema(as = TenantPage)]
pub(super) struct PageView {
    tenants: Vec<TenantView>,
    /// The `after` of the next page; `null` on the last one.
    #[schema(value_type = Option<String>, format = "uuid")]
    next: Option<TenantId>,
}

impl From<Page> for PageView {
    fn from(page: Page) -> Self {
        Self { tenants: page.tenants.into_iter().map(TenantView::from).collect(), next: page.next }
    }
}

/// Where the removal of a tenant stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Offboarding)]
pub(super) struct OffboardingView {
    /// `preparing`, `removing`, `undoing`, `done` or `undone`.
    #[schema(example = "removing")]
    phase: &'static str,
    /// How many services have done it; while undoing, how many still have to take it back.
    step: usize,
    /// The services, in the order of the steps.
    #[schema(value_type = Vec<String>)]
    participants: Vec<identity::ServiceName>,
    /// How often the present step has failed.
    attempts: i32,
    /// Why it failed last.
    last_error: Option<String>,
}

impl From<Offboarding> for OffboardingView {
    fn from(found: Offboarding) -> Self {
        let Offboarding { tenant: _, progress, attempts, last_error } = found;
        let (phase, step, participants) = (progress.phase.as_str(), progress.step, progress.participants);
        Self { phase, step, participants, attempts, last_error }
    }
}

/// A change of a tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = TenantHistoryEntry)]
pub(super) struct HistoryView {
    /// The tenant's version after it.
    version: i64,
    /// What happened.
    #[schema(example = "tenants.tenant.suspended")]
    kind: String,
    /// `name`, `from`, `to`, `version`, `by`, `reason`, `requestId`.
    #[schema(value_type = Object)]
    change: Value,
    #[serde(serialize_with = "written")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
}

impl From<History> for HistoryView {
    fn from(entry: History) -> Self {
        let History { version, kind, change, at } = entry;
        Self { version, kind, change, at }
    }
}

fn written<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let text = time.to_offset(UtcOffset::UTC).format(MILLISECONDS).map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&text)
}
