//! TLS connections to an edge: a tunnel for tests that send bytes, and handshakes to inspect.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::authority::Pair;
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
        Self::presenting(edge, certificate, None)
    }

    /// The same, with a certificate of the client's own.
    ///
    /// # Panics
    /// When it cannot listen, or a certificate cannot be read.
    #[must_use]
    pub fn presenting(edge: SocketAddr, certificate: &Path, own: Option<&Pair>) -> Self {
        Self::through(edge, connector_with(certificate, &[], own))
    }

    /// The same, where the handshake agrees upon one of `protocols` (ALPN).
    ///
    /// # Panics
    /// When it cannot listen, or the certificate cannot be read.
    #[must_use]
    pub fn speaking(edge: SocketAddr, certificate: &Path, protocols: &[&str]) -> Self {
        Self::through(edge, connector(certificate, protocols))
    }

    fn through(edge: SocketAddr, connector: TlsConnector) -> Self {
        let port = Port::lease();
        let listener = std::net::TcpListener::bind(port.address()).expect("a leased port can be bound");
        listener.set_nonblocking(true).expect("it can be set");
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
    handshake_as(edge, "localhost", certificate, protocols)
}

/// The same, where the edge must have a certificate for `name`, issued or signed by the one in `certificate`.
///
/// # Errors
/// The connection failed, or the edge has another certificate.
///
/// # Panics
/// When the certificate cannot be read, or the name is not a DNS name.
pub fn handshake_as(
    edge: SocketAddr,
    name: &str,
    certificate: &Path,
    protocols: &[&str],
) -> io::Result<Handshake> {
    shake(edge, name, &connector(certificate, protocols))
}

/// The certificate, DER, that `edge` presents to a client that asks for `name`, or for none. The client accepts any.
///
/// # Errors
/// The connection failed.
///
/// # Panics
/// When the name is not a DNS name.
pub fn presented(edge: SocketAddr, name: Option<&str>) -> io::Result<Vec<u8>> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    config.enable_sni = name.is_some();
    let shaken = shake(edge, name.unwrap_or("localhost"), &TlsConnector::from(Arc::new(config)))?;
    Ok(shaken.certificate)
}

/// Accepts every certificate, to look at it.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn shake(edge: SocketAddr, name: &str, connector: &TlsConnector) -> io::Result<Handshake> {
    let name = ServerName::try_from(name.to_owned()).expect("it is a name");
    runtime().block_on(async {
        let stream = connector.connect(name, TcpStream::connect(edge).await?).await?;
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

pub(crate) fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("it is a name")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub(crate) fn connector(certificate: &Path, protocols: &[&str]) -> TlsConnector {
    connector_with(certificate, protocols, None)
}

fn connector_with(certificate: &Path, protocols: &[&str], own: Option<&Pair>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(certificate).expect("the certificate is PEM");
    roots.add(certificate).expect("it can be trusted");
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots);
    let mut config = match own {
        Some(pair) => {
            let chain = CertificateDer::from_pem_file(&pair.certificate).expect("the certificate is PEM");
            let key = PrivateKeyDer::from_pem_file(&pair.key).expect("the key is PEM");
            builder.with_client_auth_cert(vec![chain], key).expect("they fit together")
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}
