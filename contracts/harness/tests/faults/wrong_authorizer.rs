//! Another program at the authorizer's address, or an authorizer with a defect (ATTACKS G 97 and 98): whatever it
//! answers, no request without a decision reaches a backend.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::google::rpc;
use harness::{Backend, Edge, Part, eventually, pause};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;

/// The impostor's answer.
type CheckResult = Result<CheckResponse, Status>;

#[derive(Clone)]
struct Impostor(Arc<Mutex<CheckResult>>);

#[tonic::async_trait]
impl Authorization for Impostor {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        self.0.lock().unwrap().clone().map(Response::new)
    }
}

#[expect(deprecated, reason = "the field must be named to be left empty")]
fn header(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value: value.to_owned(), raw_value: Vec::new() }),
        append: None,
        append_action: 2,
        keep_empty_value: false,
    }
}

fn allow(headers: &[(&str, &str)]) -> CheckResponse {
    let headers = headers.iter().map(|(name, value)| header(name, value)).collect();
    CheckResponse {
        status: Some(rpc::Status::default()),
        dynamic_metadata: None,
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
            headers,
            ..OkHttpResponse::default()
        })),
    }
}

#[test]
fn an_undecided_request_reaches_no_backend() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).without(Part::Authz).start();
    let token = edge.mint().good(2);
    let answer =
        Arc::new(Mutex::new(Ok(allow(&[("x-cutover-decided", "1"), ("x-madome-auth-sub", "somebody")]))));
    let impostor = Impostor(Arc::clone(&answer));
    let address = edge.address("AUTHZ_ADDRESS");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(async move {
        let (reporter, health) = tonic_health::server::health_reporter();
        for service in ["", "envoy.service.auth.v3.Authorization"] {
            reporter.set_service_status(service, ServingStatus::Serving).await;
        }
        let server = tonic::transport::Server::builder().add_service(health);
        server.add_service(AuthorizationServer::new(impostor)).serve(address).await
    });
    let ask = || edge.get("/users/@me").token(&token).send();
    eventually("the control passes", || ask().status == 200);
    assert_eq!(backend.last().all("x-madome-auth-sub"), ["somebody"], "it is the impostor who decides");

    let before = backend.seen().len();
    let denied = |status: Option<rpc::Status>| CheckResponse {
        status,
        dynamic_metadata: None,
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse::default())),
    };
    let decided = ("x-cutover-decided", "1");
    for (what, wrong, expected) in [
        ("INTERNAL", Err(Status::internal("broken")), &[503][..]),
        ("UNAVAILABLE", Err(Status::unavailable("gone")), &[503]),
        ("an empty message", Ok(CheckResponse::default()), &[403]),
        ("an allow without a subject", Ok(allow(&[])), &[403]),
        ("an allow with another value", Ok(allow(&[("x-cutover-decided", "0")])), &[403]),
        ("a denial without a status", Ok(denied(None)), &[403]),
        ("a denial that says OK", Ok(denied(Some(rpc::Status::default()))), &[403]),
        ("a line break", Ok(allow(&[decided, ("x-madome-auth-sub", "a\r\nx-forged: 1")])), &[500, 503]),
        ("NUL", Ok(allow(&[decided, ("x-madome-auth-sub", "a\0b")])), &[500, 503]),
        ("no header name", Ok(allow(&[decided, ("x madome", "1")])), &[500, 503]),
        ("another path", Ok(allow(&[decided, (":path", "/_/users/1")])), &[500, 503]),
        ("another host", Ok(allow(&[decided, ("host", "elsewhere.test")])), &[500, 503]),
        ("another cookie", Ok(allow(&[decided, ("cookie", "a=1")])), &[500, 503]),
    ] {
        *answer.lock().unwrap() = wrong;
        let got = ask();
        assert!(expected.contains(&got.status), "{what}: {got:?}");
        assert_eq!(backend.seen().len(), before, "{what}: it reached the backend");
    }
    // A public route needs no check, and the edge's own answers do not change.
    assert_eq!(edge.get("/open-graph").send().status, 200);
    assert_eq!(edge.get("/_/users/1").send().status, 404);
    assert_eq!(edge.request("TRACE", "/books").send().status, 405);

    *answer.lock().unwrap() = Ok(allow(&[decided]));
    assert_eq!(ask().status, 200, "and it recovers");
}

#[test]
fn garbage_at_the_authorizers_address_allows_nothing() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).without(Part::Authz).start();
    let token = edge.mint().good(2);
    let listener = TcpListener::bind(edge.address("AUTHZ_ADDRESS")).unwrap();
    // Ends with the test's process: it holds nothing but the listener.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut some = [0; 64];
            let _ = stream.read(&mut some);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0");
        }
    });
    for _ in 0..20 {
        assert_eq!(edge.get("/users/@me").token(&token).send().status, 503);
        pause(Duration::from_millis(25), "Envoy tries new connections between twenty requests");
    }
    assert!(backend.seen().is_empty());
}
