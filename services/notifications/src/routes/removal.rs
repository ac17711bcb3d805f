//! The routes with which the tenants service removes all messages of a tenant.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use kit::openapi::{Failed, Forbidden, NotFound, Unauthenticated, Unavailable};
use kit::removal::{NOT_PREPARED, tenant};
use kit::{PlatformService, answer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use crate::error::Error;
use crate::removal::{REMOVALS, Removal, remove as remove_messages};

/// The routes.
pub(super) fn for_services() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(prepare, take_back)).routes(routes!(remove))
}

/// Prepares the removal of a tenant's messages.
#[utoipa::path(
    put, path = "/_/notifications/tenants/{tenant}/removal", operation_id = "prepareRemovalOfMessages",
    tag = "notifications", security(("service" = [])),
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
    let tenant = tenant(&caller, id)?;
    REMOVALS.prepare(&app.database, tenant, app.clock.now()).await.map_err(Error::Store)?;
    Ok(answer::no_content())
}

/// Takes the preparation back.
#[utoipa::path(
    delete, path = "/_/notifications/tenants/{tenant}/removal", operation_id = "takeRemovalOfMessagesBack",
    tag = "notifications", security(("service" = [])),
    params(("tenant" = String, Path, description = "The tenant.", format = "uuid")),
    responses(
        (status = 204, description = "Nothing is prepared, or messages were removed already."),
        Unauthenticated, Forbidden, NotFound, Failed, Unavailable,
    ),
)]
async fn take_back(
    caller: PlatformService,
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Error> {
    REMOVALS.take_back(&app.database, tenant(&caller, id)?).await.map_err(Error::Store)?;
    Ok(answer::no_content())
}

/// Removes a tenant's messages: waiting, sent and dead ones. It cannot be undone, and the tenant gets no message later.
#[utoipa::path(
    delete, path = "/_/notifications/tenants/{tenant}", operation_id = "removeMessages", tag = "notifications",
    security(("service" = [])),
    params(("tenant" = String, Path, description = "The tenant.", format = "uuid")),
    responses(
        (status = 204, description = "The tenant has no messages, now or before."),
        (status = 409, description = "The removal was not prepared: `Prepare the removal first`."),
        Unauthenticated, Forbidden, NotFound, Failed, Unavailable,
    ),
)]
async fn remove(
    caller: PlatformService,
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Error> {
    let tenant = tenant(&caller, id)?;
    let removal = remove_messages(&app.database, tenant, app.clock.now()).await.map_err(Error::Store)?;
    Ok(match removal {
        Removal::Done => answer::no_content(),
        Removal::NotPrepared => answer::text(StatusCode::CONFLICT, NOT_PREPARED),
    })
}
