//! The backend of every variant: answers at once with a small body.

use std::convert::Infallible;
use std::net::SocketAddr;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

const BODY: &str = r#"{"id":"00000000-0000-7000-8000-0000000000a0","name":"Demo"}"#;

/// Starts it on a thread of its own; it ends with the process.
pub(crate) fn start() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            sender.send(listener.local_addr().expect("it is bound")).expect("somebody waits");
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move {
                    let answer = service_fn(|_: Request<Incoming>| async {
                        let answer = Response::builder()
                            .header("content-type", "application/json")
                            .body(BODY.to_owned());
                        Ok::<_, Infallible>(answer.expect("the answer is well-formed"))
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
    });
    receiver.recv().expect("the backend starts")
}
