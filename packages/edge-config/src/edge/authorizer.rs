//! The authorizer's addresses, and how Envoy and the authorizer authenticate each other.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{Endpoint, Reach};

/// The authorizer, which answers ext_authz checks and reports ended leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// The addresses of its replicas, in the order of the file; at least one. A name is resolved again and again, and all
    /// of its addresses are used.
    pub addresses: Vec<AuthorizerAddress>,
    /// How both sides authenticate each other; absent where every address is on Envoy's own machine.
    pub tls: Option<AuthorizerTls>,
    /// How long Envoy waits for a decision before it denies with 503.
    pub timeout: Duration,
    /// The number of replicas: the number of addresses, unless several are behind one address. Each takes its share of a
    /// limit while they cannot count together.
    pub replicas: u32,
}

impl Authorizer {
    /// The default address at which a process listens: the first one, unless that is a name. A name shows where clients
    /// find the process, not where it listens.
    #[must_use]
    pub fn listens(&self) -> Option<Socket> {
        match self.addresses.first()? {
            AuthorizerAddress::Network(Endpoint { host, port }) => {
                Some(Socket::Network(SocketAddr::new(host.parse().ok()?, *port)))
            }
            AuthorizerAddress::Unix(path) => Some(Socket::Unix(path.clone())),
        }
    }
}

/// One address of the authorizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizerAddress {
    /// A host and a port.
    Network(Endpoint),
    /// A Unix socket: `unix:/run/cutover/authz.sock`. Its mode (0600) limits who may connect.
    Unix(PathBuf),
}

impl AuthorizerAddress {
    /// Whether only processes of this machine can listen there.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Network(endpoint) => Reach::of_host(&endpoint.host) == Reach::Machine,
            Self::Unix(_) => true,
        }
    }

    /// Whether it needs no DNS query: an IP address or a path.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        match self {
            Self::Network(endpoint) => endpoint.host.parse::<IpAddr>().is_ok(),
            Self::Unix(_) => true,
        }
    }
}

/// The prefix of a Unix socket's path.
const UNIX: &str = "unix:";

/// The longest path that the system accepts for a Unix socket, without the terminating byte.
const MAX_PATH_BYTES: usize = 107;

/// The path in `unix:/path`. It is absolute, because two programs have two working directories.
fn unix_path(text: &str) -> Option<PathBuf> {
    let path = text.strip_prefix(UNIX)?;
    let usable = path.starts_with('/') && path.len() <= MAX_PATH_BYTES && !path.contains('\0');
    usable.then(|| PathBuf::from(path))
}

impl FromStr for AuthorizerAddress {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.starts_with(UNIX) {
            return unix_path(text).map(Self::Unix).ok_or(());
        }
        text.parse().map(Self::Network)
    }
}

impl fmt::Display for AuthorizerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(endpoint) => endpoint.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// An address at which a process listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// An IP address and a port.
    Network(SocketAddr),
    /// A path: `unix:/run/cutover/authz.sock`.
    Unix(PathBuf),
}

impl Socket {
    /// Whether only processes of this machine reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Network(address) => Reach::of_address(address.ip()) == Reach::Machine,
            Self::Unix(_) => true,
        }
    }
}

impl From<SocketAddr> for Socket {
    fn from(address: SocketAddr) -> Self {
        Self::Network(address)
    }
}

impl FromStr for Socket {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.starts_with(UNIX) {
            return unix_path(text).map(Self::Unix).ok_or(());
        }
        text.parse().map(Self::Network).map_err(|_| ())
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// How Envoy authenticates itself to the authorizer, and how it verifies the authorizer. Envoy reads the files again when
/// they are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizerTls {
    /// The certificates of the authorities that may issue the authorizer's certificate, PEM.
    pub ca: PathBuf,
    /// The certificate chain that Envoy presents, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The DNS names and IP addresses of which the authorizer's certificate must have one; at least one.
    pub names: Vec<String>,
}
