//! One trace from the client to the backend, as a real collector receives it; and no trace where none is wanted.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use harness::{Backend, Edge, EdgeBuilder, Part, Port, eventually, eventually_some};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use tonic::{Request, Response, Status};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// What a collector received: the name of the service, and the span.
type Received = Arc<Mutex<Vec<(String, Span)>>>;

struct Collector {
    received: Received,
    port: Port,
    _runtime: tokio::runtime::Runtime,
}

struct Service(Received);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut received = self.0.lock().expect("no test panics with the lock");
        for of_resource in request.into_inner().resource_spans {
            let service = of_resource.resource.map(|resource| text(&resource.attributes, "service.name"));
            for scope in of_resource.scope_spans {
                received
                    .extend(scope.spans.into_iter().map(|span| (service.clone().unwrap_or_default(), span)));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.clone()) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Collector {
    fn start() -> Self {
        let (port, received) = (Port::lease(), Received::default());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime begins");
        let service = TraceServiceServer::new(Service(Arc::clone(&received)));
        runtime.spawn(tonic::transport::Server::builder().add_service(service).serve(port.address()));
        Self { received, port, _runtime: runtime }
    }

    fn spans(&self) -> Vec<(String, Span)> {
        self.received.lock().expect("no test panics with the lock").clone()
    }

    /// The spans of the request with this id: those of its whole trace.
    fn trace_of(&self, request_id: &str) -> Vec<(String, Span)> {
        let spans = self.spans();
        let trace = spans.iter().find(|(_, span)| text(&span.attributes, "cutover.request_id") == request_id);
        let Some((_, Span { trace_id, .. })) = trace else { return Vec::new() };
        spans.iter().filter(|(_, span)| span.trace_id == *trace_id).cloned().collect()
    }
}

/// A trace as Jaeger's interface reads it. Jaeger itself receives OTLP; this shows that nothing is lost on the way there.
fn jaeger(spans: &[(String, Span)]) -> Value {
    let each = spans.iter().map(|(service, span)| {
        let references = if span.parent_span_id.is_empty() {
            json!([])
        } else {
            json!([{ "refType": "CHILD_OF", "traceID": hex(&span.trace_id), "spanID": hex(&span.parent_span_id) }])
        };
        json!({
            "traceID": hex(&span.trace_id),
            "spanID": hex(&span.span_id),
            "operationName": span.name,
            "references": references,
            "startTime": span.start_time_unix_nano / 1_000,
            "duration": span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) / 1_000,
            "tags": span.attributes.iter().map(|tag| json!({ "key": tag.key, "type": "string",
                "value": text(std::slice::from_ref(tag), &tag.key) })).collect::<Vec<_>>(),
            "process": { "serviceName": service },
        })
    });
    json!({ "data": [{ "spans": each.collect::<Vec<_>>() }] })
}

fn edge(collector: &Collector, backend: &Backend, more: &str) -> EdgeBuilder {
    let tracing = format!("tracing: {{ collector: \"{}\"{more} }}\nroutes:\n", collector.port.address());
    Edge::dev()
        .replace("routes:\n", &tracing)
        .replace("timeout_ms: 200", "timeout_ms: 2000")
        .every_backend(backend.address())
        .without(Part::Auth)
        .without(Part::Users)
}

const ALL: &str = ", sample_percent: 100";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

#[test]
fn one_trace_leads_from_the_edge_through_the_authorizer_to_the_backend_and_holds_no_secret() {
    let (collector, backend) = (Collector::start(), Backend::plain());
    let edge = edge(&collector, &backend, ALL).start();
    let token = edge.mint().good(0);
    let answer =
        edge.get("/books/1?key=s3cret").token(&token).header("traceparent", traceparent("01")).send();
    assert_eq!(answer.status, 200);
    let seen = backend.last();
    let id = seen.header("x-request-id").expect("the backend has the id");
    let spans = eventually_some("the whole trace is there", || {
        Some(collector.trace_of(&id)).filter(|spans| {
            ["dev", "authz-service"].iter().all(|service| spans.iter().any(|(name, _)| name == service))
                && spans.iter().any(|(_, span)| span.parent_span_id.is_empty())
        })
    });
    let passed_on = seen.header("traceparent").expect("the backend continues the trace");
    let (_, root) = spans.iter().find(|(_, span)| span.parent_span_id.is_empty()).expect("it has a root");
    assert_ne!(hex(&root.trace_id), TRACE, "a client of a public listener does not choose the trace");
    assert!(passed_on.starts_with(&format!("00-{}-", hex(&root.trace_id))), "{passed_on}");
    assert!(passed_on.ends_with("-01"), "{passed_on}");
    for (name, value) in [
        ("cutover.policy", "signed-in"),
        ("cutover.decision", "allow"),
        ("cutover.route", "books"),
        ("cutover.request_id", &id),
    ] {
        assert_eq!(text(&root.attributes, name), value, "{name}: {root:?}");
    }
    // Each span but the root has its parent in the same trace.
    let shown = jaeger(&spans);
    let of = |span: &Value, path: &str| span.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let all = shown.pointer("/data/0/spans").and_then(Value::as_array).expect("spans");
    let ids: Vec<_> = all.iter().map(|span| of(span, "/spanID")).collect();
    for span in all {
        if let Some(parent) = of(span, "/references/0/spanID") {
            assert!(ids.contains(&Some(parent)), "{span}");
        }
    }
    assert!(all.iter().any(|span| of(span, "/process/serviceName").as_deref() == Some("authz-service")));
    let everything = format!("{:?}", collector.spans());
    for secret in ["s3cret", token.split('.').nth(1).expect("a token has three parts")] {
        assert!(!everything.contains(secret), "{secret} is in a span");
    }
}

