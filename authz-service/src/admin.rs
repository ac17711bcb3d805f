//! Reports the authorizer's state over HTTP on an address of its own (loopback by default).
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 while the process lives |
//! | `/readyz` | 200 or 503, with the missing parts |
//! | `/metrics` | Prometheus text |
//! | `/stats` | the same for people and scripts, as JSON |
//! | `/decisions/{request id}` | the last decisions for one request id, and the stages where they stopped |
//! | `/decisions?limit=50&decision=deny&reason=…&route=…&subject=…&tenant=…&id=…` | the last decisions, newest first |
//!
//! It answers only to its own host names, see [`admin_host`].

mod decisions;
pub mod health;
pub mod stats;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clock::{Clock, UnixTime};

use crate::admin::health::Readiness;
use crate::authorizer::Authorizer;
use crate::observe::Observers;
use crate::reload::FileState;
use crate::source::channel::Channel;

/// The sources of the admin interface.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The authorizer.
    pub authorizer: Arc<Authorizer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// When the process started.
    pub started: UnixTime,
    /// The state of the edge file.
    pub edge_file: Arc<FileState>,
    /// The metrics, and the memory of recent decisions.
    pub observers: Arc<Observers>,
    /// Set once the process is shutting down.
    pub draining: Arc<AtomicBool>,
    /// The subscription to changes; absent without one.
    pub push: Option<Arc<Channel>>,
}

impl Admin {
    /// Whether the replica is ready now.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness::of(self)
    }

    /// The router of all paths.
    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics_text))
            .route("/stats", get(stats_json))
            .route("/decisions", get(decisions::list))
            .route("/decisions/{id}", get(decisions::one))
            .with_state(self)
    }
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let readiness = admin.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(readiness)).into_response()
}

async fn metrics_text(State(admin): State<Admin>) -> Response {
    let metrics = &admin.observers.metrics;
    metrics.observe(&admin.authorizer, admin.readiness().ready);
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn stats_json(State(admin): State<Admin>) -> Response {
    axum::Json(stats::Stats::of(&admin)).into_response()
}
