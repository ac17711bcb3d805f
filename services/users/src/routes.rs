//! Every path on one page, with its answers.
//!
//! | route | for | answers |
//! |---|---|---|
//! | `GET /users/@me` | a person | 200 their account |
//! | `PATCH /users/@me` | a person, on the later surface | 204 · 409 name or handle taken |
//! | `POST /users` | a person of role 2; any person on the older surface | 201 · 409 name, handle or address taken |
//! | `GET /_/users/{id or e-mail}`, `GET /_/users?email=` | a service | 200 the account with its tenant; a service of a tenant finds only the people of that tenant |
//! | `PUT`, `DELETE /_/users/tenants/{tenant}/removal`, `DELETE /_/users/tenants/{tenant}` | the tenants service | 204: all people of a tenant are removed, in two steps |
//!
//! The routes about activity are in [`activity`](self::activity). Services have the same in gRPC ([`grpc`]).
//!
//! The [surface](kit::generation::Surface) decides which clients are answered; services see the same on both.
//!
//! Every other path is 404. For 401, 403 and 404 see [`crate::error`] and [`kit::caller`].

mod activity;
pub(crate) mod body;
mod grpc;
mod parameters;
mod removal;
mod view;

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRef, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::HeaderMap;
use identity::Role;
use kit::SubjectId;
use kit::body::Body;
use kit::openapi::{Documents, Failed, Forbidden, Invalid, NotFound, TooLarge, Unauthenticated, Unavailable};
use kit::{Gate, Metrics, Person, Reach, ServiceCaller, SessionExpiry, answer};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::account::{Accounts, Key};
use crate::activity::Activity;
use crate::catalogue::Catalogue;
use crate::error::Error;
use body::{ChangeBody, NewBody, OlderNewBody};
use kit::generation::Surface;
use view::{Looked, OlderOwn, Own};

/// The state that handlers share.
#[derive(Clone, Debug)]
pub struct App {
    /// The accounts.
    pub accounts: Accounts,
    /// What people like, read and are told.
    pub activity: Activity,
    /// The books, at the library.
    pub catalogue: Catalogue,
    /// Proves who calls.
    pub gate: Gate,
    /// What this process counts.
    pub metrics: Metrics,
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

/// The routes for clients of the later surface.
fn later() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(me, change)).routes(routes!(create))
}

/// The routes for clients of the older surface.
fn older() -> Router<App> {
    Router::new().route("/users/@me", get(me_as_before)).route("/users", post(create_as_before))
}

/// The routes for services, the same on both surfaces.
fn for_services() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(look_up_by_email))
        .routes(routes!(look_up))
        .merge(removal::for_services())
}

/// Returns the OpenAPI documents of the routes.
#[must_use]
pub fn documents() -> Documents {
    let public = later().merge(activity::later()).into_openapi();
    let internal = for_services().merge(activity::for_services()).into_openapi();
    Documents::of("users", "Accounts and activity: people read and change their own.", public, internal)
}

/// Returns the paths of the routes for services, as the router has them.
#[must_use]
pub fn service_paths() -> Vec<String> {
    documents().internal.paths.paths.keys().cloned().collect()
}

/// Builds the routes with their layers, ready to be served: those of accounts for clients of one surface, and those of
/// activity for clients of one.
pub fn router(app: App, surface: Surface, activity_surface: Surface) -> Router {
    let words = app.gate.words();
    let (probed, metrics) = (app.accounts.clone(), app.metrics.clone());
    let accounts = match surface {
        Surface::Older => older(),
        Surface::Later => later().into(),
    };
    let activity = match activity_surface {
        Surface::Older => activity::older(),
        Surface::Later => activity::later().into(),
    };
    let internal = Router::from(for_services().merge(activity::for_services()));
    let calls = grpc::routes(app.clone());
    let routes = accounts.merge(activity).merge(internal).with_state(app).merge(calls);
    let ready = move || -> std::pin::Pin<Box<dyn Future<Output = bool> + Send>> {
        let accounts = probed.clone();
        Box::pin(async move { accounts.reachable().await })
    };
    kit::surface::surround(routes, words, Arc::new(ready), &metrics)
}

/// Returns the caller's own account.
#[utoipa::path(
    get, path = "/users/@me", operation_id = "getOwnAccount", tag = "users", security(("session" = [])),
    responses(
        (status = 200, description = "The account.", body = Own, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        Unauthenticated, NotFound, Failed, Unavailable,
    ),
)]
async fn me(State(app): State<App>, Person(person): Person, expiry: SessionExpiry) -> impl IntoResponse {
    let answer = app.accounts.own(&person).await.map(|account| Json(Own::from(account)));
    (expiry, answer)
}

/// As the legacy backend: without the expiry header.
async fn me_as_before(State(app): State<App>, Person(person): Person) -> Result<Json<OlderOwn>, Error> {
    app.accounts.own(&person).await.map(|account| Json(OlderOwn::from(account)))
}

