//! Every path on one page, with its answers. All are for services, below `/_/`, and no client reaches them.
//!
//! | route | for | answers |
//! |---|---|---|
//! | `POST /_/tenants` | a manager | 201 the tenant · 200 the same request came before · 409 another tenant has this id |
//! | `GET /_/tenants` | a service | 200 a page of tenants |
//! | `GET /_/tenants/{id}` | a service | 200 the tenant |
//! | `POST /_/tenants/{id}/suspend`, `POST /_/tenants/{id}/reinstate` | a manager | 200 the tenant · 409 it is being removed |
//! | `DELETE /_/tenants/{id}` | a manager | 202 the tenant, whose removal has begun |
//! | `GET /_/tenants/{id}/offboarding` | a service | 200 where the removal stands |
//! | `GET /_/tenants/{id}/history` | a service | 200 a page of its changes |
//!
//! A manager is a service of the platform that `TENANTS_MANAGERS` lists. A service that acts for one tenant sees that one
//! alone. For refusals see [`crate::error`] and [`kit::caller`].

mod body;
mod view;

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRef, FromRequestParts, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use identity::ServiceName;
use kit::body::Body;
use kit::openapi::{Documents, Failed, Forbidden, Invalid, NotFound, TooLarge, Unauthenticated, Unavailable};
use kit::{Gate, Metrics, PlatformService, Reach, ServiceCaller, TenantId};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Error;
use crate::standing::Change;
use crate::tenant::Author;
use crate::tenants::{Creation, Tenants};
use body::{ChangeBody, HistoryQuery, NewBody, PageQuery};
use view::{HistoryView, OffboardingView, PageView, TenantView};

/// The state that handlers share.
#[derive(Clone)]
struct App {
    tenants: Tenants,
    gate: Gate,
    managers: Arc<[ServiceName]>,
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

/// A service that may change tenants. It is found out before the body is read, so that nobody else learns what a body has to be.
/// The edge checks this too, but a wrongly configured route must not open it.
struct Manager {
    caller: PlatformService,
    request_id: String,
}

impl FromRequestParts<App> for Manager {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let caller =
            PlatformService::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        if !app.managers.contains(&caller.name) {
            return Err(Error::Forbidden.into_response());
        }
        Ok(Self { caller, request_id: kit::telemetry::request_id(&parts.headers) })
    }
}

impl Manager {
    /// Returns the author of a change, for `reason`.
    fn author(self, reason: Option<&str>) -> Result<Author, Error> {
        Ok(Author::new(&self.caller, self.request_id, reason)?)
    }
}

impl App {
    async fn change(
        &self,
        manager: Manager,
        id: Result<Path<String>, PathRejection>,
        headers: &HeaderMap,
        bytes: &[u8],
        change: Change,
    ) -> Result<Json<TenantView>, Error> {
        let body = ChangeBody::read(headers, bytes)?;
        let author = manager.author(body.reason.as_deref())?;
        let tenant = self.tenants.change(tenant_id(id)?, change, &author).await?;
        Ok(Json(tenant.into()))
    }
}

fn for_services() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(read, delete))
        .routes(routes!(suspend))
        .routes(routes!(reinstate))
        .routes(routes!(offboarding))
        .routes(routes!(history))
}

/// Returns the OpenAPI documents of the routes. The public one is empty.
#[must_use]
pub fn documents() -> Documents {
    let purpose = "Tenants: the authority on who they are and whether they may use the product.";
    Documents::of("tenants", purpose, OpenApi::default(), for_services().into_openapi())
}

/// Builds the routes with their layers, ready to be served.
pub fn router(tenants: Tenants, gate: Gate, managers: Arc<[ServiceName]>, metrics: &Metrics) -> Router {
    let words = gate.words();
    let probed = tenants.clone();
    let routes = Router::from(for_services()).with_state(App { tenants, gate, managers });
    let ready = move || -> std::pin::Pin<Box<dyn Future<Output = bool> + Send>> {
        let tenants = probed.clone();
        Box::pin(async move { tenants.reachable().await })
    };
    kit::surface::surround(routes, words, Arc::new(ready), metrics)
}

/// Reads the id in a path. An invalid UUID names no tenant.
fn tenant_id(id: Result<Path<String>, PathRejection>) -> Result<TenantId, Error> {
    let Path(id) = id.map_err(|_| Error::NotFound)?;
    id.parse().map_err(|_| Error::NotFound)
}

