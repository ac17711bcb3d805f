//! Spans of the real program, as a collector receives them: a gRPC server of OpenTelemetry's own protocol.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::binary::{Running, any, program};
use crate::kit::check::{Answer, Check, read};
use crate::kit::{Home, eventually, mint};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const REQUEST: &str = "01932c07-0000-7000-8000-000000000001";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

struct Collector(mpsc::Sender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.try_send(request.into_inner()).map_err(|_| Status::resource_exhausted("full"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector on a free port, and what it receives.
async fn collector() -> (SocketAddr, mpsc::Receiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel(100);
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(Collector(sender)));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (address, receiver)
}

/// The next spans, each with its batch as text: whatever was sent must be in there.
async fn next(received: &mut mpsc::Receiver<ExportTraceServiceRequest>) -> (Vec<Span>, String) {
    let batch = tokio::time::timeout(Duration::from_secs(10), received.recv()).await.expect("a batch comes");
    let batch = batch.unwrap();
    let text = format!("{batch:?}");
    let spans = batch.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    (spans.flat_map(|scope| scope.spans).collect(), text)
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.as_str(), text(attribute))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Asks the program about its route `me`.
async fn ask(home: &Home, checks: &str, token: &str, traceparent: Option<&str>) -> Answer {
    let mut client = AuthorizationClient::connect(format!("http://{checks}")).await.unwrap();
    let revision = home.edge(|edge| edge).revision.0;
    let check = Check::new().extension("route", "me").extension("policy", "signed-in");
    let check = check.extension("revision", &revision).extension("exposure", "public");
    let mut check = check.session(token).header("x-request-id", REQUEST);
    if let Some(traceparent) = traceparent {
        check = check.header("traceparent", traceparent);
    }
    read(client.check(check.wire()).await.unwrap().into_inner())
}

// The collector must answer while the test waits for the program's end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_is_a_span_of_the_callers_trace_with_the_request_id_and_no_secret() {
    let (address, mut received) = collector().await;
    let home = Home::new();
    let mut program = program(&home, any(), any());
    program.env(ENDPOINT, format!("http://{address}"));
    let running = Running::start(program);
    // Its clock is the machine's, so the kit's token is from another time: refused, with a reason.
    let token = home.session.token(&mint::claims());
    let answer = ask(&home, &running.checks, &token, Some(&format!("00-{TRACE}-{PARENT}-01"))).await;
    assert_eq!(answer.status, 401);

    let (spans, text) = next(&mut received).await;
    let [span] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((hex(&span.trace_id).as_str(), hex(&span.parent_span_id).as_str()), (TRACE, PARENT));
    assert_eq!(span.span_id.len(), 8);
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    let attributes = texts(&span.attributes);
    assert_eq!(attributes["cutover.request_id"], REQUEST);
    for (name, expected) in [
        ("cutover.route", "me"),
        ("cutover.policy", "signed-in"),
        ("cutover.decision", "deny"),
        ("cutover.reason", &answer.reason),
    ] {
        assert_eq!(attributes[name], expected, "{name}");
    }
    assert!(text.contains("authz-service"), "the resource says who it is: {text}");
    for part in token.split('.') {
        assert!(!text.contains(part), "a part of a token is in a span");
    }

    // A refusal has its span even where its caller samples nothing; without a parent a trace begins.
    ask(&home, &running.checks, &token, Some(&format!("00-{TRACE}-{PARENT}-00"))).await;
    ask(&home, &running.checks, &token, None).await;
    let mut spans = Vec::new();
    while spans.len() < 2 {
        spans.extend(next(&mut received).await.0);
    }
    let [unsampled, own] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((hex(&unsampled.trace_id).as_str(), hex(&unsampled.parent_span_id).as_str()), (TRACE, PARENT));
    assert!(own.parent_span_id.is_empty() && hex(&own.trace_id) != TRACE);

    // What was decided just before the end is still sent.
    ask(&home, &running.checks, &token, None).await;
    running.signal("-TERM");
    let (code, log, _) = running.end();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(next(&mut received).await.0.len(), 1);
}

#[tokio::test]
async fn a_collector_that_is_gone_costs_spans_that_are_counted_and_no_decision() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let home = Home::new();
    let mut program = program(&home, any(), any());
    program.env(ENDPOINT, format!("http://{gone}"));
    let running = Running::start(program);
    let answer = ask(&home, &running.checks, "no-token", None).await;
    assert!(answer.is(401, "token_malformed"), "{answer:?}");
    let metrics = format!("http://{}/metrics", running.admin);
    eventually("the span is given up", async || {
        let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
        text.contains("authz_spans_total{result=\"failed\"} 1")
    })
    .await;
}

/// One that takes connections and never answers, and one that speaks something else: no decision waits, and what is
/// given up is counted.
#[tokio::test]
async fn a_collector_that_hangs_or_answers_nonsense_costs_spans_that_are_counted_and_no_decision() {
    for answer in [None, Some(&b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope"[..])] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Ends with the test's process: it holds nothing but its connections.
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for mut stream in listener.incoming().flatten() {
                if let Some(answer) = answer {
                    let _ = std::io::Write::write_all(&mut stream, answer);
                } else {
                    held.push(stream);
                }
            }
        });
        let home = Home::new();
        let mut program = program(&home, any(), any());
        program.env(ENDPOINT, format!("http://{address}"));
        let running = Running::start(program);
        let asked = std::time::Instant::now();
        for _ in 0..20 {
            assert!(ask(&home, &running.checks, "no-token", None).await.is(401, "token_malformed"));
        }
        assert!(asked.elapsed() < Duration::from_secs(4), "a request waited for the collector");
        let metrics = format!("http://{}/metrics", running.admin);
        eventually("the spans are given up", async || {
            let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
            let failed =
                text.lines().find_map(|line| line.strip_prefix("authz_spans_total{result=\"failed\"} "));
            failed.is_some_and(|count| count != "0")
        })
        .await;
    }
}

#[tokio::test]
async fn a_collector_that_cannot_be_one_is_named_at_the_start() {
    let home = Home::new();
    for endpoint in ["https://collector.test:4317", "here there"] {
        let output = program(&home, any(), any()).env(ENDPOINT, endpoint).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(ENDPOINT), "{message}");
    }
}
