//! The routes with which the tenants service removes all people of a tenant, the same on both surfaces.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use kit::openapi::{Failed, Forbidden, NotFound, Unauthenticated, Unavailable};
use kit::{PlatformService, TenantId, VerifiedTenant, answer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use crate::account::removal::Removal;
use crate::activity::news::Acting;
use crate::error::Error;

/// The one service that removes tenants. The edge checks this too, but a wrongly configured route must not open it.
const TENANTS: &str = "tenants";

/// The routes.
pub(super) fn for_services() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(prepare, take_back)).routes(routes!(remove))
}

/// Returns the tenant of the path, for which the caller acts.
fn tenant(
    caller: &PlatformService,
    id: Result<Path<String>, PathRejection>,
) -> Result<VerifiedTenant, Error> {
    if caller.name.as_str() != TENANTS {
        return Err(Error::Forbidden);
    }
    let Path(id) = id.map_err(|_| Error::NotFound)?;
    let id: TenantId = id.parse().map_err(|_| Error::NotFound)?;
    Ok(caller.on_behalf_of(id))
}

/// Returns who acts, for the audit.
fn acting(caller: PlatformService, headers: &HeaderMap) -> Acting {
    Acting { service: caller.name, request_id: kit::telemetry::request_id(headers) }
}

/// Prepares the removal of a tenant's people.
#[utoipa::path(
    put, path = "/_/users/tenants/{tenant}/removal", operation_id = "prepareRemoval", tag = "users",
    security(("service" = [])),
    params(("tenant" = String, Path, description = "The tenant.", format = "uuid")),
    responses(
        (status = 204, description = "Prepared, now or before."),
        Unauthenticated, Forbidden, NotFound, Failed, Unavailable,
    ),
)]
async fn prepare(
    State(app): State<App>,
    caller: PlatformService,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Error> {
    app.accounts.prepare_removal(tenant(&caller, id)?, &acting(caller, &headers)).await?;
    Ok(answer::no_content())
}

/// Takes the preparation back.
#[utoipa::path(
    delete, path = "/_/users/tenants/{tenant}/removal", operation_id = "takeRemovalBack", tag = "users",
    security(("service" = [])),
    params(("tenant" = String, Path, description = "The tenant.", format = "uuid")),
    responses(
        (status = 204, description = "Nothing is prepared."),
        Unauthenticated, Forbidden, NotFound, Failed, Unavailable,
    ),
)]
async fn take_back(
    State(app): State<App>,
    caller: PlatformService,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Error> {
    app.accounts.take_removal_back(tenant(&caller, id)?, &acting(caller, &headers)).await?;
    Ok(answer::no_content())
}

/// Removes a tenant's people, with everything that belongs to them. It cannot be undone.
#[utoipa::path(
    delete, path = "/_/users/tenants/{tenant}", operation_id = "removePeople", tag = "users",
    security(("service" = [])),
    params(("tenant" = String, Path, description = "The tenant.", format = "uuid")),
    responses(
        (status = 204, description = "The tenant has no people, now or before."),
        (status = 409, description = "The removal was not prepared: `Prepare the removal first`."),
        Unauthenticated, Forbidden, NotFound, Failed, Unavailable,
    ),
)]
async fn remove(
    State(app): State<App>,
    caller: PlatformService,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Error> {
    Ok(match app.accounts.remove_people(tenant(&caller, id)?, &acting(caller, &headers)).await? {
        Removal::Done => answer::no_content(),
        Removal::NotPrepared => answer::text(StatusCode::CONFLICT, "Prepare the removal first"),
    })
}
