//! What a handler leaves of a request's body is read before the answer is sent.
//!
//! A refusal often needs no body: 404 for an unknown path, 403 for a wrong role. When a server answers and leaves bytes of
//! the body in its socket, it has to close the connection, and closing a socket with unread bytes resets it (RFC 1122,
//! 4.2.2.13). The edge keeps connections and sends the next request on them, so the reset takes the place of this answer
//! or of the next one, which can be another client's: the edge answers 503.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CONNECTION, EXPECT};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::timeout;

/// How many bytes are read and dropped. The edge passes a mebibyte to a route without a limit of its own in a few
/// milliseconds; of more, a new connection is cheaper.
const MAX_BYTES: u64 = 1024 * 1024;

/// How long reading may take: a body that is on its way from the edge arrives at once.
const WITHIN: Duration = Duration::from_secs(1);

/// What is left of a body after its handler.
type Left = Arc<Mutex<Option<Body>>>;

/// Runs `answer` with `request`, and reads what it leaves of the body. When that is too much, or comes too slowly, the answer
/// announces that the connection ends.
pub(crate) async fn run(request: Request, answer: impl AsyncFnOnce(Request) -> Response) -> Response {
    // A client that waits for `100 Continue` sends its body when the server begins to read it.
    if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
        return answer(request).await;
    }
    let left = Left::default();
    let request = request.map(|body| Body::new(Lent { body: Some(body), left: Arc::clone(&left) }));
    let mut response = answer(request).await;
    let body = left.lock().take();
    if let Some(body) = body
        && !drained(body).await
    {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads `body` to its end, and returns whether that was reached.
async fn drained(mut body: Body) -> bool {
    if body.size_hint().lower() > MAX_BYTES {
        return false;
    }
    let read = async {
        let mut bytes = 0;
        loop {
            match std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            }
            if bytes > MAX_BYTES {
                return false;
            }
        }
    };
    timeout(WITHIN, read).await.unwrap_or(false)
}

/// A body that comes back when its reader drops it before the end.
struct Lent {
    body: Option<Body>,
    left: Left,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.left.lock() = Some(body);
        }
    }
}
