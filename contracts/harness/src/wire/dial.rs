//! Connections from a chosen address of this machine: the whole of 127.0.0.0/8 is one.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};

use tokio::net::TcpSocket;

pub(super) fn from(source: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(SocketAddr::new(source, 0))?;
        let stream = socket.connect(address).await?.into_std()?;
        stream.set_nonblocking(false)?;
        Ok(stream)
    })
}
