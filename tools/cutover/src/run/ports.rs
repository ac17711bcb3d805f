//! Whether every port is free, before anything starts: a program that cannot bind would only be restarted
//! again and again.

use std::net::TcpListener;

use super::programs::Addresses;

/// Tries every address and tells all that are taken, each with the variable that moves it.
pub(super) fn check(addresses: &Addresses) -> Result<(), String> {
    let mut held = Vec::new();
    let mut taken = Vec::new();
    for one in addresses.all() {
        match TcpListener::bind(one.address) {
            Ok(listener) => held.push(listener),
            Err(error) => taken.push(format!(
                "{} cannot be used for {} ({error}); stop whoever listens there, or set {} to another address",
                one.address, one.who, one.variable
            )),
        }
    }
    if taken.is_empty() { Ok(()) } else { Err(taken.join("\n")) }
}
