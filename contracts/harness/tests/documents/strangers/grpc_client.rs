//! A client library (tonic) on the other side: what a program that calls through the edge reads is what it reads without.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use super::grpc::{Server, edge_before};

/// A call that hangs fails the test instead of stopping it.
const PATIENCE: Duration = Duration::from_secs(20);

async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let origin = "http://app.test".parse().expect("a URI");
    endpoint.origin(origin).timeout(PATIENCE).connect().await.expect("it listens")
}

/// What the headers or trailers of an answer say; the date is the time of the answer.
fn metadata(map: &MetadataMap) -> BTreeMap<String, String> {
    let headers = map.clone().into_headers();
    let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(pair).filter(|(name, _)| name != "date").collect()
}

fn refused(status: &Status) -> String {
    format!(
        "{:?} {:?} {:?} {:?}",
        status.code(),
        status.message(),
        status.details(),
        metadata(status.metadata())
    )
}

fn of(service: &str) -> Request<HealthCheckRequest> {
    Request::new(HealthCheckRequest { service: service.to_owned() })
}

/// Answers to one message each, among them errors that have no message and so no headers of their own.
async fn unary(channel: Channel) -> Vec<String> {
    let mut health = HealthClient::new(channel);
    let mut seen = Vec::new();
    for service in ["books", "stopped", "", "unknown"] {
        seen.push(match health.check(of(service)).await {
            Ok(answer) => format!("{:?} {:?}", metadata(answer.metadata()), answer.get_ref()),
            Err(status) => refused(&status),
        });
    }
    seen
}

/// A stream of the server: the second message comes after the first was read, because only then something changes.
async fn watched(server: &Server, channel: Channel) -> Vec<String> {
    server.reporter.set_service_status("books", ServingStatus::Serving).await;
    let mut health = HealthClient::new(channel);
    let answer = health.watch(of("books")).await.expect("the service is known");
    let mut seen = vec![format!("{:?}", metadata(answer.metadata()))];
    let mut messages = answer.into_inner();
    for next in [ServingStatus::NotServing, ServingStatus::Serving] {
        seen.push(format!("{:?}", messages.message().await.expect("the stream is open")));
        server.reporter.set_service_status("books", next).await;
    }
    seen.push(format!("{:?}", messages.message().await.expect("the stream is open")));
    seen
}

/// A conversation: each question is sent after the answer to the one before. It ends with an error in trailers.
async fn conversation(channel: Channel) -> Vec<String> {
    let mut reflection = ServerReflectionClient::new(channel);
    let (questions, receiver) = mpsc::channel(1);
    let ask = |question| ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    questions.send(ask(MessageRequest::ListServices("*".to_owned()))).await.expect("it is read");
    let answer = reflection.server_reflection_info(ReceiverStream::new(receiver)).await;
    let answer = answer.expect("the service is known");
    let mut seen = vec![format!("{:?}", metadata(answer.metadata()))];
    let mut messages = answer.into_inner();
    for question in [
        MessageRequest::FileContainingSymbol("grpc.health.v1.Health".to_owned()),
        MessageRequest::FileByFilename("absent.proto".to_owned()),
    ] {
        seen.push(format!("{:?}", messages.message().await.expect("an answer to each question")));
        questions.send(ask(question)).await.expect("it is read");
    }
    loop {
        match messages.message().await {
            Ok(Some(message)) => seen.push(format!("{message:?}")),
            Ok(None) => {
                seen.push(format!("{:?}", messages.trailers().await));
                return seen;
            }
            Err(status) => {
                seen.push(refused(&status));
                return seen;
            }
        }
    }
}

async fn everything(server: &Server, address: SocketAddr) -> Vec<String> {
    let channel = channel(address).await;
    let mut seen = unary(channel.clone()).await;
    seen.extend(watched(server, channel.clone()).await);
    seen.extend(conversation(channel).await);
    seen
}

#[test]
fn a_client_library_of_grpc_reads_the_same_through_the_edge() {
    let server = Server::start();
    let edge = edge_before(server.address());
    let (reference, through) = server.runtime.block_on(async {
        (everything(&server, server.address()).await, everything(&server, edge.public()).await)
    });
    assert_eq!(through, reference);
    // The reference itself says what was meant: two states, an unknown service, a stream, a conversation with its error.
    let told = |part: &str| reference.iter().filter(|line| line.contains(part)).count();
    assert_eq!(told(&format!("{:?} ", Code::NotFound)), 2, "{reference:#?}");
    assert_eq!((reference.len(), told("FileDescriptorResponse")), (12, 1), "{reference:#?}");
}
