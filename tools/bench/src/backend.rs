//! The backend of every variant: answers at once with a small body.
//!
//! Three paths differ: `/books/up` returns the number of body bytes that it has read, `/books/down` sends a gibibyte, and the
//! answer of [`ENDLESS`] never ends.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

/// The size of the large bodies.
pub(crate) const GIBIBYTE: u64 = 1 << 30;

/// The path of an answer that begins and never ends.
pub(crate) const ENDLESS: &str = "/endless";

const SMALL: &[u8] = br#"{"id":"00000000-0000-7000-8000-0000000000a0","name":"Demo"}"#;
/// The size of one piece of a large body.
static PIECE: [u8; 65_536] = [b'd'; 65_536];

/// Starts it on a thread of its own; it ends with the process.
pub(crate) fn start() -> SocketAddr {
    listen(|stream| async move {
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .await;
    })
}

/// The same for HTTP/2 in the clear.
pub(crate) fn start_http2() -> SocketAddr {
    listen(|stream| async move {
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .await;
    })
}

fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            sender.send(listener.local_addr().expect("it is bound")).expect("the caller waits");
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream));
            }
        });
    });
    receiver.recv().expect("the backend starts")
}

async fn answer(request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
    let body = match request.uri().path() {
        "/books/down" => ResponseBody::Large(GIBIBYTE),
        ENDLESS => ResponseBody::Endless(Some(Bytes::from_static(SMALL))),
        "/books/up" => ResponseBody::Small(Some(count(request.into_body()).await.to_string().into())),
        _ => ResponseBody::Small(Some(Bytes::from_static(SMALL))),
    };
    Ok(Response::builder()
        .header("content-type", "application/json")
        .body(body)
        .expect("the answer is well-formed"))
}

async fn count(mut body: Incoming) -> u64 {
    let mut bytes = 0;
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    bytes
}

enum ResponseBody {
    Small(Option<Bytes>),
    /// The number of bytes that are still to send.
    Large(u64),
    /// The part that is still to send, after which nothing comes.
    Endless(Option<Bytes>),
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut *self {
            Self::Small(body) => body.take(),
            Self::Large(0) => None,
            Self::Large(left) => {
                let piece = Bytes::from_static(&PIECE);
                *left = left.saturating_sub(piece.len() as u64);
                Some(piece)
            }
            Self::Endless(start) => match start.take() {
                Some(start) => Some(start),
                // Nobody wakes it: the connection ends when its client closes it.
                None => return Poll::Pending,
            },
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Small(None) | Self::Large(0))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Small(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Large(left) => SizeHint::with_exact(*left),
            Self::Endless(_) => SizeHint::default(),
        }
    }
}
