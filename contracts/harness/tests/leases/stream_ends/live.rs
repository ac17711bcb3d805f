//! A backend with streams that end only when the other side ends them, and clients that see whether one has.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use harness::{Edge, Port};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// A few kilobytes are enough for each of thousands of connections.
const STACK: usize = 128 * 1_024;

/// Serves streams below `/live`: `/live/socket` is a WebSocket, `/live/silent` has no answer, all others send one
/// event. Any other path has a
/// short answer.
pub(crate) fn serve() -> Port {
    let port = Port::lease();
    let listener = TcpListener::bind(port.address()).expect("a leased port can be bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = move || serve_one(stream);
            thread::Builder::new().stack_size(STACK).spawn(serve).expect("a thread begins");
        }
    });
    port
}

fn serve_one(mut stream: TcpStream) {
    let mut head = [0; 4_096];
    let read = stream.peek(&mut head).unwrap_or(0);
    let line = String::from_utf8_lossy(head.get(..read).unwrap_or_default()).into_owned();
    if line.starts_with("GET /live/socket") {
        let Ok(mut socket) = tungstenite::accept(stream) else { return };
        while let Ok(message) = socket.read() {
            let _ = socket.send(message);
        }
        return;
    }
    if !line.contains(" /live") {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        return;
    }
    if !line.contains("/live/silent") {
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 0\n\n\r\n";
        let _ = stream.write_all(answer.as_bytes());
    }
    while stream.read(&mut head).is_ok_and(|read| read > 0) {}
}

/// A client's connection with one open stream.
pub(crate) struct Live(TcpStream);

impl Live {
    /// Begins a stream with further header lines; the status when the edge refuses it.
    pub(crate) fn begin(edge: &Edge, path: &str, headers: &str) -> Result<Self, u16> {
        let mut stream = TcpStream::connect(edge.public()).expect("the edge listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("it can be set");
        let upgrade = if path.ends_with("/socket") {
            "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        } else {
            ""
        };
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{upgrade}{headers}\r\n");
        stream.write_all(head.as_bytes()).expect("the edge reads");
        if !path.ends_with("/silent") {
            let head = head_of(&mut stream);
            let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("an answer");
            if !matches!(status, 101 | 200) {
                return Err(status);
            }
        }
        stream.set_nonblocking(true).expect("it can be set");
        Ok(Self(stream))
    }

    /// With an access token in the cookie.
    pub(crate) fn with(edge: &Edge, path: &str, token: &str) -> Self {
        Self::begin(edge, path, &format!("cookie: madome_access_token={token}\r\n"))
            .expect("the stream begins")
    }

    /// Sends a short message, on a WebSocket; whether the connection took it.
    pub(crate) fn say(&mut self) -> bool {
        // A masked text frame (RFC 6455 §5.2) with the mask 0.
        self.0.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).is_ok()
    }

    /// Whether it is still open.
    pub(crate) fn is_open(&mut self) -> bool {
        let mut bytes = [0; 1_024];
        loop {
            match self.0.read(&mut bytes) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    /// Whatever the edge sends until the end of the connection or a pause.
    pub(crate) fn rest(&mut self) -> String {
        let mut bytes = [0; 4_096];
        let read = self.0.read(&mut bytes).unwrap_or(0);
        String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned()
    }
}

/// The head of an answer, up to the empty line.
fn head_of(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        head.extend(byte);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// A gRPC service with a stream that never ends by itself, and clients of it through the edge.
pub(crate) struct Grpc {
    runtime: tokio::runtime::Runtime,
    pub(crate) port: Port,
}

/// A gRPC stream of a client.
pub(crate) struct Watch(tokio::task::JoinHandle<Code>);

impl Grpc {
    pub(crate) fn serve() -> Self {
        let port = Port::lease();
        let address = port.address();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime begins");
        runtime.spawn(async move {
            let (reporter, service) = tonic_health::server::health_reporter();
            reporter.set_service_status("books", tonic_health::ServingStatus::Serving).await;
            tonic::transport::Server::builder().add_service(service).serve(address).await
        });
        Self { runtime, port }
    }

    /// Begins a stream, and reads its first message.
    pub(crate) fn watch(&self, edge: &Edge, token: &str) -> Watch {
        let url = format!("http://localhost:{}", edge.public().port());
        let bearer = format!("Bearer {token}").parse().expect("a token is a header's value");
        let mut stream = self.runtime.block_on(async move {
            let channel = tonic::transport::Channel::from_shared(url).expect("a URL").connect().await;
            let mut client = HealthClient::new(channel.expect("the edge speaks HTTP/2"));
            let mut request = tonic::Request::new(HealthCheckRequest { service: "books".to_owned() });
            request.metadata_mut().insert("authorization", bearer);
            let mut stream = client.watch(request).await.expect("it begins").into_inner();
            assert_eq!(stream.message().await.expect("a message").map(|answer| answer.status), Some(1));
            stream
        });
        Watch(self.runtime.spawn(async move {
            loop {
                match stream.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Code::Ok,
                    Err(status) => return status.code(),
                }
            }
        }))
    }

    /// How it ended, if it has.
    pub(crate) fn end(&self, watch: &mut Watch) -> Option<Code> {
        watch.0.is_finished().then(|| self.runtime.block_on(&mut watch.0).expect("no panic"))
    }
}
