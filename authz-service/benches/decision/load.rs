//! Load over one HTTP/2 connection, as Envoy's worker sends it: the frames of gRPC without a gRPC client, so that
//! the client costs less than any server and the server is what is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::{BufMut as _, Bytes, BytesMut};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse, OkHttpResponse};
use envoy_types::pb::google::rpc;
use h2::client::SendRequest;
use http::{Method, Request, Version};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::TcpIncoming;

/// Names the address on which this program is to do nothing.
pub(crate) const DO_NOTHING: &str = "CUTOVER_BENCH_DO_NOTHING";

/// Checks under way at once.
const CONCURRENT: usize = 64;

/// The address on which this program is to do nothing, when it was started for that.
pub(crate) fn asked_to_do_nothing() -> Option<SocketAddr> {
    std::env::var(DO_NOTHING).ok().map(|address| address.parse().expect("an address"))
}

struct Nothing;

#[tonic::async_trait]
impl Authorization for Nothing {
    async fn check(
        &self,
        _: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, tonic::Status> {
        let status = rpc::Status { code: 0, message: String::new(), details: Vec::new() };
        Ok(tonic::Response::new(CheckResponse {
            status: Some(status),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse::default())),
            dynamic_metadata: None,
        }))
    }
}

/// Serves the smallest `Check` that tonic can until it is ended, and says where.
pub(crate) fn do_nothing(address: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        println!("{{\"address\":\"{}\"}}", listener.local_addr().expect("it is bound"));
        tonic::transport::Server::builder()
            .add_service(AuthorizationServer::new(Nothing))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await
            .expect("it serves");
    });
}

/// One connection.
pub(crate) struct Asker {
    runtime: tokio::runtime::Runtime,
    send: SendRequest<Bytes>,
    authority: String,
}

impl Asker {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let send = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("it listens");
            stream.set_nodelay(true).expect("a TCP socket");
            let (send, connection) = h2::client::handshake(stream).await.expect("it speaks HTTP/2");
            tokio::spawn(connection);
            send
        });
        Self { runtime, send, authority: address.to_string() }
    }

    /// Asks `question` `count` times; gives checks in a second.
    pub(crate) fn ask_again(&mut self, question: &[u8], count: usize) -> f64 {
        let message = frame(question);
        let started = Instant::now();
        self.ask(count, move |_| message.clone());
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let count = count as f64;
        count / started.elapsed().as_secs_f64()
    }

    /// Asks each of `questions` once.
    pub(crate) fn ask_each(&mut self, questions: &[Vec<u8>]) {
        let messages: Vec<Bytes> = questions.iter().map(|question| frame(question)).collect();
        self.ask(messages.len(), move |number| messages[number].clone());
    }

    fn ask(&mut self, count: usize, message: impl Fn(usize) -> Bytes + Send + Sync + 'static) {
        let next = Arc::new(AtomicUsize::new(0));
        let message = Arc::new(message);
        self.runtime.block_on(async {
            let mut tasks = Vec::with_capacity(CONCURRENT);
            for _ in 0..CONCURRENT {
                let (send, next, message) = (self.send.clone(), Arc::clone(&next), Arc::clone(&message));
                let uri = format!("http://{}/envoy.service.auth.v3.Authorization/Check", self.authority);
                let task = async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return;
                        }
                        one(send.clone(), &uri, message(number)).await;
                    }
                };
                tasks.push(tokio::spawn(task));
            }
            for task in tasks {
                task.await.expect("every check is answered");
            }
        });
    }
}

/// A message of gRPC: not compressed, its length, itself.
fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("a short message"));
    frame.put_slice(message);
    frame.freeze()
}

/// One check; the answer must be an allow.
async fn one(send: SendRequest<Bytes>, uri: &str, message: Bytes) {
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request");
    let mut send = send.ready().await.expect("the connection stands");
    let (answer, mut body) = send.send_request(request, false).expect("room for a stream");
    body.send_data(message, true).expect("the stream is open");
    let mut body = answer.await.expect("an answer").into_body();
    let mut whole = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.expect("a whole answer");
        let _ = body.flow_control().release_capacity(data.len());
        whole.extend_from_slice(&data);
    }
    // The first field of an allow is an empty status: every number and text in it is the default.
    assert_eq!(
        whole.get(5..7),
        Some([0x0a, 0].as_slice()),
        "not allowed: {:?}",
        CheckResponse::decode(&whole[5..])
    );
}
