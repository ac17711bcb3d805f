//! Accepts connections for checks: at an address or a Unix socket without TLS, on this machine only, or at an
//! address with TLS.
//!
//! The authorizer trusts the content of a check: the route, the address, the uses of a lease. So a peer must
//! share its machine, or present a certificate.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use edge_config::edge::Socket;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::server::stream::CheckStream;
use crate::tls::Tls;

/// How long a peer may take for its TLS handshake. Envoy takes milliseconds, a busy machine a hundred times
/// that.
const PROOF: Duration = Duration::from_secs(5);

/// How many connections from one address may be in their handshake. An Envoy opens 64 at most
/// (`envoy/templates/authorizer-cluster.yaml`), and two Envoys may share an address. One more is closed, so
/// that a client that opens silent connections costs others nothing.
const MAX_UNPROVED: u32 = 128;

/// Why the door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ClosedDoor {
    /// Every machine that reaches the address could send checks, and be trusted.
    #[error(
        "checks would be answered without TLS at {address}, which other machines can reach; set AUTHZ_TLS_CA, \
         AUTHZ_TLS_CERTIFICATE and AUTHZ_TLS_KEY, or set AUTHZ_ADDRESS to a loopback address or a Unix socket (unix:/path)"
    )]
    InTheClear {
        /// The address.
        address: Socket,
    },
    /// The socket's mode restricts access, and Envoy uses no TLS there.
    #[error(
        "AUTHZ_ADDRESS is {address}, a Unix socket, which needs no TLS; unset AUTHZ_TLS_CA, AUTHZ_TLS_CERTIFICATE and \
         AUTHZ_TLS_KEY"
    )]
    SocketWithTls {
        /// The socket.
        address: Socket,
    },
    /// The system refuses to open it.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// An open door.
#[derive(Debug)]
pub enum Door {
    /// An address without TLS.
    Clear(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
    /// An address, with TLS.
    Encrypted(TcpListener, Arc<Tls>),
}

impl Door {
    /// Opens `socket`. An address that other machines can reach requires `tls`.
    ///
    /// # Errors
    /// [`ClosedDoor`]
    pub async fn open(socket: &Socket, tls: Option<Arc<Tls>>) -> Result<Self, ClosedDoor> {
        match (socket, tls) {
            (Socket::Network(address), Some(tls)) => {
                Ok(Self::Encrypted(TcpListener::bind(address).await?, tls))
            }
            (Socket::Network(address), None) if socket.is_local() => {
                Ok(Self::Clear(TcpListener::bind(address).await?))
            }
            (Socket::Network(_), None) => Err(ClosedDoor::InTheClear { address: socket.clone() }),
            (Socket::Unix(path), None) => Ok(Self::Unix(bind(path)?)),
            (Socket::Unix(_), Some(_)) => Err(ClosedDoor::SocketWithTls { address: socket.clone() }),
        }
    }

    /// The local address, when there is one.
    ///
    /// # Errors
    /// When it is a Unix socket, or the system reports no address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Clear(listener) | Self::Encrypted(listener, _) => listener.local_addr(),
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self, unproved: &Unproved) -> io::Result<Arrival> {
        match self {
            Self::Clear(listener) => listener.accept().await.map(|(stream, _)| Arrival::Clear(stream)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Arrival::Unix(stream)),
            Self::Encrypted(listener, tls) => {
                let (stream, peer) = listener.accept().await?;
                let place = unproved.enter(peer.ip()).ok_or(io::ErrorKind::ConnectionAborted)?;
                Ok(Arrival::Unproved(stream, Arc::clone(tls), place))
            }
        }
    }
}

/// A socket at `path` that only this user can use. A socket that an ended process left behind is replaced;
/// one with a listening process is in use.
fn bind(path: &Path) -> io::Result<UnixListener> {
    if std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket()) {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    // The process's umask (077) keeps others out until the mode is set.
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A connection before its first byte is read.
pub(super) enum Arrival {
    Clear(TcpStream),
    Unix(UnixStream),
    Unproved(TcpStream, Arc<Tls>, HandshakeSlot),
}

impl Arrival {
    /// The stream to serve; absent when the peer does not complete its handshake in time.
    pub(super) async fn proved(self) -> Option<CheckStream> {
        match self {
            Self::Clear(stream) => {
                at_once(&stream);
                Some(CheckStream::Clear(stream))
            }
            Self::Unix(stream) => Some(CheckStream::Unix(stream)),
            Self::Unproved(stream, tls, _place) => {
                at_once(&stream);
                match tokio::time::timeout(PROOF, tls.accept(stream)).await {
                    Ok(Ok(stream)) => Some(CheckStream::Encrypted(Box::new(stream))),
                    Ok(Err(error)) => {
                        tracing::info!(%error, "closed a connection without a valid certificate");
                        None
                    }
                    Err(_) => None,
                }
            }
        }
    }
}

/// An answer must not wait for the acknowledgement of the previous one. If the peer has already left, the
/// next read notices it.
fn at_once(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

/// The number of connections in their handshake, by address. An address is listed only while it has one, so
/// there are never more entries than file descriptors.
#[derive(Clone, Debug, Default)]
pub(super) struct Unproved(Arc<Mutex<HashMap<IpAddr, u32>>>);

impl Unproved {
    fn enter(&self, address: IpAddr) -> Option<HandshakeSlot> {
        // No code under this lock can panic.
        let mut places = self.0.lock();
        let taken = places.entry(address).or_default();
        if *taken >= MAX_UNPROVED {
            return None;
        }
        *taken += 1;
        Some(HandshakeSlot { unproved: self.clone(), address })
    }
}

/// One place of an address; freed when it is dropped.
pub(super) struct HandshakeSlot {
    unproved: Unproved,
    address: IpAddr,
}

impl Drop for HandshakeSlot {
    fn drop(&mut self) {
        let mut places = self.unproved.0.lock();
        if let Some(taken) = places.get_mut(&self.address) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                places.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_connections_of_one_address_take_no_place_from_another() {
        let unproved = Unproved::default();
        let [stranger, envoy] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let mut held: Vec<_> = (0..MAX_UNPROVED).map(|_| unproved.enter(stranger).unwrap()).collect();
        assert!(unproved.enter(stranger).is_none());
        assert!(unproved.enter(envoy).is_some());
        held.pop();
        assert!(unproved.enter(stranger).is_some());
        drop(held);
        assert!(unproved.0.lock().is_empty());
    }

    #[tokio::test]
    async fn in_the_clear_only_this_machine_comes_in() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let error = Door::open(&address.parse().unwrap(), None).await.unwrap_err();
            assert!(error.to_string().contains("AUTHZ_TLS_CA"), "{address}: {error}");
        }
        assert!(Door::open(&"127.0.0.1:0".parse().unwrap(), None).await.is_ok());
    }

    #[tokio::test]
    async fn a_socket_is_for_its_user_alone_and_replaces_one_that_was_left_behind() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("authz.sock");
        let socket = Socket::Unix(path.clone());
        let open = Door::open(&socket, None).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = Door::open(&socket, None).await.unwrap_err();
        assert!(matches!(&error, ClosedDoor::System(e) if e.kind() == io::ErrorKind::AddrInUse), "{error}");
        drop(open);
        assert!(path.exists() && Door::open(&socket, None).await.is_ok());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "another program's file").unwrap();
        assert!(Door::open(&socket, None).await.is_err());
        assert!(std::fs::read(&path).is_ok(), "a file that is not a socket stays");
    }
}