#[test]
fn no_flag_of_a_client_hides_a_refusal_or_has_more_sampled() {
    let (collector, backend) = (Collector::start(), Backend::plain());
    let edge = edge(&collector, &backend, ", sample_percent: 0").start();
    for flags in ["00", "01"] {
        let own = "01932c07-0000-7000-8000-0000000000";
        let id = format!("{own}{flags}");
        let request = edge.get("/books/1").header("traceparent", traceparent(flags));
        assert_eq!(request.header("x-request-id", &id).send().status, 401);
        let spans = eventually_some("the refusal is a span", || {
            Some(collector.trace_of(&id)).filter(|spans| !spans.is_empty())
        });
        let [(service, span)] = spans.as_slice() else { unreachable!("nothing else is sampled: {spans:?}") };
        assert_eq!(
            (service.as_str(), text(&span.attributes, "cutover.decision").as_str()),
            ("authz-service", "deny")
        );
    }
    // Neither flag has a permitted request sampled: it was sent before the refusal whose span is there.
    let token = edge.mint().good(0);
    let permitted = edge.get("/books/1").token(&token).header("traceparent", traceparent("01"));
    assert_eq!(permitted.send().status, 200);
    let refused = edge.get("/books/1").header("x-request-id", "01932c07-0000-7000-8000-0000000000ff");
    assert_eq!(refused.send().status, 401);
    eventually("the later refusal is there", || {
        !collector.trace_of("01932c07-0000-7000-8000-0000000000ff").is_empty()
    });
    let allowed = |(_, span): &(String, Span)| text(&span.attributes, "cutover.decision") == "allow";
    assert!(!collector.spans().iter().any(allowed), "{:?}", collector.spans());
}

#[test]
fn a_trusted_caller_continues_its_trace() {
    let (collector, backend) = (Collector::start(), Backend::plain());
    let edge = edge(&collector, &backend, ", sample_percent: 0, trust_incoming: always").start();
    let request = edge.get("/books/1").token(&edge.mint().good(0));
    assert_eq!(
        request.header("traceparent", traceparent("01")).header("tracestate", "a=b").send().status,
        200
    );
    let seen = backend.last();
    let passed_on = seen.header("traceparent").expect("the backend continues the trace");
    assert!(passed_on.starts_with(&format!("00-{TRACE}-")) && passed_on.ends_with("-01"), "{passed_on}");
    assert!(!passed_on.contains(PARENT), "the edge's own span is between them");
    assert_eq!(seen.header("tracestate").as_deref(), Some("a=b"));
    eventually("the spans are there", || {
        let of_trace = collector.spans().into_iter().filter(|(_, span)| hex(&span.trace_id) == TRACE);
        let services: Vec<String> = of_trace.map(|(service, _)| service).collect();
        services.iter().any(|service| service == "dev")
            && services.iter().any(|service| service == "authz-service")
    });
}

#[test]
fn without_tracing_the_headers_of_a_trace_pass_byte_for_byte() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).without(Part::Auth).without(Part::Users).start();
    let token = edge.mint().good(0);
    let sent = [
        ("Traceparent", traceparent("00")),
        ("TraceState", "vendor=a:b;c,other=1".to_owned()),
        ("baggage", "user=ada,%20=x;p=1".to_owned()),
        ("Traceparent", "not a trace".to_owned()),
        ("uber-trace-id", "1:2:0:1".to_owned()),
        ("b3", "0".to_owned()),
    ];
    let request = sent
        .iter()
        .fold(edge.get("/books/1").token(&token), |request, (name, value)| request.header(name, value));
    assert_eq!(request.send().status, 200);
    let head = String::from_utf8_lossy(&backend.last().head).into_owned();
    for (name, value) in sent {
        assert!(
            head.contains(&format!("\r\n{name}: {value}\r\n"))
                || head.ends_with(&format!("\r\n{name}: {value}")),
            "{name}: {head}"
        );
    }
}

#[test]
fn a_collector_that_is_gone_costs_no_request() {
    let backend = Backend::plain();
    let gone = Port::lease();
    let tracing = format!("tracing: {{ collector: \"{}\"{ALL} }}\nroutes:\n", gone.address());
    let edge = Edge::dev().replace("routes:\n", &tracing).every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    for _ in 0..200 {
        assert_eq!(edge.get("/books/1").token(&token).send().status, 200);
    }
}
