//! A body that a handler did not read does not cost the connection, so the edge can send the next request on it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::routing::post;
use kit::testing::Wire;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A service that reads the whole body, only its beginning, or nothing.
async fn service() -> Wire {
    let routes = Router::new()
        .route("/whole", post(async |body: Bytes| body.len().to_string()))
        .route("/nothing", post(async |_: Request| "answered"));
    let metrics = kit::Metrics::new("test").unwrap();
    Wire::start(kit::surface::surround_open(routes, Arc::new(|| Box::pin(async { true })), &metrics)).await
}

/// Sends a request with a body of `length` bytes, of which `sent` are sent, and returns the answer's head.
async fn post_body(stream: &mut TcpStream, path: &str, length: usize, sent: usize) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'a'; sent]).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{path}: the answer is whole");
    }
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    stream.read_exact(&mut vec![0; length - body.len()]).await.unwrap();
    head
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_goes_on_after_a_body_that_was_not_read() {
    let service = service().await;
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    for (path, length, status) in [
        ("/nothing", 1_000_000, "200"),
        ("/unknown", 300_000, "404"),
        // Longer than a body may be: its handler stops in the middle.
        ("/whole", 200_000, "413"),
        ("/whole", 10, "200"),
    ] {
        let head = post_body(&mut stream, path, length, length).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{path}: {head}");
        assert!(!head.contains("connection: close"), "{path}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_its_connection_says_so() {
    let service = service().await;
    // The first is too long to be read to its end, the second does not come.
    for (length, sent) in [(5_000_000, 10_000), (1_000, 10)] {
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        let head = post_body(&mut stream, "/nothing", length, sent).await;
        assert!(head.starts_with("http/1.1 200 ") && head.contains("connection: close"), "{head}");
    }
}
