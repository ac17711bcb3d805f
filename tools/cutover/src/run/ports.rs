//! Checks before the start that every port is free: a program that cannot bind would only be restarted again and again.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::part::Address;
use super::programs::Addresses;

/// Tries every address and names all that are in use, each with the variable that changes it.
pub(super) fn check(addresses: &Addresses) -> Result<(), String> {
    free(addresses.all())
}

/// Tries these addresses.
pub(super) fn free<'a>(addresses: impl Iterator<Item = &'a Address>) -> Result<(), String> {
    let mut held = Vec::new();
    let mut taken = Vec::new();
    for one in addresses {
        match TcpListener::bind(one.address) {
            Ok(listener) => held.push(listener),
            Err(error) => taken.push(format!(
                "{} cannot be used for {} ({error}); {}set {} to another address",
                one.address,
                one.who,
                holder(one.address, &error),
                one.variable
            )),
        }
    }
    if taken.is_empty() { Ok(()) } else { Err(taken.join("\n")) }
}

/// What uses `address`, and how to free it.
fn holder(address: SocketAddr, error: &io::Error) -> &'static str {
    /// A listener on this machine answers at once.
    const WITHIN: Duration = Duration::from_millis(500);
    if error.kind() != io::ErrorKind::AddrInUse {
        return "";
    }
    if TcpStream::connect_timeout(&address, WITHIN).is_ok() {
        return "a program listens there: stop it, or ";
    }
    // The system gives such ports to clients for their own ends of connections.
    "no program listens there, so the port belongs to an open connection of a client on this machine: wait until that has \
     ended, or "
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: SocketAddr) -> Address {
        Address { who: "the edge".to_owned(), variable: "EDGE_ADDRESS".to_owned(), address }
    }

    #[test]
    fn a_port_of_a_listener_and_a_port_of_a_client_are_distinguished() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let held = listener.local_addr().unwrap();
        let said = free([at(held)].iter()).unwrap_err();
        assert!(said.contains("a program listens there: stop it") && said.contains("EDGE_ADDRESS"), "{said}");
        let client = TcpStream::connect(held).unwrap();
        let lent = client.local_addr().unwrap();
        let said = free([at(lent)].iter()).unwrap_err();
        assert!(said.contains("an open connection of a client") && !said.contains("stop it"), "{said}");
        drop((client, listener));
    }
}
