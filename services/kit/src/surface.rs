//! The layers around a service's routes.
//!
//! These layers add the limits on size and time, the log line and the counts ([`crate::metrics`]) of each request, and
//! read what a handler leaves of a body.
//!
//! The legacy backend's auth and users answer 404 to a wrong method, to HEAD and to OPTIONS, and match paths byte
//! for byte. The router would answer HEAD like GET, and add `Allow`. [`surround`] undoes both. Its library answers
//! every method ([`surround_open`]).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use http::header::ALLOW;
use http::{Method, StatusCode};
use tracing::Instrument as _;

use crate::answer;
use crate::caller::Words;
use crate::grpc;
use crate::metrics::Metrics;
use crate::ready;
use crate::telemetry;
use crate::unread;

pub use crate::ready::Ready;

/// The longest request body in bytes. The largest honest one (a new user with an e-mail address and two names
/// of twenty characters) is under 1 KiB. 64 KiB leaves room and keeps a thousand connections under 64 MiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long one request may take. The slowest honest one (a login that waits for a lookup and the database)
/// takes far less; a longer one is stuck.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The routes of probes and scrapes, which come every few seconds: their log lines are for debugging alone.
const PROBES: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/grpc.health.v1.Health/{call}"];

/// The route that answered, for the log and the metrics.
#[derive(Clone)]
struct Route(MatchedPath);

/// Adds the layers to `routes`, which are then ready to be served. HEAD, OPTIONS and methods that a path does
/// not have are answered with 404.
pub fn surround(routes: Router, words: Words, ready: Ready, metrics: &Metrics) -> Router {
    let not_found = move || async move { answer::text(StatusCode::NOT_FOUND, words.not_found) };
    let routes = routes.fallback(not_found).method_not_allowed_fallback(not_found);
    let narrowed = middleware::from_fn(move |request: Request, next: Next| async move {
        let mut response = if served(request.method()) { next.run(request).await } else { not_found().await };
        response.headers_mut().remove(ALLOW);
        response
    });
    bound(routes, ready, metrics, REQUEST_TIMEOUT, |inner| inner.layer(narrowed))
}

/// Like [`surround`], for `routes` that answer every method and every unknown path themselves.
pub fn surround_open(routes: Router, ready: Ready, metrics: &Metrics) -> Router {
    surround_open_within(routes, ready, metrics, REQUEST_TIMEOUT)
}

/// Like [`surround_open`], for `routes` that read long bodies: a request may take `timeout`.
pub fn surround_open_within(routes: Router, ready: Ready, metrics: &Metrics, timeout: Duration) -> Router {
    bound(routes, ready, metrics, timeout, |inner| inner)
}

/// Adds the probes, `/metrics`, the limits, the log line and the counts. `narrow` is inside the last two.
fn bound(
    routes: Router,
    ready: Ready,
    metrics: &Metrics,
    timeout: Duration,
    narrow: impl FnOnce(Router) -> Router,
) -> Router {
    let (shown, counted) = (metrics.clone(), metrics.clone());
    let inner = routes
        .route("/healthz", get(|| async { answer::text(StatusCode::OK, "ok") }))
        .merge(grpc::health(Arc::clone(&ready)))
        .route("/readyz", get(move || probe(Arc::clone(&ready))))
        .route("/metrics", get(move || async move { shown.answer().await }))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(name_route));
    narrow(Router::new().fallback_service(inner)).layer(middleware::from_fn(
        move |request: Request, next: Next| around(counted.clone(), timeout, request, next),
    ))
}

async fn probe(ready: Ready) -> Response {
    if ready::answers(&ready).await {
        answer::text(StatusCode::OK, "ready")
    } else {
        answer::text(StatusCode::SERVICE_UNAVAILABLE, "not ready")
    }
}

/// Records the route's pattern instead of the path: a path can contain an e-mail address, which must not
/// reach a log or a label.
async fn name_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned().map(Route);
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

async fn around(metrics: Metrics, timeout: Duration, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let span = tracing::info_span!("request", request_id = %telemetry::request_id(request.headers()));
    async move {
        let started = tokio::time::Instant::now();
        let response = unread::run(request, async |request| {
            tokio::time::timeout(timeout, next.run(request)).await.unwrap_or_else(|_| {
                tracing::error!("request took longer than {timeout:?}");
                answer::text(StatusCode::SERVICE_UNAVAILABLE, answer::UNAVAILABLE_TEXT)
            })
        })
        .await;
        let route = response.extensions().get::<Route>().map_or("none", |Route(path)| path.as_str());
        let took = started.elapsed();
        metrics.count(route, &method, &response, took);
        let status = response.status().as_u16();
        // The status of a gRPC answer is always 200; a refusal has its own in the head.
        let grpc_status = response.headers().get("grpc-status").and_then(|code| code.to_str().ok());
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if PROBES.contains(&route) {
            tracing::debug!(%method, route, status, micros, "answered");
        } else {
            tracing::info!(%method, route, status, grpc_status, micros, "answered");
        }
        response
    }
    .instrument(span)
    .await
}

fn served(method: &Method) -> bool {
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method)
}
