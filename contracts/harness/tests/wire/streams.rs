//! Long connections: WebSockets, server-sent events and gRPC, through authorization, for longer than the time limit of
//! any request.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::result_large_err, reason = "the handshake of tungstenite has this type")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use harness::wire::h2;
use harness::{Backend, Edge, EdgeBuilder, Part, Port, pause};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Error, Message};

const BOOKS: &str = "prefix: /books, policy: signed-in, to: legacy, answers: library";
const LEGACY: &str = "legacy:\n    address: \"${LEGACY_ADDRESS:-127.0.0.1:3000}\"\n";

/// A request may wait this long for its answer; the streams of these tests live for three times that.
const PATIENCE: Duration = Duration::from_millis(700);

/// The dev edge with a short timeout for the legacy backend at `address`, and this text for `/books`.
fn edge(address: SocketAddr, words: &str) -> EdgeBuilder {
    let impatient = format!("{LEGACY}    request_timeout_ms: {}\n", PATIENCE.as_millis());
    Edge::dev().replace(LEGACY, &impatient).replace(BOOKS, words).stand_in("LEGACY_ADDRESS", address)
}

/// A WebSocket server that first sends the caller's subject, and then every message back.
fn echo() -> Port {
    let port = Port::lease();
    let listener = TcpListener::bind(port.address()).expect("a leased port can be bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut subject = String::new();
                let look = |request: &tungstenite::handshake::server::Request, answer| {
                    let header = request.headers().get("x-madome-auth-sub");
                    subject = header.and_then(|v| v.to_str().ok()).unwrap_or("no subject").to_owned();
                    Ok(answer)
                };
                let Ok(mut socket) = tungstenite::accept_hdr(stream, look) else { return };
                let mut next = Message::text(subject.clone());
                while socket.send(next).is_ok() {
                    match socket.read() {
                        Ok(message) => next = message,
                        Err(_) => return,
                    }
                }
            });
        }
    });
    port
}

fn websocket(edge: &Edge, token: Option<&str>) -> Result<tungstenite::WebSocket<TcpStream>, Option<u16>> {
    let mut request =
        format!("ws://localhost:{}/books/live?x=1", edge.public().port()).into_client_request().unwrap();
    if let Some(token) = token {
        let cookie = format!("madome_access_token={token}").parse().unwrap();
        request.headers_mut().insert("cookie", cookie);
    }
    request.headers_mut().insert("x-madome-auth-sub", "forged".parse().unwrap());
    let stream = TcpStream::connect(edge.public()).expect("the edge listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("it can be set");
    tungstenite::client(request, stream).map(|(socket, _)| socket).map_err(|error| match error {
        tungstenite::HandshakeError::Failure(Error::Http(answer)) => Some(answer.status().as_u16()),
        tungstenite::HandshakeError::Failure(_) | tungstenite::HandshakeError::Interrupted(_) => None,
    })
}

#[test]
fn a_websocket_goes_through_authorization_and_outlives_every_request() {
    let server = echo();
    let words = BOOKS.replace("answers", "upgrade: websocket, answers");
    let edge = edge(server.address(), &words).start();
    assert_eq!(websocket(&edge, None).err(), Some(Some(401)), "no WebSocket without a session");

    let mut socket = websocket(&edge, Some(&edge.mint().good(0))).expect("a WebSocket");
    let subject = socket.read().unwrap().into_text().unwrap();
    assert_eq!(subject.len(), 36, "the verified subject, not the forged one: {subject}");
    for round in 0..3 {
        pause(PATIENCE, "the time that a request may take passes without a message");
        let message = Message::text(format!("{round} after another {PATIENCE:?}"));
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    socket.close(None).unwrap();
}

#[test]
fn no_websocket_where_the_route_does_not_say_so() {
    let server = echo();
    let edge = edge(server.address(), BOOKS).start();
    let refused = websocket(&edge, Some(&edge.mint().good(0))).expect_err("no WebSocket");
    assert!(refused.is_none_or(|status| (400..500).contains(&status) || status == 503), "{refused:?}");
}

/// A server of events: one at once, and one after each pause. Before the first it waits for `silence`.
fn events(silence: Duration) -> Port {
    let port = Port::lease();
    let listener = TcpListener::bind(port.address()).expect("a leased port can be bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head);
                pause(silence, "the server is silent at first");
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                let _ = stream.write_all(head.as_bytes());
                for number in 0..4 {
                    let event = format!("data: {number}\n\n");
                    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                    if stream.write_all(chunk.as_bytes()).is_err() {
                        return;
                    }
                    pause(PATIENCE, "the time that a request may take passes between events");
                }
                let _ = stream.write_all(b"0\r\n\r\n");
            });
        }
    });
    port
}

#[test]
fn events_may_be_far_apart_where_the_route_says_so() {
    let server = events(PATIENCE * 2);
    let words = BOOKS.replace("answers", "stream: true, answers");
    let streaming = edge(server.address(), &words).start();
    assert_eq!(streaming.get("/books/events").send().status, 401);
    let answer = streaming.signed_in("/books/events").send();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!((0..4).all(|number| answer.text().contains(&format!("data: {number}\n\n"))), "{answer:?}");

    let ordinary = edge(server.address(), BOOKS).start();
    let answer = ordinary.signed_in("/books/events").send();
    assert_eq!(
        answer.status, 504,
        "a route without `stream` waits no longer than its backend is given: {answer:?}"
    );
}

