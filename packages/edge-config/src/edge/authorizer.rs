//! Where the authorizer answers, and how Envoy and the authorizer prove to each other who they are.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{Endpoint, Reach};

/// Where the authorizer answers ext_authz checks, and tells what ended of leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// Where its replicas answer, in the order of the file; at least one. A name is looked up again and again, and all of
    /// its addresses are used.
    pub addresses: Vec<AuthorizerAddress>,
    /// How both sides prove who they are; absent where every address is on Envoy's own machine.
    pub tls: Option<AuthorizerTls>,
    /// How long Envoy waits for a decision before it denies with 503.
    pub timeout: Duration,
    /// How many replicas answer there: as many as there are addresses, unless more stand behind one. Each takes its
    /// share of a limit while they cannot count together.
    pub replicas: u32,
}

impl Authorizer {
    /// Where a process listens when its own settings say nothing: at the first address, unless that is a name, which says
    /// where others find it and not where it is.
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
    /// A Unix socket: `unix:/run/cutover/authz.sock`. Its mode (0600) says who may ask.
    Unix(PathBuf),
}

impl AuthorizerAddress {
    /// Whether only processes of this machine can be there.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Network(endpoint) => Reach::of_host(&endpoint.host) == Reach::Machine,
            Self::Unix(_) => true,
        }
    }

    /// Whether it needs no look-up: an IP address or a path.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        match self {
            Self::Network(endpoint) => endpoint.host.parse::<IpAddr>().is_ok(),
            Self::Unix(_) => true,
        }
    }
}

/// What precedes the path of a Unix socket.
const UNIX: &str = "unix:";

/// The longest path that the system takes for a Unix socket, without the byte that ends it.
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

/// Where a process listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// At an address and a port.
    Network(SocketAddr),
    /// At a path: `unix:/run/cutover/authz.sock`.
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

/// How Envoy proves to the authorizer who it is, and how it knows the authorizer. Envoy reads the files again when they
/// are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizerTls {
    /// Certificates of the authorities that the authorizer's certificate may come from, PEM.
    pub ca: PathBuf,
    /// The certificate chain that Envoy shows, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// What the authorizer's certificate must be good for, one of these: DNS names and IP addresses; at least one.
    pub names: Vec<String>,
}
