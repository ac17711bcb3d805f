//! TLS between Envoy and this program: both present a certificate, and each trusts only the CA certificates
//! in its configuration.
//!
//! The three files are read again when they change. New connections get the new certificate; open ones
//! continue, and no request is lost. A certificate and a key that do not match, as while one of two files is
//! replaced, change nothing.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use secret_file::MAX_KEY_BYTES;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName,
};
use tokio_rustls::rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, version};
use tokio_rustls::server::TlsStream;

use crate::source::file::WatchedFile;
use crate::source::{Reloads, Source};

/// A chain of certificates has a few kilobytes, a bundle of all public CAs 200.
const MAX_BYTES: u64 = 1_048_576;
/// A list of a million revoked certificates has 40 MB.
const MAX_LIST_BYTES: u64 = 67_108_864;

/// The certificate files, and the names of permitted clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The CA certificates that clients are verified with, PEM.
    pub ca: PathBuf,
    /// The certificate chain to present, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// A client's certificate must be valid for one of these names; an empty list permits every certificate
    /// of the CAs.
    pub clients: Vec<ServerName<'static>>,
}

/// Unusable files.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}; AUTHZ_TLS_CA, AUTHZ_TLS_CERTIFICATE and AUTHZ_TLS_KEY name PEM files", path = path.display())]
pub struct UnusableTls {
    path: PathBuf,
    what: String,
}

impl UnusableTls {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its fault.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

/// The TLS configuration for new connections.
#[derive(Debug)]
pub struct Tls {
    config: ArcSwap<ServerConfig>,
    clients: Vec<ServerName<'static>>,
}

impl Tls {
    /// Reads the files. The second value watches them: pass it to a watcher.
    ///
    /// # Errors
    /// [`UnusableTls`], naming the file.
    pub fn open(files: &TlsFiles, reloads: Reloads) -> Result<(Arc<Self>, TlsSource), UnusableTls> {
        let pieces = Pieces {
            ca: Piece::read(&files.ca)?,
            certificate: Piece::read(&files.certificate)?,
            key: Piece::read(&files.key)?,
        };
        let config = ArcSwap::from_pointee(pieces.config()?);
        let tls = Arc::new(Self { config, clients: files.clients.clone() });
        let source = TlsSource { pieces, tls: Arc::clone(&tls), reloads, trouble: None };
        Ok((tls, source))
    }

    /// Performs the handshake with the peer of `stream`, and requires a valid certificate.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let stream = TlsAcceptor::from(self.config.load_full()).accept(stream).await?;
        if self.clients.is_empty() {
            return Ok(stream);
        }
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let shown = shown.and_then(|certificate| ParsedCertificate::try_from(certificate).ok());
        let counts = shown
            .is_some_and(|shown| self.clients.iter().any(|name| verify_server_name(&shown, name).is_ok()));
        if counts {
            Ok(stream)
        } else {
            Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "its certificate has none of AUTHZ_TLS_CLIENTS",
            ))
        }
    }
}

/// One file and its last content.
struct Piece {
    file: WatchedFile,
    content: Vec<u8>,
}

impl Piece {
    fn read(path: &Path) -> Result<Self, UnusableTls> {
        Self::of_at_most(path, MAX_BYTES)
    }

    fn of_at_most(path: &Path, bytes: u64) -> Result<Self, UnusableTls> {
        let mut file = WatchedFile::new(path, bytes);
        match file.poll() {
            Ok(content) => Ok(Self { file, content: content.unwrap_or_default() }),
            Err(error) => Err(UnusableTls { path: path.to_owned(), what: error.to_string() }),
        }
    }

    fn authorities(&self) -> Result<RootCertStore, UnusableTls> {
        let mut roots = RootCertStore::empty();
        for authority in self.certificates()? {
            roots.add(authority).map_err(|error| self.unusable(&error))?;
        }
        Ok(roots)
    }

