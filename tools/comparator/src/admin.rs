//! The admin interface, on an address of its own, so that a copy from Envoy can never reach it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clock::{Clock, UnixTime};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::copy::Copy;
use crate::edge_file::EdgeFile;
use crate::ledger::{self, About, Ledger, Queue};

/// The state that the admin interface reads.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The edge in force.
    pub edge_file: EdgeFile,
    /// The counts.
    pub ledger: Arc<Ledger>,
    /// The queue. Weak, because the intake alone keeps it open.
    pub queue: mpsc::WeakSender<Copy>,
    /// When the process started.
    pub started: UnixTime,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Admin {
    /// The HTTP routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/metrics", get(metrics))
            .route("/report", get(report).delete(restart))
            .with_state(self)
    }

    fn queue(&self) -> Queue {
        let waiting = self.queue.upgrade().map_or(0, |queue| queue.max_capacity() - queue.capacity());
        Queue { waiting, capacity: crate::worker::QUEUE }
    }
}

#[derive(Deserialize)]
struct Which {
    route: Option<String>,
}

async fn report(State(admin): State<Admin>, Query(which): Query<Which>) -> Response {
    let edge = admin.edge_file.current();
    let about =
        About { edge: edge.name.clone(), revision: edge.revision.to_string(), started: admin.started };
    let only = which.route.as_deref();
    axum::Json(ledger::report(&admin.ledger, &about, admin.queue(), only, admin.clock.now())).into_response()
}

/// Restarts the counts. `DELETE`, because a browser page cannot send that to another host without permission (CORS).
async fn restart(State(admin): State<Admin>, Query(which): Query<Which>) -> Response {
    let only = which.route.as_deref();
    let routes = admin.ledger.restart(only, admin.clock.now());
    if let (Some(name), true) = (only, routes.is_empty()) {
        let problem = format!("no copy of a route `{name}` was received yet: there are no counts to restart");
        return (StatusCode::NOT_FOUND, axum::Json(serde_json::json!({ "problem": problem })))
            .into_response();
    }
    tracing::info!(?routes, "the counts were restarted");
    axum::Json(serde_json::json!({ "begun_anew": routes })).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let text = ledger::metrics(&admin.ledger, admin.queue());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
