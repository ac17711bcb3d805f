//! How a backend's answers count: a gRPC call that fails with HTTP status 200, a refused call, a redirect to a sign-in
//! page. As `status`, `agreement` and `ramp` read them in the access log of a real Envoy.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use harness::{Backend, Edge, EdgeBuilder, Part, Port, eventually, eventually_some, pause_async};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

const BOOKS: &str = "prefix: /books, policy: signed-in, to: legacy, answers: library";
const LEGACY: &str = "legacy:\n    address: \"${LEGACY_ADDRESS:-127.0.0.1:3000}\"\n";
const USERS: &str = "users: { address: \"${USERS_ADDRESS:-127.0.0.1:3022}\" }";
const CALLS: &str = "/grpc.health.v1.Health/Check";
const STREAMS: &str = "/grpc.health.v1.Health/Watch";

/// A gRPC backend whose calls end with a settable status: in the headers for `Check`, in the trailers for `Watch`.
#[derive(Clone, Debug)]
struct Calls(Arc<AtomicI32>);

impl Calls {
    fn status(&self) -> Result<(), Status> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            code => Err(Status::new(Code::from(code), "as the test says")),
        }
    }
}

#[tonic::async_trait]
impl Health for Calls {
    type WatchStream = tokio_stream::Iter<std::vec::IntoIter<Result<HealthCheckResponse, Status>>>;

    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        self.status().map(|()| Response::new(HealthCheckResponse { status: 1 }))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let first = Ok(HealthCheckResponse { status: 1 });
        let end = self.status().err().map(Err);
        Ok(Response::new(tokio_stream::iter([Some(first), end].into_iter().flatten().collect::<Vec<_>>())))
    }
}

