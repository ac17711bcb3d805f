//! Connects to a backend as the edge does: in the clear, or over TLS with the certificate verified by the same rules.
//!
//! The programs beside the edge that query backends themselves (the comparator, `cutover answers`) would otherwise reach a
//! backend that the edge refuses, or fail at one that it reaches.

mod verify;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_config::edge::{Backend, BackendTls, ClientCertificate, Endpoint, Protocol};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// How long the files of a backend are used before they are read again: a replaced certificate counts soon, and a bundle of
/// public authorities (200 KB) is not parsed for each connection.
const FRESH: Duration = Duration::from_secs(10);

/// A bundle of all public authorities has 200 KB.
const MAX_FILE_BYTES: u64 = 4 * 1_024 * 1_024;

/// A connection, encrypted or not.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open connection to a backend.
pub struct Opened {
    /// The connection.
    pub stream: Box<dyn Duplex>,
    /// Whether HTTP/2 is spoken on it; otherwise HTTP/1.1.
    pub is_http2: bool,
}

/// Opens connections, and remembers the files of certificates for a few seconds.
#[derive(Default)]
pub struct Connector {
    // As many as the edge has backends.
    known: Mutex<Vec<Known>>,
}

struct Known {
    tls: BackendTls,
    protocol: Protocol,
    config: Arc<ClientConfig>,
    read: Instant,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    /// A connection to the first of the backend's addresses that accepts one, each within its `connect_timeout`.
    ///
    /// # Errors
    /// The error of the last address: no connection, or no valid certificate.
    pub async fn open(&self, backend: &Backend) -> io::Result<Opened> {
        let mut last = io::ErrorKind::NotFound.into();
        for endpoint in &backend.endpoints {
            let opening = self.open_at(endpoint, backend.tls.as_ref(), backend.protocol);
            match tokio::time::timeout(backend.connect_timeout, opening).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }

    /// A connection to `endpoint`. The caller limits its time.
    ///
    /// # Errors
    /// No connection, no valid certificate, or files that cannot be used.
    pub async fn open_at(
        &self,
        endpoint: &Endpoint,
        tls: Option<&BackendTls>,
        protocol: Protocol,
    ) -> io::Result<Opened> {
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = tls else {
            let is_http2 = match protocol {
                Protocol::Http1 | Protocol::Auto => false,
                Protocol::Http2 | Protocol::Grpc => true,
            };
            return Ok(Opened { stream: Box::new(stream), is_http2 });
        };
        let config = self.config(tls, protocol).await?;
        let name = ServerName::try_from(tls.name_at(endpoint).to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        let agreed = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        let is_http2 = match protocol {
            Protocol::Http1 => false,
            Protocol::Auto => agreed,
            // Envoy speaks it even where the backend has not agreed, too.
            Protocol::Http2 | Protocol::Grpc => true,
        };
        Ok(Opened { stream: Box::new(stream), is_http2 })
    }

    async fn config(&self, tls: &BackendTls, protocol: Protocol) -> io::Result<Arc<ClientConfig>> {
        let is_meant = |known: &Known| known.tls == *tls && known.protocol == protocol;
        let fresh = {
            let known = self.known.lock();
            let fresh = |known: &&Known| is_meant(known) && known.read.elapsed() < FRESH;
            known.iter().find(fresh).map(|known| Arc::clone(&known.config))
        };
        if let Some(config) = fresh {
            return Ok(config);
        }
        let rules = tls.clone();
        let config = tokio::task::spawn_blocking(move || config(&rules, protocol)).await??;
        let config = Arc::new(config);
        let mut known = self.known.lock();
        // Also forgets the backends of earlier edge files.
        known.retain(|known| known.read.elapsed() < FRESH && !is_meant(known));
        let entry = Known { tls: tls.clone(), protocol, config: Arc::clone(&config), read: Instant::now() };
        known.push(entry);
        Ok(config)
    }
}

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

fn config(tls: &BackendTls, protocol: Protocol) -> io::Result<ClientConfig> {
    let BackendTls { ca, sni: _, client, pins } = tls;
    let unusable = |path: &std::path::Path, what: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
    };
    let certificates = |path: &std::path::Path| -> io::Result<Vec<CertificateDer<'static>>> {
        let length = std::fs::metadata(path).map_err(|error| unusable(path, &error))?.len();
        if length > MAX_FILE_BYTES {
            return Err(unusable(path, &format!("it has more than {MAX_FILE_BYTES} bytes")));
        }
        let content = std::fs::read(path).map_err(|error| unusable(path, &error))?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
        let found = found.map_err(|error| unusable(path, &error))?;
        if found.is_empty() { Err(unusable(path, &"it contains no certificate")) } else { Ok(found) }
    };
    let verifier = verify::verifier(certificates(ca)?, pins.clone()).map_err(|what| unusable(ca, &what))?;
    let builder = verify::with(verifier).map_err(io::Error::other)?;
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(ClientCertificate { certificate, key }) => {
            let secret =
                secret_file::read(key, secret_file::MAX_KEY_BYTES).map_err(|error| unusable(key, &error))?;
            let secret = PrivateKeyDer::from_pem_slice(secret.as_bytes())
                .map_err(|_| unusable(key, &"it contains no private key"))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, secret)
                .map_err(|error| unusable(certificate, &error))?
        }
    };
    config.alpn_protocols = match protocol {
        Protocol::Http1 => vec![HTTP1.to_vec()],
        Protocol::Http2 | Protocol::Grpc => vec![HTTP2.to_vec()],
        Protocol::Auto => vec![HTTP2.to_vec(), HTTP1.to_vec()],
    };
    // Each connection verifies the certificate, as in the edge.
    config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
    Ok(config)
}
