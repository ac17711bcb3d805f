use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

/// A server that answers `/wait` when the test allows it, panics on `/panic`, and answers everything else at
/// once.
struct Served {
    address: SocketAddr,
    gate: Arc<Notify>,
    end: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

async fn served() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ending) = watch::channel(false);
    let gate = Arc::new(Notify::new());
    let waiting = Arc::clone(&gate);
    let service = move |request: Request<Body>| -> PendingResponse {
        let gate = Arc::clone(&waiting);
        Box::pin(async move {
            match request.uri().path() {
                "/wait" => gate.notified().await,
                "/panic" => panic!("a defect"),
                _ => {}
            }
            Ok(Response::new(Body::empty()))
        })
    };
    let serving = tokio::spawn(serve(Door::Clear(listener), service, ending));
    Served { address, gate, end, serving }
}

/// A connection, and its result.
async fn connect(address: SocketAddr) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    (send, tokio::spawn(connection))
}

async fn ask(send: &SendRequest<Bytes>, path: &str) -> ResponseFuture {
    let request = Request::get(format!("http://authorizer{path}")).body(()).unwrap();
    send.clone().ready().await.unwrap().send_request(request, true).unwrap().0
}

#[tokio::test]
async fn a_waiting_request_delays_no_later_one() {
    let served = served().await;
    let (send, _connection) = connect(served.address).await;
    let waits = ask(&send, "/wait").await;
    for _ in 0..100 {
        assert_eq!(ask(&send, "/").await.await.unwrap().status(), 200);
    }
    served.gate.notify_one();
    assert_eq!(waits.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_defect_ends_one_exchange_and_not_its_neighbours() {
    let served = served().await;
    let (send, _connection) = connect(served.address).await;
    let neighbour = ask(&send, "/wait").await;
    let defect = ask(&send, "/panic").await.await.unwrap_err();
    assert!(defect.is_reset(), "{defect}");
    served.gate.notify_one();
    assert_eq!(neighbour.await.unwrap().status(), 200);
    assert_eq!(ask(&send, "/").await.await.unwrap().status(), 200);
}

#[tokio::test]
async fn at_the_end_open_exchanges_are_answered_and_nothing_new_is_taken() {
    let served = served().await;
    let (send, connection) = connect(served.address).await;
    let open = ask(&send, "/wait").await;
    // Answered, so the previous request has arrived as well.
    assert_eq!(ask(&send, "/").await.await.unwrap().status(), 200);
    served.end.send(true).unwrap();
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!served.serving.is_finished(), "an exchange is open");
    served.gate.notify_one();
    assert_eq!(open.await.unwrap().status(), 200);
    served.serving.await.unwrap();
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn nothing_is_kept_of_a_peer_that_went_away() {
    let served = served().await;
    let (send, connection) = connect(served.address).await;
    let _open = ask(&send, "/wait").await;
    assert_eq!(ask(&send, "/").await.await.unwrap().status(), 200);
    connection.abort();
    served.end.send(true).unwrap();
    // This would wait for the open exchange if it were kept.
    served.serving.await.unwrap();
}
