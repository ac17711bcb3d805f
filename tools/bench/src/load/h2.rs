//! HTTP/2 in the clear: 4 connections with 8 requests each in progress, each request of the next session.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Request;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{Counted, percentile};
use crate::sessions::Sessions;

const CONNECTIONS: usize = 4;
const STREAMS: usize = 8;

/// Requests `path` as fast as it is answered.
///
/// # Panics
/// When a connection breaks.
pub(crate) fn run(address: SocketAddr, path: &str, sessions: &Sessions, duration: Duration) -> Counted {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let tokens = sessions.tokens();
    let next = Arc::new(AtomicUsize::new(sessions.next()));
    let uri = format!("http://localhost{path}");
    runtime.block_on(async move {
        let mut senders = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(address).await.expect("it listens");
            stream.set_nodelay(true).expect("the connection is open");
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("it speaks h2");
            tokio::spawn(connection);
            senders.push(sender);
        }
        let started = Instant::now();
        let until = started + duration;
        let asking: Vec<_> = (0..STREAMS)
            .flat_map(|_| senders.clone())
            .map(|sender| {
                let (tokens, next, uri) = (Arc::clone(&tokens), Arc::clone(&next), uri.clone());
                tokio::spawn(async move { ask(sender, &uri, &tokens, &next, until).await })
            })
            .collect();
        let (mut latencies, mut refused) = (Vec::new(), 0);
        for one in asking {
            let (some, not_200) = one.await.expect("asking does not panic");
            latencies.extend(some);
            refused += not_200;
        }
        let seconds = started.elapsed().as_secs_f64();
        latencies.sort_by(f64::total_cmp);
        Counted {
            requests: latencies.len().try_into().unwrap_or_default(),
            refused,
            seconds,
            p95_ms: percentile(&latencies, 0.95),
            p99_ms: percentile(&latencies, 0.99),
        }
    })
}

/// Sends one request after the other; returns the time of each in milliseconds, and the number of refusals.
async fn ask(
    mut sender: SendRequest<String>,
    uri: &str,
    tokens: &[String],
    next: &AtomicUsize,
    until: Instant,
) -> (Vec<f64>, u64) {
    let (mut latencies, mut refused) = (Vec::new(), 0);
    while Instant::now() < until {
        let number = next.fetch_add(1, Ordering::Relaxed) % tokens.len();
        let token = tokens.get(number).map(String::as_str).unwrap_or_default();
        let request = Request::get(uri)
            .header("user-agent", "bench")
            .header("cookie", format!("theme=dark; {}={token}", harness::SESSION_COOKIE))
            .body(String::new())
            .expect("the request is well-formed");
        let asked = Instant::now();
        let answer = sender.send_request(request).await.expect("it answers");
        refused += u64::from(answer.status() != 200);
        drain(answer.into_body()).await;
        latencies.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    (latencies, refused)
}

async fn drain(mut body: Incoming) {
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let _ = frame.expect("the answer is whole");
    }
}
