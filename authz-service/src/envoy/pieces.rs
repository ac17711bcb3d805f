//! Cuts an answer into pieces that are small enough to be sent together with other output.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tonic::Status;
use tonic::body::Body;

/// The largest piece. The HTTP/2 library copies pieces shorter than 1,024 bytes into its write buffer, and
/// writes longer ones by themselves.
pub(crate) const PIECE: usize = 1_000;

/// A body that is sent in pieces.
#[derive(Debug)]
pub(super) struct Pieces {
    whole: Body,
    rest: Bytes,
}

impl Pieces {
    pub(super) fn of(whole: Body) -> Self {
        Self { whole, rest: Bytes::new() }
    }

    fn next(&mut self) -> Frame<Bytes> {
        Frame::data(self.rest.split_to(self.rest.len().min(PIECE)))
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.next())));
        }
        let Some(frame) = ready!(Pin::new(&mut self.whole).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(frame.map(|frame| match frame.into_data() {
            Ok(data) => {
                self.rest = data;
                self.next()
            }
            Err(trailers) => trailers,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.whole.is_end_stream()
    }
}
