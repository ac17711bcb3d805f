//! How checks reach the legacy backend: by the addresses, the protocol and the certificates that the edge file gives it, as
//! Envoy reaches it with requests. Replaced certificates count for connections that begin ten seconds later or more.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use backend_connection::{Connector, Duplex, Opened};
use bytes::Bytes;
use edge_config::edge::Backend;
use http_body_util::Empty;
use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::credential::queried::BOUNDS;

/// A client of one backend, whatever host its requests name. It follows no redirect, and no proxy stands in between.
pub(super) type BackendClient = Client<Addresses, Empty<Bytes>>;

/// A client of `backend`. Does not connect yet.
pub(super) fn client(backend: &Backend) -> BackendClient {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(backend.idle_timeout)
        .pool_max_idle_per_host(BOUNDS.all)
        .build(Addresses { connector: Arc::default(), backend: Arc::new(backend.clone()) })
}

/// Opens connections to the first address of a backend that accepts one.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    connector: Arc<Connector>,
    backend: Arc<Backend>,
}

impl tower::Service<Uri> for Addresses {
    type Response = Link;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Link>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { connector, backend } = self.clone();
        Box::pin(async move {
            let Opened { stream, is_http2 } = connector.open(&backend).await?;
            Ok(Link { io: TokioIo::new(stream), is_http2 })
        })
    }
}

/// An open connection.
pub(super) struct Link {
    io: TokioIo<Box<dyn Duplex>>,
    is_http2: bool,
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
