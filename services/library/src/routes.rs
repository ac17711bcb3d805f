//! Every path of both surfaces on one page, with its answers.
//!
//! Older surface, as the legacy backend: a trailing slash, another case and percent-encoding mean the same path
//! ([`path`]); each path answers HEAD, OPTIONS and 405 with `Allow`.
//!
//! | route | answers |
//! |---|---|
//! | `GET /books` | 200 books: by `ids`, else by `tags`, else a list |
//! | `POST /books` | 201 `{"id": n}` · 409 |
//! | `GET /books/search` | 200 books |
//! | `GET /books/search/completion` | 200 titles, or tags with the completed query |
//! | `GET /books/{id}` | 200 the book |
//! | `GET /books/{id}/images`, `GET /books/{id}/images/{file}` | 302 to the file host |
//!
//! Later surface, where paths are exact:
//!
//! | route | for | answers |
//! |---|---|---|
//! | `GET /books` | a person | 200 books: by `ids`, else by `tags`, else a list |
//! | `POST /books`, `PATCH /books` | a bot | 201 · 409, 200 |
//! | `GET /books/search`, `GET /books/tags/search` | a person | 200 books, 200 tags |
//! | `GET /books/tags/{kind}-{name}` | a person | 200 the tag; if it is missing, with spaces for dashes |
//! | `GET /books/currently-renewing`, `GET /books/{id}/currently-renewing` | a person | 200, and 204 or 404: a renewal is under way until the users service has heard of it |
//! | `GET /books/need-check`, `GET /books/ids` | a developer | 200 books that were never checked, 200 ids |
//! | `GET /books/{id}` | a person | 200 the book |
//! | `PATCH /books/{id}/release`, `PATCH /books/{id}/check`, `POST /books/{old}/renew/{new}` | a bot | 204 |
//!
//! For services, on both surfaces:
//!
//! | route | answers |
//! |---|---|
//! | `GET /_/books` | 200 books by `ids[]`, with the fields of both surfaces |
//! | `PATCH /_/books/{old}/{new}` | 204 the book `new` replaces the book `old` |
//! | `PUT /_/books` | 200 the ids that were added and those that were changed |
//! | `POST /_/books/by-tags` | 200 books of each tag |
//! | `POST /_/command` | 200 whether a book or a tag exists |
//!
//! Services have the same in gRPC ([`grpc`]), except for `PUT /_/books`.
//!
//! On both surfaces `GET /open-graph/books/{id}` and `GET /open-graph/books/tags/{kind}/{name}` are pages for previews of
//! links ([`preview`]). Every other path needs a person: 401 comes before 404. For errors see [`crate::error`].

pub(crate) mod body;
mod grpc;
mod internal;
mod later;
mod older;
mod parameters;
mod path;
mod preview;
mod query;
mod refusals;
mod view;

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, FromRequestParts as _, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use http::header::ALLOW;
use http::{HeaderMap, HeaderName, HeaderValue};
use kit::caller::Refused;
use kit::generation::Surface;
use kit::openapi::Documents;
use kit::{Gate, Metrics, Person, PlatformService, SessionExpiry};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::books::Books;
use crate::error::Error;
use crate::people::People;
use crate::settings::ABOUT;

/// The state that handlers share.
#[derive(Clone)]
struct App {
    books: Books,
    people: People,
    gate: Gate,
    /// The address of the file host, without a slash at its end.
    files: Arc<str>,
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

/// The handlers of a route, by method.
type Methods = fn() -> MethodRouter<App>;

/// Every route of the older surface: path, `Allow`, handlers.
const OLDER: [(&str, &str, Methods); 6] = [
    ("/books", "POST, HEAD, GET", || {
        get(older::list).post(older::create).layer(DefaultBodyLimit::max(body::MAX_BOOK_BYTES))
    }),
    ("/books/search", "HEAD, GET", || get(older::search)),
    ("/books/search/completion", "HEAD, GET", || get(older::complete)),
    ("/books/{id}", "HEAD, GET", || get(older::one)),
    ("/books/{id}/images", "HEAD, GET", || get(older::images)),
    ("/books/{id}/images/{file}", "HEAD, GET", || get(older::image)),
];

/// Every route of the later surface.
fn later() -> OpenApiRouter<App> {
    let books = OpenApiRouter::default()
        .routes(routes!(later::list, later::create, later::change))
        .layer(DefaultBodyLimit::max(body::MAX_BOOK_BYTES));
    books
        .routes(routes!(later::search))
        .routes(routes!(later::search_tags))
        .routes(routes!(later::tag))
        .routes(routes!(later::renewing))
        .routes(routes!(later::need_check))
        .routes(routes!(later::ids))
        .routes(routes!(later::one))
        .routes(routes!(later::is_renewing))
        .routes(routes!(later::release))
        .routes(routes!(later::check))
        .routes(routes!(later::renew))
}

/// The routes that need no person, on both surfaces.
fn previews() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(preview::book)).routes(routes!(preview::tag))
}