#[test]
fn grpc_passes_with_its_trailers_and_without_forged_ones() {
    let port = Port::lease();
    let address = port.address();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(async move {
        let (reporter, service) = tonic_health::server::health_reporter();
        reporter.set_service_status("books", tonic_health::ServingStatus::Serving).await;
        tonic::transport::Server::builder().add_service(service).serve(address).await
    });
    let users = "users: { address: \"${USERS_ADDRESS:-127.0.0.1:3022}\" }";
    let edge = Edge::dev()
        .replace(users, &users.replace(" }", ", protocol: grpc }"))
        .replace(BOOKS, "prefix: /grpc.health.v1.Health, policy: signed-in, to: users, answers: library")
        .stand_in("USERS_ADDRESS", address)
        .without(Part::Auth)
        .start();
    let url = format!("http://localhost:{}", edge.public().port());
    let token = edge.mint().good(0);
    let (answer, unknown, anonymous) = runtime.block_on(async move {
        let channel =
            tonic::transport::Channel::from_shared(url).unwrap().connect().await.expect("the edge speaks h2");
        let mut client = HealthClient::new(channel);
        let mut ask = async |service: &str, token: Option<&str>| {
            let mut request = tonic::Request::new(HealthCheckRequest { service: service.to_owned() });
            if let Some(token) = token {
                let value = format!("Bearer {token}").parse().unwrap();
                request.metadata_mut().insert("authorization", value);
            }
            client.check(request).await
        };
        (ask("books", Some(&token)).await, ask("nothing", Some(&token)).await, ask("books", None).await)
    });
    assert_eq!(answer.expect("an answer").into_inner().status, 1, "SERVING");
    assert_eq!(unknown.expect_err("no such service").code(), tonic::Code::NotFound, "a status in a trailer");
    assert_eq!(anonymous.expect_err("no session").code(), tonic::Code::Unauthenticated);
}

#[test]
fn an_endpoint_that_refuses_connections_is_passed_over_and_no_unrepeatable_request_is_sent_twice() {
    // One endpoint refuses connections; the other answers.
    let (well, gone) = (Backend::plain(), Port::lease());
    let two = format!(
        "legacy:\n    addresses: [\"{}\", \"{}\"]\n    ejection: {{ failures: 0 }}\n",
        gone.address(),
        well.address()
    );
    let edge = Edge::dev()
        .replace(LEGACY, &two)
        .with_open_route()
        .every_backend(well.address())
        .without(Part::Authz)
        .start();
    for _ in 0..20 {
        assert_eq!(edge.get("/open").send().status, 200, "a GET is tried at the other endpoint");
    }
    let mut outcomes = std::collections::BTreeMap::new();
    for number in 0..40 {
        let answer = edge.request("POST", format!("/open/post-{number}")).body("x").send();
        *outcomes.entry(answer.status).or_insert(0) += 1;
        let seen =
            well.seen().iter().filter(|s| s.request_line().contains(&format!("post-{number} "))).count();
        assert!(seen <= 1, "a POST was sent twice");
    }
    assert!(
        outcomes.contains_key(&200) && outcomes.contains_key(&503),
        "a POST is not tried again: {outcomes:?}"
    );

    // With ejection on, the failing endpoint gets no more requests.
    let ejecting = two.replace("failures: 0", "failures: 2, pause_ms: 60000, most_percent: 50");
    let edge = Edge::dev()
        .replace(LEGACY, &ejecting)
        .with_open_route()
        .every_backend(well.address())
        .without(Part::Authz)
        .start();
    for _ in 0..30 {
        let _ = edge.request("POST", "/open").body("x").send();
    }
    assert_eq!(edge.envoy_stat("cluster.backend-legacy.outlier_detection.ejections_active"), Some(1));
    let statuses: Vec<u16> = (0..20).map(|_| edge.request("POST", "/open").body("x").send().status).collect();
    assert_eq!(statuses, vec![200; 20], "only the well one is asked");
}

#[test]
fn trailers_with_reserved_names_reach_no_backend_that_speaks_http_2() {
    let port = Port::lease();
    let address = port.address();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut connection = ::h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((mut request, mut respond))) = connection.accept().await {
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        while let Some(Ok(bytes)) = request.body_mut().data().await {
                            let _ = request.body_mut().flow_control().release_capacity(bytes.len());
                        }
                        let trailers = request.body_mut().trailers().await.ok().flatten().unwrap_or_default();
                        let _ = sender.send(trailers.keys().map(ToString::to_string).collect::<Vec<_>>());
                        let answer = http::Response::builder().status(200).body(()).unwrap();
                        let _ = respond.send_response(answer, true);
                    });
                }
            });
        }
    });
    let edge = Edge::dev()
        .replace(LEGACY, &format!("{LEGACY}    protocol: http2\n"))
        .with_open_route()
        .stand_in("LEGACY_ADDRESS", address)
        .without(Part::Authz)
        .without(Part::Auth)
        .start();
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    let stream = connection.begin(&h2::headers("POST", "localhost", "/open"), false);
    connection.data(stream, b"body", false);
    let trailer = |name: &str| (name.as_bytes().to_vec(), b"forged".to_vec());
    connection.trailers(
        stream,
        &[
            trailer("x-madome-auth-sub"),
            trailer("x-madome-identity"),
            trailer("x-tenant-id"),
            trailer("x-forwarded-for"),
            trailer("true-client-ip"),
            trailer("x-own"),
        ],
    );
    let outcome = connection.outcome(stream);
    assert_eq!(outcome.status(), Some(200), "{outcome:?}");
    let names = receiver.recv_timeout(Duration::from_secs(20)).expect("the backend read the request");
    assert!(names.iter().all(|name| name == "x-own"), "{names:?}");
}
