//! Reads and writes one connection.
//!
//! Not tokio's own type, for one reason: that type claims to write several pieces at once, and then the
//! HTTP/2 library passes every piece longer than 256 bytes to the system by itself: an answer and its
//! trailers are sent with two calls, and in two packets. For a stream without that claim the library collects
//! pieces shorter than [`PIECE`](crate::envoy::pieces::PIECE) into one. That call was the most expensive part
//! of a check.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A connection from Envoy.
#[derive(Debug)]
pub(super) enum CheckStream {
    /// From this machine.
    Clear(TcpStream),
    /// From this machine, through a socket.
    Unix(UnixStream),
    /// From a peer that showed a certificate.
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// The same call on whichever stream it is.
macro_rules! on {
    ($stream:expr, $call:ident($($argument:expr),+)) => {
        match $stream.get_mut() {
            CheckStream::Clear(stream) => Pin::new(stream).$call($($argument),+),
            CheckStream::Unix(stream) => Pin::new(stream).$call($($argument),+),
            CheckStream::Encrypted(stream) => Pin::new(stream.as_mut()).$call($($argument),+),
        }
    };
}

impl AsyncRead for CheckStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on!(self, poll_read(context, buffer))
    }
}

impl AsyncWrite for CheckStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on!(self, poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(self, poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(self, poll_shutdown(context))
    }
}
