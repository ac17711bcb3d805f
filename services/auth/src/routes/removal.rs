//! The routes with which the tenants service removes what a tenant has here.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use kit::openapi::{Failed, Forbidden, NotFound, Unauthenticated, Unavailable};
use kit::removal::{NOT_PREPARED, tenant};
use kit::{PlatformService, answer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::Error;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(prepare, take_back)).routes(routes!(remove))
}

/// Prepares the removal of the sessions, passkeys and codes of a tenant's people.
#[utoipa::path(
    put, path = "/_/auth/tenants/{tenant}/removal", operation_id = "prepareRemovalOfSessions",
    tag = "auth", security(("service" = [])),
    params(("tenant" = String, Path, description = "The tenant.", format = "uuid")),
    responses(
        (status = 204, description = "Prepared, now or before."),
        Unauthenticated, Forbidden, NotFound, Failed, Unavailable,
    ),
)]
async fn prepare(
    caller: PlatformService,
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Error> {
    app.removal.prepare(tenant(&caller, id)?).await?;
    Ok(answer::no_content())
}

/// Takes the preparation back.
#[utoipa::path(
    delete, path = "/_/auth/tenants/{tenant}/removal", operation_id = "takeRemovalOfSessionsBack",
    tag = "auth", security(("service" = [])),
    params(("tenant" = String, Path, description = "The tenant.", format = "uuid")),
    responses(
        (status = 204, description = "Nothing is prepared, or data were removed already."),
        Unauthenticated, Forbidden, NotFound, Failed, Unavailable,
    ),
)]
async fn take_back(
    caller: PlatformService,
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Error> {
    app.removal.take_back(tenant(&caller, id)?).await?;
    Ok(answer::no_content())
}

/// Removes the sessions, passkeys and codes of a tenant's people. It cannot be undone.
#[utoipa::path(
    delete, path = "/_/auth/tenants/{tenant}", operation_id = "removeSessions", tag = "auth",
    security(("service" = [])),
    params(("tenant" = String, Path, description = "The tenant.", format = "uuid")),
    responses(
        (status = 204, description = "Its people have none, now or before."),
        (status = 409, description = "The removal was not prepared: `Prepare the removal first`."),
        Unauthenticated, Forbidden, NotFound, Failed, Unavailable,
    ),
)]
async fn remove(
    caller: PlatformService,
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Error> {
    Ok(match app.removal.remove(tenant(&caller, id)?).await? {
        true => answer::no_content(),
        false => answer::text(StatusCode::CONFLICT, NOT_PREPARED),
    })
}
