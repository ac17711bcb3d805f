//! Serves the connections that checks arrive on.
//!
//! **One task serves a connection and everything on it.** It works in turns: it reads all available input,
//!   decides every check in it, and sends all answers with one write. With one task for each check, each
//!   answer would be sent by itself, and that call is the most expensive part of a check. Decisions take
//!   microseconds, and a decision that waits (for Redis or a source of keys) does not delay the others. Envoy
//!   has one connection for each of its workers, so checks still use as many cores as Envoy does.

use std::convert::Infallible;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::codegen::http::{Request, Response};

use crate::server::door::{Door, Unproved};
use crate::server::stream::CheckStream;
use crate::shutdown::ended;

/// How many checks one connection may have open. Envoy's own circuit breaker stops at the same number, and a
/// decision takes microseconds: more would only wait here instead of there.
const MAX_STREAMS: u32 = 1_024;

/// How many checks one connection may hold that Envoy cancelled before they were read; one more closes it,
/// and with it every check on it. Envoy cancels a check at its deadline, 200 ms by default, so when this
/// program cannot run for a moment, up to [`MAX_STREAMS`] are cancelled at once, and as many again with each
/// further deadline. Four deadlines are 0.8 s, close to the longest possible deadline; the library's own
/// bound of 20 would let one short pause fail every open check. Each costs about a hundred bytes until it is
/// read.
const MAX_RESETS: usize = 4 * 1_024;

/// A peer that vanished silently is noticed after this and [`KEEPALIVE_TIMEOUT`]. Envoy keeps its connections
/// open, and an idle one costs one ping in this time.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long the answer to a ping may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause after a connection could not be accepted: the process has then run out of file descriptors, and
/// an immediate retry would only use CPU until one is free.
const PAUSE: Duration = Duration::from_millis(50);

/// The result of one request: always an answer.
pub(super) type PendingResponse = BoxFuture<Response<Body>, Infallible>;

/// Accepts connections from `door` and answers their requests with `service`, until `ending` is set. Then it
/// accepts no more, sends GOAWAY on every open one, and returns when the last check on them is answered.
/// Dropped before that, it closes them all.
pub(super) async fn serve(
    door: Door,
    service: impl Fn(Request<Body>) -> PendingResponse + Clone + Send + Sync + 'static,
    ending: watch::Receiver<bool>,
) {
    let mut open = JoinSet::new();
    let unproved = Unproved::default();
    let mut end = pin!(ended(ending.clone()));
    loop {
        tokio::select! {
            () = &mut end => break,
            taken = door.accept(&unproved) => match taken {
                Ok(arrival) => {
                    let (service, ending) = (service.clone(), ending.clone());
                    open.spawn(async move {
                        if let Some(stream) = arrival.proved().await {
                            answer(stream, service, ending).await;
                        }
                    });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = open.join_next() => {}
        }
    }
    drop(door);
    while open.join_next().await.is_some() {}
}

/// The peer left before it was accepted. The next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Serves one connection.
async fn answer(
    stream: CheckStream,
    service: impl Fn(Request<Body>) -> PendingResponse,
    ending: watch::Receiver<bool>,
) {
    let begun = Begun::default();
    let service = service_fn(|request: Request<Incoming>| service(request.map(Body::new)));
    let connection = http2::Builder::new(begun.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut end = pin!(ended(ending).fuse());
    let mut open = FuturesUnordered::new();
    let outcome = std::future::poll_fn(|context: &mut Context<'_>| {
        if end.as_mut().poll(context).is_ready() {
            connection.as_mut().graceful_shutdown();
        }
        // Reads the available input, then decides, then comes back to write the answers, until nothing moves.
        loop {
            if let Poll::Ready(outcome) = connection.as_mut().poll(context) {
                return Poll::Ready(outcome);
            }
            let mut moved = begun.drain_into(&mut open);
            while let Poll::Ready(Some(())) = open.poll_next_unpin(context) {
                moved = true;
            }
            if !moved {
                return Poll::Pending;
            }
        }
    })
    .await;
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended");
    }
}

/// A check from its request to its answer.
type Exchange = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The checks that the connection has begun and that no task works on yet. The HTTP/2 library would start a
/// task for each; here it puts them into this list, and the task of the connection picks them up. The number
/// of open streams bounds it.
#[derive(Clone, Default)]
struct Begun(Arc<Mutex<Vec<Exchange>>>);

impl Begun {
    /// Moves all of them to `open`. Returns whether there were any.
    fn drain_into(&self, open: &mut FuturesUnordered<Exchange>) -> bool {
        // No code under this lock can panic.
        let mut begun = self.0.lock();
        let some = !begun.is_empty();
        open.extend(begun.drain(..));
        some
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Begun {
    fn execute(&self, exchange: F) {
        // A defect in one check ends that check, not the connection and the others on it: the panic is
        // logged, and Envoy sees a reset stream, which it treats as a failure.
        let exchange = AssertUnwindSafe(exchange).catch_unwind().map(drop);
        self.0.lock().push(Box::pin(exchange));
    }
}

#[cfg(test)]
mod tests;
