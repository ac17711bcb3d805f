//! A WebSocket, a stream of events, a gRPC stream and a slow upload, and the servers behind them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use harness::{Edge, Port, pause, within};
use tokio::runtime::Runtime;
use tokio_stream::StreamExt as _;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::HealthReporter;
use tonic_health::{ServingStatus, pb};
use tungstenite::Message;
use tungstenite::client::IntoClientRequest as _;

/// Each read must succeed within this time, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server for everything but gRPC: a WebSocket that sends every message back, events without end, an upload that is
/// read to its end, and `ok` for any other path.
pub(crate) struct Books(Port);

impl Books {
    pub(crate) fn start() -> Self {
        let port = Port::lease();
        let listener = TcpListener::bind(port.address()).expect("a leased port can be bound");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || serve(stream));
            }
        });
        Self(port)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

fn serve(stream: TcpStream) -> Option<()> {
    let mut first = [0; 16];
    within(Duration::from_mins(1), || match stream.peek(&mut first) {
        Ok(read) if read < first.len() => None,
        outcome => Some(outcome),
    })?
    .ok()?;
    if first.starts_with(b"GET /live") {
        let mut socket = tungstenite::accept(stream).ok()?;
        loop {
            let message = socket.read().ok()?;
            socket.send(message).ok()?;
        }
    }
    let mut out = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream);
    loop {
        let (mut target, mut length) = (String::new(), 0_usize);
        lines.read_line(&mut target).ok().filter(|read| *read > 0)?;
        loop {
            let mut line = String::new();
            lines.read_line(&mut line).ok()?;
            if line.trim_end().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        if target.starts_with("GET /events") {
            out.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
            )
            .ok()?;
            for number in 0.. {
                let event = format!("data: {number}\n\n");
                out.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).ok()?;
                pause(Duration::from_millis(100), "ten events a second");
            }
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body).ok()?;
        out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").ok()?;
    }
}

/// The health service of gRPC, whose `Watch` is a stream: it sends each change of a status.
pub(crate) struct Grpc {
    port: Port,
    runtime: Arc<Runtime>,
    reporter: HealthReporter,
}

impl Grpc {
    pub(crate) fn start() -> Self {
        let port = Port::lease();
        let address = port.address();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = Arc::new(runtime.expect("a runtime starts"));
        let (reporter, service) = tonic_health::server::health_reporter();
        runtime.spawn(async move {
            tonic::transport::Server::builder().add_service(service).serve(address).await
        });
        Self { port, runtime, reporter }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    fn set(&self, status: ServingStatus) {
        self.runtime.block_on(self.reporter.set_service_status("books", status));
    }
}

/// Size of the whole upload in bytes, sent a few at a time.
const UPLOAD: usize = 1_000;

/// Four connections through an edge, all of them open.
pub(crate) struct Streams<'a> {
    websocket: tungstenite::WebSocket<TcpStream>,
    events: BufReader<TcpStream>,
    upload: TcpStream,
    uploaded: usize,
    grpc: &'a Grpc,
    watched: tonic::Streaming<pb::HealthCheckResponse>,
    rounds: u32,
}

impl<'a> Streams<'a> {
    pub(crate) fn open(edge: &Edge, grpc: &'a Grpc) -> Self {
        let token = edge.mint().good(0);
        let connect = || {
            let stream = TcpStream::connect(edge.public()).expect("the edge listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("it can be set");
            stream
        };
        let send = |head: String| {
            let mut stream = connect();
            let cookie = format!("host: localhost\r\ncookie: madome_access_token={token}\r\n");
            stream.write_all(head.replace("host\r\n", &cookie).as_bytes()).expect("the edge reads");
            stream
        };

        let request = format!("ws://localhost:{}/live", edge.public().port());
        let mut request = request.into_client_request().expect("a request");
        let cookie = format!("madome_access_token={token}").parse().expect("a header");
        request.headers_mut().insert("cookie", cookie);
        let (websocket, _) = tungstenite::client(request, connect()).expect("a WebSocket");

        let events = BufReader::new(send("GET /events HTTP/1.1\r\nhost\r\n\r\n".to_owned()));
        let upload = send(format!("POST /upload HTTP/1.1\r\nhost\r\ncontent-length: {UPLOAD}\r\n\r\n"));

        grpc.set(ServingStatus::Serving);
        let url = format!("http://localhost:{}", edge.public().port());
        let watched = grpc.runtime.block_on(async move {
            let channel = tonic::transport::Channel::from_shared(url).expect("a URL").connect().await;
            let mut client = HealthClient::new(channel.expect("the edge speaks HTTP/2"));
            let mut request = tonic::Request::new(HealthCheckRequest { service: "books".to_owned() });
            let bearer = format!("Bearer {token}").parse().expect("a header");
            request.metadata_mut().insert("authorization", bearer);
            client.watch(request).await.expect("a stream").into_inner()
        });
        let mut streams = Self { websocket, events, upload, uploaded: 0, grpc, watched, rounds: 0 };
        assert_eq!(streams.next_status(), Some(1), "SERVING");
        streams
    }

    /// Checks that data passes on each of them.
    pub(crate) fn go_on(&mut self) {
        self.rounds += 1;
        let message = Message::text(format!("round {}", self.rounds));
        self.websocket.send(message.clone()).expect("the WebSocket takes a message");
        assert_eq!(self.websocket.read().expect("the WebSocket answers"), message);

        self.next_event();
        // Events that came meanwhile are read first, so that the next one is new.
        let buffered = self.events.buffer().len();
        self.events.consume(buffered);
        self.next_event();

        self.upload.write_all(&[b'u'; 10]).expect("the upload goes on");
        self.uploaded += 10;

        let (status, number) = if self.rounds.is_multiple_of(2) {
            (ServingStatus::Serving, 1)
        } else {
            (ServingStatus::NotServing, 2)
        };
        self.grpc.set(status);
        assert_eq!(self.next_status(), Some(number), "the gRPC stream goes on");
    }

    fn next_event(&mut self) {
        let mut line = String::new();
        while !line.starts_with("data: ") {
            line.clear();
            let read = self.events.read_line(&mut line).expect("the events go on");
            assert!(read > 0, "the events ended");
        }
    }

    fn next_status(&mut self) -> Option<i32> {
        let watched = &mut self.watched;
        let next = self.grpc.runtime.block_on(async { tokio::time::timeout(PATIENCE, watched.next()).await });
        Some(next.ok()??.ok()?.status)
    }

    /// Sends the rest of the upload, and returns the status of its answer.
    pub(crate) fn finish_upload(&mut self) -> u16 {
        self.upload.write_all(&vec![b'u'; UPLOAD - self.uploaded]).expect("the upload goes on");
        let mut line = String::new();
        BufReader::new(&self.upload).read_line(&mut line).expect("the upload is answered");
        line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }
}
