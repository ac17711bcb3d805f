//! Stopping: running requests finish, idle connections are closed, and no new connection is accepted.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use kit::startup::HeaderCase;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};

#[tokio::test]
async fn a_request_that_is_under_way_is_finished() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gates = (Arc::clone(&entered), Arc::clone(&release));
    let slow = move || {
        let (entered, release) = gates.clone();
        async move {
            entered.notify_one();
            release.notified().await;
            "finished"
        }
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = Router::new().route("/", get(slow));
    let server = tokio::spawn(kit::startup::serve(listener, router, HeaderCase::Lower, async {
        stopped.await.unwrap();
    }));

    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    entered.notified().await;
    stop.send(()).unwrap();
    let mut rest = Vec::new();
    assert_eq!(idle.read_to_end(&mut rest).await.unwrap(), 0, "an idle connection is closed");
    assert!(TcpStream::connect(address).await.is_err(), "no new connection is accepted");
    release.notify_one();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("finished"), "{answer}");
    server.await.unwrap();
}
