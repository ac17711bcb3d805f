//! The connections that checks come over.
//!
//! **One task for a connection and everything on it.** What is asked over a connection is answered in turns: whatever
//! has arrived is read, every check of it is decided, and all answers leave with one write. A task for each check would
//! have each answer leave by itself, and that call is the most expensive part of a check. Decisions take microseconds,
//! and what one waits for (Redis, a source of keys) nobody else waits for: the others go on. Envoy has a connection for
//! each of its workers, so that checks still use as many cores as Envoy does.

use std::convert::Infallible;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::codegen::http::{Request, Response};

use crate::server::door::{Door, Unproved};
use crate::server::stream::CheckStream;
use crate::shutdown::ended;

/// How many checks one connection may have open. Envoy's own circuit breaker stops at as many, and a decision
/// takes microseconds: more would only wait here instead of there.
const MAX_STREAMS: u32 = 1_024;

/// How many checks that were given up before they were taken one connection may hold; one more closes it, and with
/// it every check beside them. Envoy gives a check up after its deadline, 200 ms by default, so when this program
/// cannot run for a moment, as many as [`MAX_STREAMS`] come back at once, and as many again with each further
/// deadline. Four deadlines are 0.8 s, close to the longest deadline that there is; the library's own bound of 20
/// would let one short pause fail everything that is open. Each costs some hundred bytes until it is taken.
const MAX_RESETS: usize = 4 * 1_024;

/// A peer that is gone without a word is noticed after this and [`KEEPALIVE_TIMEOUT`]. Envoy keeps its connections
/// open, and a quiet one costs one ping in this time.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long an answer to a ping may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long no connection is taken after one could not be: that is so when the process has no file descriptor left,
/// and asking again at once would only burn a core until it has.
const PAUSE: Duration = Duration::from_millis(50);

/// What becomes of one request: always an answer.
pub(super) type Answer = BoxFuture<Response<Body>, Infallible>;

/// Takes connections from `door` and answers what is asked over them with `service`, until `ending` says so. Then
/// takes no more, tells every open one to end (GOAWAY), and returns when the last check on them is answered. Dropped
/// before that, it closes them all.
pub(super) async fn serve(
    door: Door,
    service: impl Fn(Request<Body>) -> Answer + Clone + Send + Sync + 'static,
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
                    tracing::warn!(%error, "no connection can be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = open.join_next() => {}
        }
    }
    drop(door);
    while open.join_next().await.is_some() {}
}

/// The peer went away before it was taken. The next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Everything that is asked over one connection.
async fn answer(
    stream: CheckStream,
    service: impl Fn(Request<Body>) -> Answer,
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
        // Reads what arrived, then decides about it, then comes back to write the answers, until nothing moves.
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

/// A check from its question to its answer.
type Exchange = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The checks that the connection has begun and nobody works on yet. Where the HTTP/2 library would start a task for
/// each, they are put here, and the task of the connection takes them. As many as there may be open streams.
#[derive(Clone, Default)]
struct Begun(Arc<Mutex<Vec<Exchange>>>);

impl Begun {
    /// Whether there were any.
    fn drain_into(&self, open: &mut FuturesUnordered<Exchange>) -> bool {
        // Nothing that can panic is done under this lock.
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let some = !begun.is_empty();
        open.extend(begun.drain(..));
        some
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Begun {
    fn execute(&self, exchange: F) {
        // A defect in one ends that one, not the connection and everything beside it: the panic is in the log, and Envoy
        // sees a stream that was reset, which it takes for a failure.
        let exchange = AssertUnwindSafe(exchange).catch_unwind().map(drop);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(exchange));
    }
}

#[cfg(test)]
mod tests;
