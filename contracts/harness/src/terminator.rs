//! A server of TLS in front of a backend: it ends TLS and passes the bytes inside on, both ways.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::authority::Pair;
use crate::ports::Port;

/// What a client said in a handshake that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name that it asked for.
    pub name: Option<String>,
    /// The protocol that was agreed upon (ALPN).
    pub protocol: Option<String>,
    /// Its certificate, DER.
    pub certificate: Option<Vec<u8>>,
}

/// Listens with TLS until it is dropped.
pub struct Terminator {
    port: Port,
    seen: Arc<Mutex<Vec<Hello>>>,
}

impl Terminator {
    /// Ends TLS in front of `backend`: with the certificate `pair`, speaking one of `protocols` (ALPN; any when there is none),
    /// and requiring a certificate of the authority in `clients`, when there is one.
    ///
    /// # Panics
    /// When it cannot listen, or a file is not PEM.
    #[must_use]
    pub fn before(backend: SocketAddr, pair: &Pair, protocols: &[&str], clients: Option<&Path>) -> Self {
        let port = Port::lease();
        let listener = std::net::TcpListener::bind(port.address()).expect("a leased port can be bound");
        listener.set_nonblocking(true).expect("it can be set");
        let acceptor = TlsAcceptor::from(Arc::new(config(pair, protocols, clients)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::from_std(listener).expect("it is a listener");
                while let Ok((outside, _)) = listener.accept().await {
                    let (acceptor, all) = (acceptor.clone(), Arc::clone(&all));
                    tokio::spawn(async move {
                        let mut outside = acceptor.accept(outside).await?;
                        let (_, session) = outside.get_ref();
                        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                        let shown = session.peer_certificates().and_then(<[_]>::first);
                        all.lock().expect("no thread panicked").push(Hello {
                            name: session.server_name().map(str::to_owned),
                            protocol: session.alpn_protocol().map(text),
                            certificate: shown.map(|shown| shown.as_ref().to_vec()),
                        });
                        let mut inside = TcpStream::connect(backend).await?;
                        tokio::io::copy_bidirectional(&mut outside, &mut inside).await
                    });
                }
            });
        });
        Self { port, seen }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Every handshake so far that succeeded.
    ///
    /// # Panics
    /// When its thread panicked.
    #[must_use]
    pub fn seen(&self) -> Vec<Hello> {
        self.seen.lock().expect("no thread panicked").clone()
    }
}

fn config(pair: &Pair, protocols: &[&str], clients: Option<&Path>) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has them");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(ca).expect("it is PEM")).expect("it can be trusted");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("there is an authority"))
        }
    };
    let chain = CertificateDer::from_pem_file(&pair.certificate).expect("the certificate is PEM");
    let key = PrivateKeyDer::from_pem_file(&pair.key).expect("the key is PEM");
    let mut config = builder.with_single_cert(vec![chain], key).expect("they fit together");
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}
