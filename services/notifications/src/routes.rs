//! Every path on one page, with its answers. All of them are for services; no client reaches one.
//!
//! | route | answers |
//! |---|---|
//! | `POST /_/notifications/messages` | 202 queued · 200 it was queued before, under the same key · 409 the key has another message |
//! | `GET /_/notifications/dead?after=&most=` | 200 what was given up, the oldest first |
//! | `POST /_/notifications/dead/{id}/retry` | 204 it is tried again · 404 the dead letter does not exist |
//! | `DELETE /_/notifications/dead/{id}` | 204 it is removed · 404 the dead letter does not exist |
//! | `PUT`, `DELETE /_/notifications/tenants/{tenant}/removal`, `DELETE /_/notifications/tenants/{tenant}` | 204 the tenants service removes all messages of a tenant, in two steps |
//! | `GET /_/notifications/jobs` | 200 the schedule and what came of it |

mod removal;
mod view;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRef, Path, Query, State};
use axum::response::Response;
use axum::{Json, Router};
use clock::Clock;
use events::outbox::{Put, dead, remove, revive};
use http::StatusCode;
use kit::body::Body;
use kit::openapi::{Documents, Failed, Invalid, NotFound, TooLarge, Unauthenticated, Unavailable};
use kit::{Gate, Metrics, PlatformService, answer};
use sea_orm::{DatabaseConnection, TransactionTrait as _};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::error::Error;
use crate::queue::Queue;
use crate::{jobs, sending};
use view::{DeadLetter, Job, Queued};

/// The state that handlers share.
#[derive(Clone)]
pub struct App {
    database: DatabaseConnection,
    queue: Queue,
    gate: Gate,
    clock: Arc<dyn Clock>,
}

impl App {
    /// The state of the routes.
    #[must_use]
    pub const fn new(database: DatabaseConnection, queue: Queue, gate: Gate, clock: Arc<dyn Clock>) -> Self {
        Self { database, queue, gate, clock }
    }
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

fn for_services() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(put))
        .routes(routes!(dead_letters))
        .routes(routes!(retry))
        .routes(routes!(discard))
        .routes(routes!(schedule))
        .merge(removal::for_services())
}

/// Returns the OpenAPI documents of the routes. None is for clients.
#[must_use]
pub fn documents() -> Documents {
    let public = OpenApiRouter::<App>::default().into_openapi();
    let purpose = "Tells people: push messages and letters, each once.";
    Documents::of("notifications", purpose, public, for_services().into_openapi())
}

/// Builds the routes with their layers, ready to be served.
pub fn router(app: App, metrics: &Metrics) -> Router {
    let words = app.gate.words();
    let database = app.database.clone();
    let routes = Router::from(for_services()).with_state(app);
    // Without a broker this service still takes messages and sends them, so only the database counts.
    let ready = move || -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let database = database.clone();
        Box::pin(async move { database.ping().await.is_ok() })
    };
    kit::surface::surround(routes, words, Arc::new(ready), metrics)
}

/// Queues a message. The same key again changes nothing, so a request may be repeated. Each service has its own keys for each
/// tenant.
#[utoipa::path(
    post, path = "/_/notifications/messages", operation_id = "queueMessage", tag = "notifications",
    security(("service" = [])), request_body = Queued,
    responses(
        (status = 202, description = "Queued."),
        (status = 200, description = "It was queued before, under the same key."),
        (status = 409, description = "The key has another message already."),
        Invalid, Unauthenticated, TooLarge, Failed, Unavailable,
    ),
)]
async fn put(caller: PlatformService, State(app): State<App>, Body(bytes): Body) -> Result<Response, Error> {
    // The library's error can repeat the value.
    let place = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        Error::Invalid(format!("the body is not such a message (line {line}, column {column})"))
    };
    let Queued { idempotency_key, message } = serde_json::from_slice(&bytes).map_err(place)?;
    let status = match app.queue.put(&caller.name, &idempotency_key, &message).await? {
        Put::Written => StatusCode::ACCEPTED,
        Put::AlreadyThere => StatusCode::OK,
    };
    Ok(answer::text(status, ""))
}