/// The routes for services, the same on both surfaces.
fn for_services() -> OpenApiRouter<App> {
    // A batch is longer than what the other routes read.
    let batches = OpenApiRouter::default()
        .routes(routes!(internal::put))
        .layer(DefaultBodyLimit::max(internal::MAX_BATCH_BYTES));
    OpenApiRouter::default()
        .routes(routes!(internal::by_ids))
        .routes(routes!(internal::by_tags))
        .routes(routes!(internal::command))
        .routes(routes!(internal::renew))
        .merge(batches)
}

/// Returns the OpenAPI documents of the routes.
#[must_use]
pub fn documents() -> Documents {
    let public = later().merge(previews()).into_openapi();
    Documents::of(ABOUT.name, ABOUT.purpose, public, for_services().into_openapi())
}

/// What the legacy library writes first in every answer.
const POWERED_BY: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-powered-by"), HeaderValue::from_static("Koa"));

/// Builds the routes with their layers, ready to be served.
pub fn router(
    books: Books,
    people: People,
    gate: Gate,
    surface: Surface,
    files: Arc<str>,
    metrics: &Metrics,
) -> Router {
    let probed = books.clone();
    let app = App { books, people, gate: gate.clone(), files };
    let of_services = middleware::from_fn_with_state(gate.clone(), of_the_platform);
    let mut routes = Router::new().fallback(|| async { Error::NoSuchPath });
    match surface {
        Surface::Older => {
            for (path, allow, methods) in OLDER {
                routes = routes.route(path, as_before(methods(), allow));
            }
            routes = routes
                .layer(middleware::from_fn_with_state(gate, signed_in))
                .layer(middleware::map_response(powered));
        }
        Surface::Later => {
            routes = routes
                .merge(Router::from(later()))
                .layer(middleware::from_fn_with_state(gate, signed_in_with_expiry));
        }
    }
    let previews = Router::from(previews());
    let previews = ["/open-graph", "/open-graph/{*rest}"]
        .iter()
        .fold(previews, |previews, path| previews.route(path, get(preview::other)));
    // Added after the layers, because neither a robot nor a service is a person.
    let routes = routes.merge(previews).merge(Router::from(for_services()).layer(of_services));
    let calls = grpc::routes(app.clone());
    let ready = move || -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let books = probed.clone();
        Box::pin(async move { books.reachable().await })
    };
    let served = kit::surface::surround_open(routes.with_state(app).merge(calls), Arc::new(ready), metrics);
    match surface {
        // Around everything, because the router compares paths before its own layers run.
        Surface::Older => {
            Router::new().fallback_service(served).layer(middleware::map_request(path::canonical))
        }
        Surface::Later => served,
    }
}

/// Answers OPTIONS and every other method as the legacy library does.
fn as_before(methods: MethodRouter<App>, allow: &'static str) -> MethodRouter<App> {
    let allow = HeaderValue::from_static(allow);
    let options = allow.clone();
    methods.options(move || async move { [(ALLOW, options)] }).fallback(move || async move {
        let mut answer = Error::NoSuchMethod.into_response();
        answer.headers_mut().insert(ALLOW, allow);
        answer
    })
}

/// Lets only people pass, on every path.
async fn signed_in(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match Person::from_request_parts(&mut parts, &gate).await {
        Ok(_) => next.run(Request::from_parts(parts, body)).await,
        Err(_) => Error::Unauthenticated.into_response(),
    }
}

/// Lets only services of the platform pass. For every other caller the path does not exist, in the words of a path that does not.
async fn of_the_platform(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match PlatformService::from_request_parts(&mut parts, &gate).await {
        Ok(_) => next.run(Request::from_parts(parts, body)).await,
        Err(Refused::Unauthenticated(_)) => Error::Unauthenticated.into_response(),
        Err(Refused::NotThere(_)) => Error::NoSuchPath.into_response(),
    }
}

/// Lets only people pass, and reports the expiry of their access token.
async fn signed_in_with_expiry(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let expiry = match Person::from_request_parts(&mut parts, &gate).await {
        Ok(_) => SessionExpiry::from_request_parts(&mut parts, &gate).await,
        Err(refused) => Err(refused),
    };
    match expiry {
        Ok(expiry) => (expiry, next.run(Request::from_parts(parts, body)).await).into_response(),
        Err(_) => Error::Unauthenticated.into_response(),
    }
}

/// Puts the header of the legacy library before all others.
async fn powered(mut answer: Response) -> Response {
    let others = std::mem::take(answer.headers_mut());
    let mut headers = HeaderMap::with_capacity(others.len() + 1);
    headers.insert(POWERED_BY.0, POWERED_BY.1);
    headers.extend(others);
    *answer.headers_mut() = headers;
    answer
}
