//! What every service shows to Prometheus: nothing that a client chose is in it, and one failing source hides no other.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::routing::get;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use kit::Metrics;
use kit::caller::Words;
use kit::surface::{surround, surround_open};
use prometheus::IntGauge;
use tower::ServiceExt as _;

const WORDS: Words = Words { unauthenticated: "Unauthorized", not_found: "Not found" };

async fn answer(Path(id): Path<String>) -> (StatusCode, HeaderMap) {
    let mut headers = HeaderMap::new();
    let status = match id.as_str() {
        "broken" => StatusCode::INTERNAL_SERVER_ERROR,
        "refused" => {
            headers.insert("grpc-status", HeaderValue::from_static("7"));
            StatusCode::OK
        }
        "ok" => {
            headers.insert("grpc-status", HeaderValue::from_static("0"));
            StatusCode::OK
        }
        _ => StatusCode::NO_CONTENT,
    };
    (status, headers)
}

fn routes() -> Router {
    Router::new().route("/things/{id}", get(answer).fallback(answer))
}

async fn call(router: &Router, method: &str, path: &str) -> String {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

fn ready() -> kit::surface::Ready {
    Arc::new(|| Box::pin(async { true }))
}

#[tokio::test]
async fn requests_are_counted_by_pattern_method_and_class() {
    let router = surround_open(routes(), ready(), &Metrics::new("things").unwrap());
    for (method, path) in [
        ("GET", "/things/secret-1"),
        ("GET", "/things/secret-2?token=secret-3"),
        ("GET", "/things/broken"),
        ("GET", "/things/refused"),
        ("GET", "/things/ok"),
        ("SECRET4", "/things/secret-5"),
        ("GET", "/secret-6"),
    ] {
        call(&router, method, path).await;
    }
    let shown = call(&router, "GET", "/metrics").await;
    for line in [
        r#"service_requests_total{method="GET",route="/things/{id}",status="2xx"} 3"#,
        r#"service_requests_total{method="GET",route="/things/{id}",status="5xx"} 1"#,
        r#"service_requests_total{method="GET",route="/things/{id}",status="grpc_error"} 1"#,
        r#"service_requests_total{method="other",route="/things/{id}",status="2xx"} 1"#,
        r#"service_requests_total{method="GET",route="none",status="4xx"} 1"#,
        r#"service_request_seconds_count{method="GET",route="/things/{id}"} 5"#,
        r#"service_request_seconds_bucket{method="GET",route="/things/{id}",le="+Inf"} 5"#,
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing in {shown}");
    }
    assert!(!shown.to_lowercase().contains("secret"), "{shown}");
}

#[tokio::test]
async fn a_service_without_other_methods_answers_them_with_404_here_too() {
    let router = surround(routes(), WORDS, ready(), &Metrics::new("things").unwrap());
    assert!(call(&router, "GET", "/metrics").await.contains("service_build_info"));
    for method in ["HEAD", "OPTIONS", "POST", "DELETE"] {
        assert!(!call(&router, method, "/metrics").await.contains("service_"), "{method}");
    }
}

#[tokio::test]
async fn a_source_that_fails_hides_no_other() {
    let metrics = Metrics::new("things").unwrap();
    let (works, gauge) =
        (Arc::new(AtomicBool::new(true)), IntGauge::new("things_waiting", "Things that wait").unwrap());
    metrics.registry().register(Box::new(gauge.clone())).unwrap();
    let (source, set) = (Arc::clone(&works), gauge.clone());
    metrics.read_with("table", move || {
        let (source, set) = (Arc::clone(&source), set.clone());
        async move {
            if !source.load(Ordering::Relaxed) {
                return Err("the database is away");
            }
            set.inc();
            Ok(())
        }
    });
    let router = surround(routes(), WORDS, ready(), &metrics);
    let shown = call(&router, "GET", "/metrics").await;
    assert!(shown.contains("things_waiting 1"), "read at the scrape: {shown}");
    assert!(shown.contains(r#"service_metrics_failures_total{source="table"} 0"#), "{shown}");
    works.store(false, Ordering::Relaxed);
    let shown = call(&router, "GET", "/metrics").await;
    assert!(shown.contains("service_requests_total"), "{shown}");
    assert!(shown.contains(r#"service_metrics_failures_total{source="table"} 1"#), "{shown}");
}

#[tokio::test]
async fn a_source_that_never_answers_is_given_up() {
    let metrics = Metrics::new("things").unwrap();
    metrics.read_with("never", std::future::pending::<Result<(), String>>);
    let shown = call(&surround(routes(), WORDS, ready(), &metrics), "GET", "/metrics").await;
    assert!(shown.contains(r#"service_metrics_failures_total{source="never"} 1"#), "{shown}");
}

#[tokio::test]
async fn the_connections_of_the_pool_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let postgres = kit::testing::PrivatePostgres::start();
    for (url, limit) in [(None, 4), (Some(postgres.url()), 8)] {
        let database =
            kit::store::open(url.as_deref(), &directory.path().join("things.sqlite")).await.unwrap();
        let metrics = Metrics::new("things").unwrap();
        metrics.show_database(&database).unwrap();
        assert!(metrics.show_database(&database).is_err(), "twice");
        let router = surround(routes(), WORDS, ready(), &metrics);
        let used = sea_orm::TransactionTrait::begin(&database).await.unwrap();
        let shown = call(&router, "GET", "/metrics").await;
        assert!(shown.contains(&format!("service_database_connections_limit {limit}")), "{shown}");
        assert!(shown.contains(r#"service_database_connections{state="in_use"} 1"#), "{shown}");
        used.rollback().await.unwrap();
        // The library gives a connection back beside the caller.
        while !call(&router, "GET", "/metrics")
            .await
            .contains(r#"service_database_connections{state="in_use"} 0"#)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
