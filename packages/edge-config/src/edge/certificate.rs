//! Client certificates as a credential: which names prove which caller.

use super::Cidr;

/// A caller that is known by its certificate. The listener verifies the certificate itself, against its `client_ca`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateHolder {
    /// The names that prove the caller: DNS names in lower case, or URIs such as `spiffe://example.com/billing`, byte for byte.
    /// A certificate counts by its first URI or, without one, by its first DNS name.
    pub names: Vec<String>,
}

/// The requirements for a caller with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificatePolicy {
    /// The accepted callers; empty means every listed one.
    pub callers: Vec<String>,
    /// The allowed addresses of the connection; empty means every address, because the certificate proves the caller.
    pub addresses: Vec<Cidr>,
}