/// A gRPC backend on a port of its own, and the status that its calls end with.
fn grpc_backend(runtime: &Runtime) -> (Port, Arc<AtomicI32>) {
    let (port, status) = (Port::lease(), Arc::new(AtomicI32::new(0)));
    let (address, calls) = (port.address(), Calls(Arc::clone(&status)));
    runtime.spawn(async move {
        tonic::transport::Server::builder().add_service(HealthServer::new(calls)).serve(address).await
    });
    (port, status)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// An edge whose backends speak gRPC; its route `books` receives the calls.
fn edge(legacy: &Port, users: &Port, to: &str) -> EdgeBuilder {
    let words = format!("prefix: /grpc.health.v1.Health, policy: signed-in, to: {to}, answers: library");
    Edge::dev()
        .replace(LEGACY, &format!("{LEGACY}    protocol: grpc\n"))
        .replace(USERS, &USERS.replace(" }", ", protocol: grpc }"))
        .replace(BOOKS, &words)
        .stand_in("LEGACY_ADDRESS", legacy.address())
        .stand_in("USERS_ADDRESS", users.address())
        .without(Part::Auth)
}

async fn client(edge: std::net::SocketAddr) -> HealthClient<tonic::transport::Channel> {
    let url = format!("http://localhost:{}", edge.port());
    let channel = tonic::transport::Channel::from_shared(url).expect("a URL");
    HealthClient::new(channel.connect().await.expect("the edge speaks h2"))
}

fn asked(token: Option<&str>) -> Request<HealthCheckRequest> {
    let mut request = Request::new(HealthCheckRequest::default());
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().expect("a header");
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// Makes calls until the work is done.
fn under_calls<T>(runtime: &Runtime, edge: &Edge, work: impl FnOnce() -> T) -> T {
    let (address, token) = (edge.public(), edge.mint().good(0));
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let load = runtime.spawn(async move {
        let mut client = client(address).await;
        while !stopped.load(Ordering::Relaxed) {
            let _ = client.check(asked(Some(&token))).await;
            pause_async(Duration::from_millis(5), "the pace of the client").await;
        }
    });
    let done = work();
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(load).expect("the calls end");
    done
}

fn cutover(edge: &Edge, arguments: &[&str]) -> Output {
    let mut command = edge.cutover_program();
    command.args(arguments).stdin(Stdio::null()).output().expect("cutover can be started")
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The output of `agreement` for the route `books` once Envoy has logged that number of requests for it.
fn agreement(edge: &Edge, least: &str, requests: u64) -> Value {
    let mut row = Value::Null;
    harness::eventually(&format!("the log has {requests} requests"), || {
        row = agreement_now(edge, least);
        row["requests"] == requests
    });
    row
}

fn agreement_now(edge: &Edge, least: &str) -> Value {
    let log = edge.home().join("logs/access.json").display().to_string();
    let output = cutover(edge, &["agreement", "--log", &log, "--least", least, "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let rows = shown["routes"].as_array().expect("routes");
    rows.iter().find(|row| row["route"] == "books").cloned().unwrap_or_default()
}

/// The newest line of the log for `path` that has `grpc_status`.
fn logged(edge: &Edge, path: &str, status: i32) -> Value {
    eventually_some(&format!("{path} with {status} is in the log"), || {
        let lines = edge.access_log(1);
        lines.into_iter().rev().find(|line| line["path"] == path && line["grpc_status"] == status)
    })
}

#[test]
fn the_log_and_status_say_how_a_call_ended_under_its_200() {
    let runtime = runtime();
    let (legacy, status) = grpc_backend(&runtime);
    let gone = Port::lease();
    let edge = edge(&legacy, &gone, "legacy").start();
    let token = edge.mint().good(0);
    let mut client = runtime.block_on(client(edge.public()));
    for code in [0, 13, 7, 5] {
        status.store(code, Ordering::Relaxed);
        let ended = runtime.block_on(client.check(asked(Some(&token))));
        assert_eq!(ended.err().map_or(0, |status| i32::from(status.code())), code);
        // In the trailers, after a message.
        let stream = runtime.block_on(client.watch(asked(Some(&token)))).expect("it begins");
        let mut stream = stream.into_inner();
        runtime.block_on(async { while let Ok(Some(_)) = stream.message().await {} });
        for path in [CALLS, STREAMS] {
            let line = logged(&edge, path, code);
            assert_eq!((&line["status"], &line["cluster"]), (&json!(200), &json!("backend-legacy")));
            assert!(line["upstream_us"].as_u64() > Some(0), "{line:#}");
        }
    }
    let refused = runtime.block_on(client.check(asked(None))).expect_err("without a session");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(logged(&edge, CALLS, 16)["decision"], "deny");
    // Neither a refusal nor "not found" is a failure.
    let file = edge.file().display().to_string();
    let output = cutover(&edge, &["status", &file, "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(shown["backends"]["legacy"]["grpc_errors"], 2, "{shown:#}");
    assert_eq!(shown["backends"]["legacy"]["errors"], 0, "{shown:#}");
    let table = said(&cutover(&edge, &["status", &file]));
    assert!(table.contains("gRPC err."), "{table}");
}

#[test]
fn a_local_answer_to_a_call_is_a_failure_in_the_form_of_grpc() {
    let runtime = runtime();
    let (gone, other) = (Port::lease(), Port::lease());
    let edge = edge(&gone, &other, "legacy").start();
    let token = edge.mint().good(0);
    let mut client = runtime.block_on(client(edge.public()));
    let ended = runtime.block_on(client.check(asked(Some(&token)))).expect_err("nothing answers");
    assert_eq!(ended.code(), Code::Unavailable);
    let line = logged(&edge, CALLS, 14);
    assert_eq!((&line["status"], &line["cluster"]), (&json!(200), &json!("backend-legacy")), "{line:#}");
}

#[test]
fn a_backend_whose_calls_fail_under_their_200_is_taken_back() {
    let runtime = runtime();
    let ((legacy, _), (users, status)) = (grpc_backend(&runtime), grpc_backend(&runtime));
    let edge = edge(&legacy, &users, "{ legacy: 100, users: 0 }").start();
    let watch = edge.watch();
    eventually("the watch begins", || watch.log().contains("is in force"));
    let file = edge.file().display().to_string();
    let output = under_calls(&runtime, &edge, || {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                eventually("the second step begins", || edge.text().contains("users: 50 }"));
                status.store(13, Ordering::Relaxed);
            });
            let steps = ["--steps", "30,50", "--every", "3s", "--gate", "5xx<1%", "--gate", "agreement"];
            cutover(&edge, &[&["ramp", &file, "books", "--to", "users"], steps.as_slice()].concat())
        })
    });
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("rolled back at 50 %: 5xx<1%"), "{}", said(&output));
    let text = edge.text();
    assert!(text.contains("to: { legacy: 100, users: 0 }"), "{text}");
}

#[test]
fn a_backend_whose_calls_are_refused_must_go_on_checking() {
    let runtime = runtime();
    let ((legacy, status), other) = (grpc_backend(&runtime), Port::lease());
    let edge = edge(&legacy, &other, "legacy").start();
    let token = edge.mint().good(0);
    let mut client = runtime.block_on(client(edge.public()));
    let mut call = |code, times| {
        status.store(code, Ordering::Relaxed);
        for _ in 0..times {
            let _ = runtime.block_on(client.check(asked(Some(&token))));
        }
        let _ = logged(&edge, CALLS, code);
    };
    call(0, 20);
    // "Not found" and a failure say nothing about the caller.
    call(5, 3);
    call(13, 2);
    let row = agreement(&edge, "20", 25);
    assert_eq!(
        (&row["verdict"], &row["no_verdict"]),
        (&json!("the backend may stop checking"), &json!(5)),
        "{row:#}"
    );
    assert_eq!(row["no_verdict_by"], json!({ "grpc 13": 2, "grpc 5": 3 }));
    call(7, 1);
    call(16, 1);
    let row = agreement(&edge, "20", 27);
    assert_eq!(row["verdict"], "the backend must keep checking", "{row:#}");
    assert_eq!(row["backend_refuses"], json!({ "grpc 16": 1, "grpc 7": 1 }));
}

#[test]
fn a_redirect_to_a_sign_in_page_is_a_refusal_and_any_other_decides_nothing() {
    let legacy = Backend::with(|seen| {
        let line = seen.request_line();
        let path = line.split(' ').nth(1).unwrap_or_default();
        let Some(to) = path.split_once("?to=").map(|(_, to)| to.to_owned()) else {
            return b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
        };
        format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes()
    });
    let pages = "    sign_in: [/login, \"https://id.example.com/realms/main\"]\n";
    let edge = Edge::dev()
        .replace(LEGACY, &format!("{LEGACY}{pages}"))
        .stand_in("LEGACY_ADDRESS", legacy.address())
        .without(Part::Auth)
        .without(Part::Users)
        .start();
    let token = edge.mint().good(0);
    let cases = [
        ("/login", "true"),
        ("/login?next=/books", "true"),
        ("/login/otp", "true"),
        ("login", "true"),
        ("http://localhost/login", "true"),
        ("//www.example.com/login;jsessionid=1", "true"),
        ("https://id.example.com/realms/main?client=a", "true"),
        ("/logins", "false"),
        ("/books/2", "false"),
        ("/books?back=/login", "false"),
        ("https://id.example.com/realms/other", "false"),
        ("https://id.example.com.evil.test/realms/main", "false"),
    ];
    for (number, (to, expected)) in cases.iter().enumerate() {
        let path = format!("/books/{number}");
        assert_eq!(edge.get(format!("{path}?to={to}")).token(&token).send().status, 302, "{to}");
        let line = edge.logged(&path, 302);
        assert_eq!(line["sign_in"], *expected, "{to}: {line:#}");
        assert!(
            !line.to_string().contains(to.trim_start_matches('/')) || to.starts_with("/books"),
            "{line:#}"
        );
    }
    assert_eq!(edge.get("/books/fine").token(&token).send().status, 200);
    assert_eq!(edge.logged("/books/fine", 200)["sign_in"], Value::Null);
    let row = agreement(&edge, "1", 13);
    assert_eq!(row["backend_refuses"], json!({ "302 sign-in": 7 }), "{row:#}");
    assert_eq!((&row["no_verdict_by"], &row["both_allow"]), (&json!({ "302": 5 }), &json!(1)));
    assert_eq!(row["verdict"], "the backend must keep checking");
}
