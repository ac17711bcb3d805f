//! What a process of a service counts, as Prometheus reads it at `GET /metrics`.
//!
//! | metric | labels | value |
//! |---|---|---|
//! | `service_build_info` | `service`, `version` | 1 |
//! | `service_requests_total` | `route`, `method`, `status` | answered requests |
//! | `service_request_seconds` | `route`, `method` | how long they took: a histogram |
//! | `service_database_connections` | `state`: `idle`, `in_use` | open connections of the database pool |
//! | `service_database_connections_limit` | | the most connections of that pool |
//! | `service_metrics_failures_total` | `source` | readings that failed: their metrics are absent or old |
//!
//! A service adds its own to the [`registry`](Metrics::registry), and [`read_with`](Metrics::read_with) reads those that
//! come from elsewhere, such as a table, at each scrape.
//!
//! No label contains what a client chose, so a client cannot create series: a route is the pattern of the router (`none` without
//! one), an unusual method is `other`, and a status is its class. The status of an answer in gRPC is always 200; one that refuses
//! in its head is `grpc_error`.
//!
//! The path needs no identity: it is for a scraper on the private network. Every edge file closes it for clients
//! (`internal_paths`).

mod database;

use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TEXT_FORMAT, TextEncoder,
};
use sea_orm::DatabaseConnection;

use crate::answer;

/// The upper bounds of the histogram in seconds: from an answer out of memory to the limit of a request (10 s).
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// How long one source may take at a scrape: less than Prometheus waits (10 s), so that a stuck database hides its own
/// metrics alone.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(3);

/// Reads metrics that are not counted in memory.
type Source = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// The metrics of one process. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    failures: IntCounterVec,
    sources: Arc<Mutex<Vec<(&'static str, Source)>>>,
    /// One scrape at a time: sources set gauges, which another scrape must not read half-way.
    scraping: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Begins to count for the service `name`.
    ///
    /// # Errors
    /// The library refuses a name.
    pub fn new(name: &str) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let about = Opts::new("service_build_info", "The service and its version; always 1");
        let about = IntGaugeVec::new(about, &["service", "version"])?;
        about.with_label_values(&[name, env!("CARGO_PKG_VERSION")]).set(1);
        let requests = Opts::new("service_requests_total", "Answered requests by class of status");
        let requests = IntCounterVec::new(requests, &["route", "method", "status"])?;
        let seconds =
            HistogramOpts::new("service_request_seconds", "How long requests took until their answer began");
        let seconds = HistogramVec::new(seconds.buckets(BUCKETS.to_vec()), &["route", "method"])?;
        let failures =
            Opts::new("service_metrics_failures_total", "Readings of metrics that failed, by source");
        let failures = IntCounterVec::new(failures, &["source"])?;
        registry.register(Box::new(about))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        Ok(Self { registry, requests, seconds, failures, sources: Arc::default(), scraping: Arc::default() })
    }

    /// Returns the registry, to which a service adds its own metrics.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Shows the connections of `database`.
    ///
    /// # Errors
    /// A database is shown already.
    pub fn show_database(&self, database: &DatabaseConnection) -> Result<(), prometheus::Error> {
        database::show(database, &self.registry)
    }

    /// Calls `read` at each scrape, before the registry is read. When it fails, the others are shown all the same, and
    /// the failure of `source` is counted and logged.
    pub fn read_with<F, E>(&self, source: &'static str, read: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send,
    {
        self.failures.with_label_values(&[source]).reset();
        let read: Source = Arc::new(move || {
            let reading = read();
            Box::pin(async move { reading.await.map_err(|error| error.to_string()) })
        });
        self.sources.lock().push((source, read));
    }

    /// Counts a request that was answered after `took`.
    pub(crate) fn count(&self, route: &str, method: &Method, response: &Response, took: Duration) {
        let method = shown(method);
        self.requests.with_label_values(&[route, method, class(response)]).inc();
        self.seconds.with_label_values(&[route, method]).observe(took.as_secs_f64());
    }

    /// Answers a scrape.
    pub(crate) async fn answer(&self) -> Response {
        let _only = self.scraping.lock().await;
        let sources = self.sources.lock().clone();
        for (source, read) in sources {
            let result = tokio::time::timeout(SOURCE_TIMEOUT, read()).await;
            let error = match result {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(_) => format!("no result in {SOURCE_TIMEOUT:?}"),
            };
            tracing::warn!(source, error, "metrics cannot be read");
            self.failures.with_label_values(&[source]).inc();
        }
        match TextEncoder::new().encode_to_string(&self.registry.gather()) {
            Ok(text) => {
                let mut response = answer::text(StatusCode::OK, text);
                // Prometheus 3 takes no answer without it.
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
                response
            }
            Err(error) => answer::internal(&error),
        }
    }
}

/// Returns the label of a method. Any text can be a method, so only the usual ones have a label of their own.
fn shown(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Returns the label of a status.
fn class(response: &Response) -> &'static str {
    let is_error = response.headers().get("grpc-status").is_some_and(|status| status != "0");
    match response.status().as_u16() {
        _ if is_error => "grpc_error",
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
