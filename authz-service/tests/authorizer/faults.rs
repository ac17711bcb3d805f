//! Checks that no rendered configuration sends, defects, and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clock::{Clock, ManualClock, UnixTime};
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::kit::{Authz, Home, NOW, eventually};

#[tokio::test]
async fn an_undecidable_request_is_refused() {
    let authz = Authz::start().await;
    let good = || authz.check("me").session(&authz.token());
    authz.ask(good()).await.expect(200, "allowed");
    for name in ["route", "policy", "revision", "exposure"] {
        authz.ask(good().without_extension(name)).await.expect(503, "malformed_check");
        authz.ask(good().extension(name, "")).await.expect(503, "malformed_check");
    }
    authz.ask(good().extension("exposure", "sideways")).await.expect(503, "malformed_check");
    authz.ask(good().extension("route", "nowhere")).await.expect(503, "unknown_route");
    authz.ask(good().extension("revision", "0000000000000000")).await.expect(503, "unknown_revision");
    // A policy that exists but is another route's: above all, not the laxer one.
    authz.ask(good().extension("policy", "public")).await.expect(503, "policy_mismatch");
    authz.ask(authz.check("create").extension("policy", "signed-in")).await.expect(503, "policy_mismatch");
    let empty = authz.ask_wire(CheckRequest::default()).await;
    empty.expect(503, "malformed_check");
    assert_eq!(empty.body, "Service unavailable");
    // Even then in the words of the route, when its name is known.
    let unknown = authz.ask(authz.check("books").extension("revision", "0")).await;
    assert_eq!(unknown.body, r#"{"name":"Service unavailable","message":"Service unavailable"}"#);
    assert_eq!(unknown.metadata["decision"], "error");
    let (_, metrics) = authz.get("/metrics").await;
    assert!(!metrics.contains("nowhere"), "a name from the wire is not a label");
}

/// A clock that breaks on demand stands for any defect in a decision.
#[derive(Debug)]
struct Breaking {
    clock: ManualClock,
    broken: Arc<AtomicBool>,
}

impl Clock for Breaking {
    fn now(&self) -> UnixTime {
        // Only gRPC workers break: the threads that watch files would take the process down, as they should.
        let watching = std::thread::current().name().is_some_and(|name| name.starts_with("watch-"));
        assert!(watching || !self.broken.load(Ordering::SeqCst), "broken on purpose");
        self.clock.now()
    }
}

#[tokio::test]
async fn a_panic_is_a_refusal_and_the_next_check_is_answered() {
    let clock = ManualClock::at(UnixTime::from_seconds(NOW));
    let broken = Arc::new(AtomicBool::new(false));
    let breaking = Arc::new(Breaking { clock: clock.clone(), broken: Arc::clone(&broken) });
    let authz = Authz::start_at(Home::new(), |edge| edge, clock, breaking).await;
    let check = authz.check("me").session(&authz.token());
    authz.ask(check.clone()).await.expect(200, "allowed");
    broken.store(true, Ordering::SeqCst);
    let answer = authz.ask(check.clone()).await;
    answer.expect(503, "panicked");
    assert_eq!(answer.body, "Service unavailable");
    broken.store(false, Ordering::SeqCst);
    authz.ask(check).await.expect(200, "allowed");
}

#[tokio::test]
async fn garbage_on_the_wire_is_an_error_and_never_an_allow() {
    let authz = Authz::start().await;
    let uri = format!("http://{}/envoy.service.auth.v3.Authorization/Check", authz.checks);
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for body in [&b"\0\0\0\0\x05\xff\xff\xff\xff\xff"[..], b"garbage", b"\0\0\0\xff\xff", b""] {
        let response = client
            .post(&uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body.to_vec())
            .send()
            .await;
        if let Ok(response) = response {
            let status = response.headers().get("grpc-status").cloned();
            assert!(status.is_some_and(|code| code != "0"), "{body:?}");
        }
    }
    authz.ask_with(&authz.token()).await.expect(200, "allowed");
}

#[tokio::test]
async fn health_follows_readiness_and_the_end_is_orderly() {
    let home = Home::new();
    std::fs::remove_file(home.at("tenants.yaml")).unwrap();
    let authz = Authz::start_with(home, |edge| edge).await;
    let health = async || {
        let uri = format!("http://{}", authz.checks);
        let channel = tonic::transport::Endpoint::from_shared(uri).unwrap().connect().await.unwrap();
        let mut client = HealthClient::new(channel);
        let request = HealthCheckRequest { service: String::new() };
        client.check(request).await.unwrap().into_inner().status()
    };
    assert_eq!(health().await, ServingStatus::NotServing);
    authz.ask_with(&authz.token()).await.expect(503, "tenants_unavailable");
    authz.home.list_tenant("active");
    eventually("serving", async || health().await == ServingStatus::Serving).await;
    let checks = authz.checks;
    authz.stop().await.unwrap();
    assert!(AuthorizationClient::connect(format!("http://{checks}")).await.is_err());
}
