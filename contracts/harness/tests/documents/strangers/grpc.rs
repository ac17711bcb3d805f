//! gRPC's own services, health and reflection, as tonic serves them: each message, status and trailer through the edge.

use std::net::SocketAddr;

use bytes::Bytes;
use comparison::compare::{compare, trailers};
use harness::{Edge, Part, Port, eventually};
use http_wire::Events;
use http_wire::answer::{Answer, Line};

/// A server of `grpc.health.v1` and `grpc.reflection.v1`, until it is dropped.
pub(crate) struct Server {
    port: Port,
    pub(crate) runtime: tokio::runtime::Runtime,
    /// Changes what the health service says.
    pub(crate) reporter: tonic_health::server::HealthReporter,
}

impl Server {
    pub(crate) fn start() -> Self {
        let port = Port::lease();
        let address = port.address();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime begins");
        let (reporter, health) = tonic_health::server::health_reporter();
        let own = reporter.clone();
        runtime.spawn(async move {
            let reporter = own;
            reporter.set_service_status("books", tonic_health::ServingStatus::Serving).await;
            reporter.set_service_status("stopped", tonic_health::ServingStatus::NotServing).await;
            let reflection = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .build_v1()
                .expect("a description of services");
            tonic::transport::Server::builder()
                .add_service(health)
                .add_service(reflection)
                .serve(address)
                .await
        });
        let server = Self { port, runtime, reporter };
        eventually("the server listens", || std::net::TcpStream::connect(address).is_ok());
        server
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Calls `path` at `address` with these messages; the caller has no more to send.
    fn call(&self, address: SocketAddr, path: &str, messages: &[&[u8]]) -> Answer {
        let line = |name: &str, value: &str| Line { name: name.into(), value: value.into() };
        let lines = [
            line("host", "app.test"),
            line("content-type", "application/grpc"),
            line("te", "trailers"),
            line("grpc-timeout", "5S"),
        ];
        let body: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
        self.runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
            let request =
                http_wire::h2::request(b"POST", "http", path.as_bytes(), &lines).expect("a request");
            let answer = http_wire::h2::answer(stream, request, Bytes::from(body), Events::ReadToEnd);
            answer.await.expect("a whole answer")
        })
    }
}

/// An edge in front of the server at `address`, at whose host `app.test` every path is gRPC.
pub(crate) fn edge_before(address: SocketAddr) -> Edge {
    Edge::dev()
        .replace("hosts:\n", "hosts:\n  app: { listener: public, names: [app.test] }\n")
        .replace("backends:\n", "backends:\n  app: { address: \"${LEGACY_ADDRESS}\", protocol: grpc }\n")
        .replace(
            "routes:\n",
            "routes:\n  - { name: app, host: app, prefix: /, policy: public, stream: true, to: app, answers: auth }\n",
        )
        .every_backend(address)
        .without(Part::Authz)
        .start()
}

/// A message with its prefix: not compressed, and its length.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), message].concat()
}

/// A field of protobuf that is a text.
fn text(field: u8, value: &str) -> Vec<u8> {
    let length = u8::try_from(value.len()).expect("a short text");
    [&[field << 3 | 2, length], value.as_bytes()].concat()
}

fn of(lines: &[Line], name: &str) -> Option<String> {
    lines.iter().find(|line| line.is(name)).map(|line| String::from_utf8_lossy(&line.value).into_owned())
}

#[test]
fn grpc_health_and_reflection_are_the_same_through_the_edge_in_every_byte() {
    const CHECK: &str = "/grpc.health.v1.Health/Check";
    const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let server = Server::start();
    let edge = edge_before(server.address());
    let (books, stopped, unknown) = (text(1, "books"), text(1, "stopped"), text(1, "unknown"));
    // `list_services`, `file_containing_symbol`, and `file_by_filename` of a file that is not there.
    let (list, symbol, absent) = (text(7, "*"), text(4, "grpc.health.v1.Health"), text(3, "absent.proto"));
    for (path, messages, status) in [
        (CHECK, vec![books.as_slice()], "0"),
        (CHECK, vec![&stopped], "0"),
        (CHECK, vec![&unknown], "5"),
        (CHECK, vec![b"\xff".as_slice()], "13"),
        (CHECK, vec![], "13"),
        ("/grpc.health.v1.Health/None", vec![&books], "12"),
        ("/none.Such/Call", vec![&books], "12"),
        (REFLECT, vec![&list], "0"),
        (REFLECT, vec![&symbol, &list], "0"),
        // The stream ends with the error of its last message.
        (REFLECT, vec![&symbol, &list, &absent], "5"),
    ] {
        let reference = server.call(server.address(), path, &messages);
        let answer = server.call(edge.public(), path, &messages);
        let ended = of(&reference.trailers, "grpc-status").or_else(|| of(&reference.headers, "grpc-status"));
        assert_eq!(ended.as_deref(), Some(status), "{path} {messages:?}: {reference:?}");
        let mut differences = compare(&reference, &answer).differences;
        differences.extend(trailers(&reference, &answer));
        differences.retain(|difference| difference.place != "date");
        assert_eq!(differences, [], "{path} {messages:?}: {answer:?}");
    }
}
