//! The bodies of answers. The order of the fields is part of the contract (`contracts/http/users_me.hurl`).

use identity::Role;
use kit::{SubjectId, TenantId};
use serde::{Serialize, Serializer};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use utoipa::ToSchema;

use crate::account::{Account, Profile};

/// RFC 3339 in UTC without digits of a second.
const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// RFC 3339 in UTC with exactly six digits: what PostgreSQL stores.
const MICROSECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// RFC 3339 in UTC with exactly three digits, as clients of the later surface parse times.
const MILLISECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A person's own account.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct Own {
    #[schema(value_type = String, format = "uuid")]
    id: SubjectId,
    /// Unique.
    #[schema(example = "Demo")]
    name: String,
    /// Unique.
    #[schema(example = "demo")]
    handle: String,
    /// Unique.
    #[schema(example = "demo@example.com")]
    email: String,
    /// 0: everyone; 1: developers; 2: bots, which write.
    #[schema(value_type = u8, maximum = 2)]
    role: Role,
    /// In UTC, with three digits of a second's fraction.
    #[serde(serialize_with = "milliseconds")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T18:18:24.962Z")]
    created_at: OffsetDateTime,
    /// In UTC, with three digits of a second's fraction.
    #[serde(serialize_with = "milliseconds")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T18:18:24.962Z")]
    updated_at: OffsetDateTime,
}

/// A person's own account on the older surface: the legacy backend's fields, in its order.
#[derive(Serialize)]
pub(super) struct OlderOwn {
    id: SubjectId,
    email: String,
    name: String,
    role: Role,
    #[serde(serialize_with = "as_needed")]
    created_at: OffsetDateTime,
    #[serde(serialize_with = "as_needed")]
    updated_at: OffsetDateTime,
}

/// An account for another service.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountWithTenant)]
pub(super) struct Looked {
    #[serde(flatten)]
    own: Own,
    /// `null` for a person without an assigned tenant.
    #[schema(value_type = Option<String>, format = "uuid")]
    tenant_id: Option<TenantId>,
}

impl From<Account> for Own {
    fn from(account: Account) -> Self {
        let Account { id, tenant: _, profile: Profile { name, handle, email }, role, created_at, updated_at } =
            account;
        Self { id, name, handle, email, role, created_at, updated_at }
    }
}

impl From<Account> for OlderOwn {
    fn from(account: Account) -> Self {
        let Account { id, tenant: _, profile, role, created_at, updated_at } = account;
        let Profile { name, handle: _, email } = profile;
        Self { id, email, name, role, created_at, updated_at }
    }
}

impl From<Account> for Looked {
    fn from(account: Account) -> Self {
        let tenant_id = account.tenant;
        Self { own: account.into(), tenant_id }
    }
}

/// Writes exactly three digits of a second's fraction.
pub(super) fn milliseconds<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    written(time, MILLISECONDS, serializer)
}

/// Writes as many digits as the time needs, in groups of three, as the legacy backend does.
pub(super) fn as_needed<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let format = match time.microsecond() {
        0 => SECONDS,
        micros if micros % 1_000 == 0 => MILLISECONDS,
        _ => MICROSECONDS,
    };
    written(time, format, serializer)
}

fn written<S: Serializer>(
    time: &OffsetDateTime,
    format: &[BorrowedFormatItem<'_>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = time.to_offset(UtcOffset::UTC).format(format).map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&text)
}
