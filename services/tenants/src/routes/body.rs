//! The request bodies and queries.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use kit::TenantId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::error::Error;
use crate::tenant::Name;
use crate::tenants::MAX_PAGE;

/// Entries of a page without `limit`.
const USUAL_PAGE: u16 = 25;

/// A new tenant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTenant)]
pub(super) struct NewBody {
    /// Chosen by the caller, so that a repeated request creates one tenant; without it, the service chooses one.
    #[schema(value_type = Option<String>, format = "uuid")]
    id: Option<Uuid>,
    /// Stored in NFC, without white space at its ends; no invisible characters.
    #[schema(min_length = 1, max_length = 100, example = "Example Ltd")]
    name: String,
    /// Why, for the history.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

impl NewBody {
    pub(super) fn read(
        headers: &HeaderMap,
        bytes: &[u8],
    ) -> Result<(Option<TenantId>, Name, Option<String>), Error> {
        let Self { id, name, reason } = json(headers, bytes)?;
        // Other code takes the nil UUID for "none".
        if id.is_some_and(|id| id.is_nil()) {
            return Err(Error::Invalid("\"id\" must not be the nil UUID".into()));
        }
        Ok((id.map(TenantId), Name::read(&name)?, reason))
    }
}

/// A change of a tenant. The body may be empty.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantChange)]
pub(super) struct ChangeBody {
    /// Why, for the history.
    #[schema(max_length = 500, example = "Unpaid invoice 17")]
    pub(super) reason: Option<String>,
}

impl ChangeBody {
    pub(super) fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.is_empty() { Ok(Self::default()) } else { json(headers, bytes) }
    }
}

fn json<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Error> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Error::Invalid("Send the body as application/json".into()));
    }
    serde_json::from_slice(bytes).map_err(|error| Error::Invalid(error.to_string().into()))
}

/// Which page of tenants.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// The `next` of the page before.
    #[param(value_type = Option<String>, format = "uuid")]
    pub(super) after: Option<TenantId>,
    /// At most this many; 25 without it.
    #[serde(default = "usual_page")]
    #[param(minimum = 1, maximum = 100)]
    pub(super) limit: u16,
}

/// Which page of a history.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// The last version of the page before; 0 for the first page.
    #[serde(default)]
    #[param(minimum = 0)]
    pub(super) after: i64,
    /// At most this many; 25 without it.
    #[serde(default = "usual_page")]
    #[param(minimum = 1, maximum = 100)]
    pub(super) limit: u16,
}

const fn usual_page() -> u16 {
    USUAL_PAGE
}

impl PageQuery {
    pub(super) fn of(query: Result<Query<Self>, QueryRejection>) -> Result<Self, Error> {
        let Query(query) = query.map_err(invalid)?;
        within(query.limit)?;
        Ok(query)
    }
}

impl HistoryQuery {
    pub(super) fn of(query: Result<Query<Self>, QueryRejection>) -> Result<Self, Error> {
        let Query(query) = query.map_err(invalid)?;
        within(query.limit)?;
        if query.after < 0 {
            return Err(Error::Invalid("\"after\" must be 0 or more".into()));
        }
        Ok(query)
    }
}

fn invalid(_: QueryRejection) -> Error {
    Error::Invalid(format!("The query takes \"after\" and \"limit\" (1 to {MAX_PAGE})").into())
}

fn within(limit: u16) -> Result<(), Error> {
    if (1..=MAX_PAGE).contains(&limit) {
        Ok(())
    } else {
        Err(Error::Invalid(format!("\"limit\" must be 1 to {MAX_PAGE}").into()))
    }
}
