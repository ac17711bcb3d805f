//! Connects to one broker, in the clear or over TLS.
//!
//! The library's own TLS brings its reader of PKCS #12 with it, and so DES and RC2. It takes a transport of ours instead.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_compat::Compat;
use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use async_rs::{Runtime, Tokio};
use futures_util::Stream;
use lapin::tcp::AsyncTcpStream;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::address::Entry;

/// A connection, encrypted or not.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

type Transport = Compat<Box<dyn Duplex>>;

impl Entry {
    /// Connects and signs in. The broker lists the connection under `name`. The caller limits the time.
    ///
    /// # Errors
    /// The library's error, without the password.
    pub async fn connect(self, name: &str) -> lapin::Result<Connection> {
        let Self { uri, tls } = self;
        let runtime = Runtime::new(Own(Tokio::current()));
        let open = async move |uri: AMQPUri, _: Runtime<Own>| {
            let stream = open(&uri, tls.clone()).await?;
            Ok(AsyncTcpStream::Plain(Compat::new(stream)))
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        Connection::connector(uri, runtime, open, properties).await
    }
}

async fn open(uri: &AMQPUri, tls: Option<Arc<ClientConfig>>) -> io::Result<Box<dyn Duplex>> {
    let host = uri.authority.host.as_str();
    let stream = TcpStream::connect((host, uri.authority.port)).await?;
    stream.set_nodelay(true)?;
    let Some(config) = tls else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let shaken = TlsConnector::from(config).connect(name, stream).await;
    let failed = |error: io::Error| {
        io::Error::other(format!(
            "no TLS: {error}; is this the port for TLS, and is the host in its certificate?"
        ))
    };
    Ok(Box::new(shaken.map_err(failed)?))
}

/// The library's Tokio with another kind of stream.
#[derive(Clone, Debug)]
struct Own(Tokio);

impl RuntimeKit for Own {}

impl Executor for Own {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(work)
    }
}

impl Reactor for Own {
    type TcpStream = Transport;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// The library registers no handles of its own.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl futures_io::AsyncRead + futures_io::AsyncWrite + Send + Unpin + 'static> {
        Err::<Transport, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(time)
    }

    #[expect(clippy::manual_async_fn, reason = "the trait asks for a future that borrows nothing")]
    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        async move {
            let stream: Box<dyn Duplex> = Box::new(TcpStream::connect(address).await?);
            Ok(Compat::new(stream))
        }
    }
}