/// The query of [`dead_letters`].
#[derive(Deserialize)]
struct Page {
    after: Option<Uuid>,
    most: Option<u16>,
}

/// Returns what was given up, the oldest first, without its content.
#[utoipa::path(
    get, path = "/_/notifications/dead", operation_id = "getDeadLetters", tag = "notifications",
    security(("service" = [])),
    params(
        ("after" = Option<String>, Query, description = "The id of the last one of the page before."),
        ("most" = Option<u16>, Query, description = "At most 100, which is also the default."),
    ),
    responses((status = 200, description = "The dead letters.", body = [DeadLetter]), Invalid, Unauthenticated, Failed, Unavailable),
)]
async fn dead_letters(
    _: PlatformService,
    State(app): State<App>,
    query: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Vec<DeadLetter>>, Error> {
    let Query(Page { after, most }) = query
        .map_err(|_| Error::Invalid("`after` is the id of a dead letter, and `most` a number".to_owned()))?;
    let letters = dead(&app.database, after, most.unwrap_or(u16::MAX)).await.map_err(Error::Store)?;
    Ok(Json(letters.into_iter().map(DeadLetter::from).collect()))
}

/// Tries a dead letter again, as if it were new. A letter that may have been sent is then sent (again).
#[utoipa::path(
    post, path = "/_/notifications/dead/{id}/retry", operation_id = "retryDeadLetter", tag = "notifications",
    security(("service" = [])), params(("id" = String, Path, description = "The id of the dead letter.")),
    responses((status = 204, description = "It is tried again."), Unauthenticated, NotFound, Failed, Unavailable),
)]
async fn retry(
    _: PlatformService,
    State(app): State<App>,
    path: Result<Path<Uuid>, PathRejection>,
) -> Result<Response, Error> {
    let Path(id) = path.map_err(|_| Error::NotFound)?;
    let change = app.database.begin().await.map_err(Error::Store)?;
    if !revive(&change, id, app.clock.now()).await.map_err(Error::Store)? {
        return Err(Error::NotFound);
    }
    sending::send_again(&change, id).await.map_err(Error::Store)?;
    change.commit().await.map_err(Error::Store)?;
    app.queue.outbox().committed();
    Ok(answer::no_content())
}

/// Removes a dead letter for good. Its key can then be used for another message.
#[utoipa::path(
    delete, path = "/_/notifications/dead/{id}", operation_id = "removeDeadLetter", tag = "notifications",
    security(("service" = [])), params(("id" = String, Path, description = "The id of the dead letter.")),
    responses((status = 204, description = "It is removed."), Unauthenticated, NotFound, Failed, Unavailable),
)]
async fn discard(
    caller: PlatformService,
    State(app): State<App>,
    path: Result<Path<Uuid>, PathRejection>,
) -> Result<Response, Error> {
    let Path(id) = path.map_err(|_| Error::NotFound)?;
    let change = app.database.begin().await.map_err(Error::Store)?;
    if !remove(&change, id).await.map_err(Error::Store)? {
        return Err(Error::NotFound);
    }
    sending::forget_mark(&change, id).await.map_err(Error::Store)?;
    change.commit().await.map_err(Error::Store)?;
    tracing::info!(%id, service = %caller.name, "a dead letter was removed");
    Ok(answer::no_content())
}

/// Returns the schedule, and what came of each job.
#[utoipa::path(
    get, path = "/_/notifications/jobs", operation_id = "getJobs", tag = "notifications", security(("service" = [])),
    responses((status = 200, description = "The jobs.", body = [Job]), Unauthenticated, Failed, Unavailable),
)]
async fn schedule(_: PlatformService, State(app): State<App>) -> Result<Json<Vec<Job>>, Error> {
    let jobs = jobs::status(&app.database).await.map_err(Error::Store)?;
    let now = app.clock.now();
    Ok(Json(jobs.into_iter().map(|status| Job::at(now, status)).collect()))
}