/// Changes the caller's own name and handle.
#[utoipa::path(
    patch, path = "/users/@me", operation_id = "changeOwnAccount", tag = "users", security(("session" = [])),
    request_body = ChangeBody,
    responses(
        (status = 204, description = "Changed."),
        (status = 409, description = "The name or the handle belongs to another account: `Already exist user`."),
        Invalid, Unauthenticated, NotFound, TooLarge, Failed, Unavailable,
    ),
)]
async fn change(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    headers: HeaderMap,
    Body(bytes): Body,
) -> impl IntoResponse {
    let change = async {
        let change = ChangeBody::read(&headers, &bytes)?.check()?;
        app.accounts.change(&person, change).await
    };
    (expiry, change.await.map(|()| answer::no_content()))
}

/// Creates an account in the caller's tenant. Only bots may.
#[utoipa::path(
    post, path = "/users", operation_id = "createAccount", tag = "users", security(("session" = [])),
    request_body = NewBody,
    responses(
        (status = 201, description = "Created."),
        (status = 409, description = "The name, the handle or the address belongs to another account: `Already exist user`."),
        Invalid, Unauthenticated, Forbidden, TooLarge, Failed, Unavailable,
    ),
)]
async fn create(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    headers: HeaderMap,
    Body(bytes): Body,
) -> impl IntoResponse {
    let create = async {
        // The edge checks the role too, but a wrongly configured route must not open this.
        if person.role < Some(Role::BOT) {
            return Err(Error::Forbidden);
        }
        let (profile, role) = NewBody::read(&headers, &bytes)?.check()?;
        app.accounts.create(person.tenant, profile, role).await
    };
    (expiry, create.await.map(|()| answer::created()))
}

/// As the legacy backend: any signed-in person creates accounts, without a handle. The new person belongs to the
/// creator's tenant.
async fn create_as_before(
    State(app): State<App>,
    Person(person): Person,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Error> {
    // The legacy backend refuses a person who no longer exists before it reads anything.
    app.accounts.own(&person).await?;
    let (name, email, role) = OlderNewBody::read(&headers, &bytes)?.check()?;
    app.accounts.create_without_handle(person.tenant, name, email, role).await?;
    Ok(answer::created())
}

/// Looks an account up by `?email=`: an address may contain `/`, `;` or `%`, which the edge refuses in a path because
/// they could mean another one.
#[utoipa::path(
    get, path = "/_/users", operation_id = "lookUpAccountByEmail", tag = "users", security(("service" = [])),
    params(("email" = String, Query, description = "The e-mail address.", example = "demo@example.com")),
    responses(
        (status = 200, description = "The account with its tenant.", body = Looked),
        (status = 404, description = "No such account, or one of another tenant than the service's."),
        Unauthenticated, Failed, Unavailable,
    ),
)]
async fn look_up_by_email(
    State(app): State<App>,
    caller: ServiceCaller,
    query: Result<Query<ByEmail>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(ByEmail { email }) = query.map_err(|_| Error::NotFound)?;
    let key = by_email(email)?;
    let account = app.accounts.look_up(Reach::from(&caller), &key).await?;
    Ok(Json(Looked::from(account)).into_response())
}

/// Builds the key of an address. One with a NUL or a control character belongs to no account and must not
/// reach a database. The rule for new addresses does not apply: people from the legacy backend have older
/// ones.
fn by_email(email: String) -> Result<Key, Error> {
    if email.chars().any(char::is_control) { Err(Error::NotFound) } else { Ok(Key::Email(email)) }
}

/// The query of [`look_up_by_email`].
#[derive(Deserialize)]
struct ByEmail {
    email: String,
}

/// Looks an account up by its id or e-mail address.
#[utoipa::path(
    get, path = "/_/users/{key}", operation_id = "lookUpAccount", tag = "users", security(("service" = [])),
    params(("key" = String, Path, description = "The id or the e-mail address.", example = "demo@example.com")),
    responses(
        (status = 200, description = "The account with its tenant.", body = Looked),
        (status = 404, description = "No such account, or one of another tenant than the service's."),
        Unauthenticated, Failed, Unavailable,
    ),
)]
async fn look_up(
    State(app): State<App>,
    caller: ServiceCaller,
    key: Result<Path<String>, PathRejection>,
) -> Result<Response, Error> {
    // A path that cannot be decoded names no account.
    let Path(key) = key.map_err(|_| Error::NotFound)?;
    let key = match key.parse::<SubjectId>() {
        Ok(id) => Key::Id(id),
        Err(_) => by_email(key)?,
    };
    let account = app.accounts.look_up(Reach::from(&caller), &key).await?;
    Ok(Json(Looked::from(account)).into_response())
}