/// Creates an active tenant. Repeat a request that was not answered with the same `id`: it creates one tenant.
#[utoipa::path(
    post, path = "/_/tenants", operation_id = "createTenant", tag = "tenants", security(("service" = [])),
    request_body = NewBody,
    responses(
        (status = 201, description = "Created.", body = TenantView),
        (status = 200, description = "The same request came before.", body = TenantView),
        (status = 409, description = "Another tenant has this id: `Already exists tenant`."),
        Invalid, Unauthenticated, Forbidden, TooLarge, Failed, Unavailable,
    ),
)]
async fn create(
    State(app): State<App>,
    manager: Manager,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Error> {
    let (id, name, reason) = NewBody::read(&headers, &bytes)?;
    let author = manager.author(reason.as_deref())?;
    let (status, tenant) = match app.tenants.create(id, name, &author).await? {
        Creation::New(tenant) => (StatusCode::CREATED, tenant),
        Creation::Before(tenant) => (StatusCode::OK, tenant),
    };
    Ok((status, Json(TenantView::from(tenant))).into_response())
}

/// Lists tenants in the order of their ids, page by page.
#[utoipa::path(
    get, path = "/_/tenants", operation_id = "listTenants", tag = "tenants", security(("service" = [])),
    params(PageQuery),
    responses(
        (status = 200, description = "A page. `next` is the `after` of the next one.", body = PageView),
        Invalid, Unauthenticated, Failed, Unavailable,
    ),
)]
async fn list(
    State(app): State<App>,
    caller: ServiceCaller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<PageView>, Error> {
    let query = PageQuery::of(query)?;
    let page = app.tenants.list(Reach::from(&caller), query.after, query.limit).await?;
    Ok(Json(page.into()))
}

/// Returns one tenant.
#[utoipa::path(
    get, path = "/_/tenants/{id}", operation_id = "getTenant", tag = "tenants", security(("service" = [])),
    params(("id" = String, Path, description = "The tenant's id.", format = "uuid")),
    responses(
        (status = 200, description = "The tenant.", body = TenantView),
        NotFound, Unauthenticated, Failed, Unavailable,
    ),
)]
async fn read(
    State(app): State<App>,
    caller: ServiceCaller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<TenantView>, Error> {
    let tenant = app.tenants.get(Reach::from(&caller), tenant_id(id)?).await?;
    Ok(Json(tenant.into()))
}

/// Closes the product to a tenant, for now. The edge refuses its requests within a few seconds.
#[utoipa::path(
    post, path = "/_/tenants/{id}/suspend", operation_id = "suspendTenant", tag = "tenants",
    security(("service" = [])), request_body = ChangeBody,
    params(("id" = String, Path, description = "The tenant's id.", format = "uuid")),
    responses(
        (status = 200, description = "Suspended, now or before.", body = TenantView),
        (status = 409, description = "The tenant is being removed, or is deleted."),
        Invalid, NotFound, Unauthenticated, Forbidden, TooLarge, Failed, Unavailable,
    ),
)]
async fn suspend(
    State(app): State<App>,
    manager: Manager,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Json<TenantView>, Error> {
    app.change(manager, id, &headers, &bytes, Change::Suspend).await
}

/// Opens the product to a suspended tenant.
#[utoipa::path(
    post, path = "/_/tenants/{id}/reinstate", operation_id = "reinstateTenant", tag = "tenants",
    security(("service" = [])), request_body = ChangeBody,
    params(("id" = String, Path, description = "The tenant's id.", format = "uuid")),
    responses(
        (status = 200, description = "Active, now or before.", body = TenantView),
        (status = 409, description = "The tenant is being removed, or is deleted."),
        Invalid, NotFound, Unauthenticated, Forbidden, TooLarge, Failed, Unavailable,
    ),
)]
async fn reinstate(
    State(app): State<App>,
    manager: Manager,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Json<TenantView>, Error> {
    app.change(manager, id, &headers, &bytes, Change::Reinstate).await
}

/// Begins to remove a tenant: the edge refuses its requests, the services remove its data, then it is deleted. When a service
/// refuses, the tenant is what it was before.
#[utoipa::path(
    delete, path = "/_/tenants/{id}", operation_id = "deleteTenant", tag = "tenants", security(("service" = [])),
    request_body = ChangeBody,
    params(("id" = String, Path, description = "The tenant's id.", format = "uuid")),
    responses(
        (status = 202, description = "The removal has begun, now or before.", body = TenantView),
        Invalid, NotFound, Unauthenticated, Forbidden, TooLarge, Failed, Unavailable,
    ),
)]
async fn delete(
    State(app): State<App>,
    manager: Manager,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Error> {
    let tenant = app.change(manager, id, &headers, &bytes, Change::Offboard).await?;
    Ok((StatusCode::ACCEPTED, tenant).into_response())
}

/// Returns where the removal of a tenant stands, or how the last one ended.
#[utoipa::path(
    get, path = "/_/tenants/{id}/offboarding", operation_id = "getOffboarding", tag = "tenants",
    security(("service" = [])),
    params(("id" = String, Path, description = "The tenant's id.", format = "uuid")),
    responses(
        (status = 200, description = "Where it stands.", body = OffboardingView),
        NotFound, Unauthenticated, Failed, Unavailable,
    ),
)]
async fn offboarding(
    State(app): State<App>,
    caller: ServiceCaller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<OffboardingView>, Error> {
    let found = app.tenants.offboarding(Reach::from(&caller), tenant_id(id)?).await?;
    Ok(Json(found.into()))
}

/// Lists the changes of a tenant, the oldest first, page by page.
#[utoipa::path(
    get, path = "/_/tenants/{id}/history", operation_id = "listTenantHistory", tag = "tenants",
    security(("service" = [])),
    params(("id" = String, Path, description = "The tenant's id.", format = "uuid"), HistoryQuery),
    responses(
        (status = 200, description = "A page. The next one begins `after` the last version of this one.", body = Vec<HistoryView>),
        Invalid, NotFound, Unauthenticated, Failed, Unavailable,
    ),
)]
async fn history(
    State(app): State<App>,
    caller: ServiceCaller,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<Vec<HistoryView>>, Error> {
    let query = HistoryQuery::of(query)?;
    let entries = app.tenants.history(Reach::from(&caller), tenant_id(id)?, query.after, query.limit).await?;
    Ok(Json(entries.into_iter().map(HistoryView::from).collect()))
}
