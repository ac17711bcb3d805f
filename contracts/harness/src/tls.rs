//! TLS connections to an edge: a tunnel for tests that send bytes, and handshakes to inspect.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::ports::Port;

/// Listens in the clear and carries every byte through TLS to an edge, until the test ends.
pub struct Tunnel {
    port: Port,
}

impl Tunnel {
    /// A tunnel to `edge`, whose certificate is the one in `certificate`.
    ///
    /// # Panics
    /// When it cannot listen, or the certificate cannot be read.
    #[must_use]
    pub fn to(edge: SocketAddr, certificate: &Path) -> Self {
        let port = Port::lease();
        let listener = std::net::TcpListener::bind(port.address()).expect("a leased port can be bound");
        listener.set_nonblocking(true).expect("it can be set");
        let connector = connector(certificate, &[]);
        std::thread::spawn(move || {
            let runtime = runtime();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("it is a listener");
                while let Ok((mut inside, _)) = listener.accept().await {
                    let connector = connector.clone();
                    tokio::spawn(async move {
                        let outside = TcpStream::connect(edge).await?;
                        let mut outside = connector.connect(name(), outside).await?;
                        tokio::io::copy_bidirectional(&mut inside, &mut outside).await
                    });
                }
            });
        });
        Self { port }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

/// The result of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The negotiated protocol (ALPN).
    pub protocol: Option<String>,
    /// The presented certificate, DER.
    pub certificate: Vec<u8>,
}

/// Performs a handshake with `edge`, trusting the certificate in `certificate` and offering `protocols`.
///
/// # Errors
/// The connection failed, or the edge has another certificate.
///
/// # Panics
/// When the certificate cannot be read.
pub fn handshake(edge: SocketAddr, certificate: &Path, protocols: &[&str]) -> io::Result<Handshake> {
    let connector = connector(certificate, protocols);
    runtime().block_on(async {
        let stream = connector.connect(name(), TcpStream::connect(edge).await?).await?;
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        Ok(Handshake {
            protocol: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            certificate: shown.map(|certificate| certificate.as_ref().to_vec()).unwrap_or_default(),
        })
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("it is a name")
}

fn connector(certificate: &Path, protocols: &[&str]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(certificate).expect("the certificate is PEM");
    roots.add(certificate).expect("it can be trusted");
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}