    /// Reads the private key from a file that only its owner can read.
    fn secret(&self) -> Result<PrivateKeyDer<'static>, UnusableTls> {
        let secret =
            secret_file::read(self.file.path(), MAX_KEY_BYTES).map_err(|error| self.unusable(&error))?;
        // Names the kind of item that is missing, never the content.
        PrivateKeyDer::from_pem_slice(secret.as_bytes())
            .map_err(|_| self.unusable(&"it contains no private key"))
    }

    fn unusable(&self, what: &dyn Display) -> UnusableTls {
        UnusableTls { path: self.file.path().to_owned(), what: what.to_string() }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, UnusableTls> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.content).collect();
        let all = all.map_err(|error| self.unusable(&error))?;
        if all.is_empty() { Err(self.unusable(&"it contains no certificate")) } else { Ok(all) }
    }
}

struct Pieces {
    ca: Piece,
    certificate: Piece,
    key: Piece,
}

impl Pieces {
    fn config(&self) -> Result<ServerConfig, UnusableTls> {
        let Self { ca, certificate, key } = self;
        let roots = ca.authorities()?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| ca.unusable(&error))?;
        let shown = certificate.certificates()?;
        let secret = key.secret()?;
        // Both ends belong to this project: only the newest version is needed.
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| certificate.unusable(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(shown, secret)
            .map_err(|error| certificate.unusable(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session presents no certificate, so every connection must do a full handshake.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

/// Checks that the PEM files `certificate` and `key` are readable and match.
///
/// # Errors
/// [`UnusableTls`], naming the file.
pub fn check_pair(certificate: &Path, key: &Path) -> Result<(), UnusableTls> {
    let certificate = Piece::read(certificate)?;
    let secret = Piece { file: WatchedFile::new(key, MAX_BYTES), content: Vec::new() }.secret()?;
    let provider = aws_lc_rs::default_provider();
    CertifiedKey::from_der(certificate.certificates()?, secret, &provider)
        .map(|_| ())
        .map_err(|error| certificate.unusable(&error))
}

/// Checks that the PEM file `ca` holds CA certificates.
///
/// # Errors
/// [`UnusableTls`], naming the file.
pub fn check_authorities(ca: &Path) -> Result<(), UnusableTls> {
    Piece::read(ca)?.authorities().map(|_| ())
}

/// Checks that the PEM file `lists` holds lists of revoked certificates (RFC 5280 §5).
///
/// # Errors
/// [`UnusableTls`], naming the file.
pub fn check_revoked(lists: &Path) -> Result<(), UnusableTls> {
    let lists = Piece::of_at_most(lists, MAX_LIST_BYTES)?;
    let all: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&lists.content).collect();
    let all = all.map_err(|error| lists.unusable(&error))?;
    if all.is_empty() { Err(lists.unusable(&"it contains no `X509 CRL` in PEM")) } else { Ok(()) }
}

/// Watches the files of a [`Tls`].
pub struct TlsSource {
    pieces: Pieces,
    tls: Arc<Tls>,
    reloads: Reloads,
    /// The last logged fault, so that it is logged once and not ten times a second.
    trouble: Option<String>,
}

impl TlsSource {
    /// Returns whether a file has changed.
    fn look(&mut self) -> Result<bool, UnusableTls> {
        let mut changed = false;
        let Pieces { ca, certificate, key } = &mut self.pieces;
        for piece in [ca, certificate, key] {
            match piece.file.poll() {
                Ok(Some(content)) => {
                    piece.content = content;
                    changed = true;
                }
                Ok(None) => {}
                Err(error) => return Err(piece.unusable(&error)),
            }
        }
        Ok(changed)
    }

    fn fail(&mut self, error: &UnusableTls) {
        let what = error.to_string();
        if self.trouble.as_ref() != Some(&what) {
            self.reloads.failed.inc();
            tracing::error!(what, "cannot reload the certificates for checks; the old ones stay in use");
            self.trouble = Some(what);
        }
    }
}

impl Source for TlsSource {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn poll(&mut self) {
        let config = match self.look() {
            Ok(false) => return,
            Ok(true) => self.pieces.config(),
            Err(error) => Err(error),
        };
        match config {
            Ok(config) => {
                self.tls.config.store(Arc::new(config));
                self.trouble = None;
                self.reloads.done.inc();
                tracing::info!("certificates for checks reloaded");
            }
            Err(error) => self.fail(&error),
        }
    }
}
