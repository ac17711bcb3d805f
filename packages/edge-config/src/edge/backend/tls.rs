//! How a backend is verified over TLS, and how the edge authenticates itself to it.

use std::path::PathBuf;

use super::{Backend, Endpoint};

/// TLS to a backend. Its certificate is always verified: against the authorities, and for the name that was asked for. The
/// files are read again when they are replaced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BackendTls {
    /// The certificates of the authorities that may issue the backend's certificate, PEM.
    pub ca: PathBuf,
    /// The DNS name that is sent in the handshake and that the certificate must have, for every address. Absent where each
    /// address is verified for its own host.
    pub sni: Option<String>,
    /// The certificate that the edge presents; absent where the backend asks for none.
    pub client: Option<ClientCertificate>,
    /// Of the SHA-256 hashes of public keys (SubjectPublicKeyInfo, RFC 7469 §2.4), in base64, the certificate must have one.
    /// Empty where the authorities suffice.
    pub pins: Vec<String>,
}

/// The certificate that the edge presents to a backend.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM: possibly the same file.
    pub key: PathBuf,
}

impl BackendTls {
    /// The bundle of public authorities of Debian, Ubuntu and Alpine, where a file names no `ca`. It is a fixed path, so that
    /// one edge file means the same on every machine; `lint` reports where it does not exist.
    pub const SYSTEM_CA: &'static str = "/etc/ssl/certs/ca-certificates.crt";

    /// Verified by the public authorities, for each address's own host.
    #[must_use]
    pub fn by_system_authorities() -> Self {
        Self { ca: PathBuf::from(Self::SYSTEM_CA), sni: None, client: None, pins: Vec::new() }
    }

    /// The name that the certificate at `endpoint` must have: a DNS name, or an IP address.
    #[must_use]
    pub fn name_at<'a>(&'a self, endpoint: &'a Endpoint) -> &'a str {
        self.sni.as_deref().unwrap_or(&endpoint.host)
    }
}

impl Backend {
    /// The names for which its certificates are verified, each once, in the order of its addresses; empty in the clear.
    #[must_use]
    pub fn certificate_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.tls.iter().flat_map(|tls| self.endpoints.iter().map(|at| tls.name_at(at))) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}
