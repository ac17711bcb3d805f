//! Finds the networks that an address belongs to, from fine to coarse.
//!
//! A person or a program has one IPv4 address, or the 64 bits of an IPv6 network. A company or a home has up
//! to a /48, a provider a /32. A count by address must count all of these, or one provider counts as four
//! billion callers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many networks of an address are distinguished.
pub const LEVELS: usize = 4;

/// Prefix lengths of IPv4, from fine to coarse.
const V4: [u8; LEVELS] = [32, 24, 16, 8];

/// Prefix lengths of IPv6: one link, one site, one provider, and the blocks that a registry assigns. There
/// are about eight thousand of the last in the whole global unicast space.
const V6: [u8; LEVELS] = [64, 48, 32, 16];

/// A network: its first address and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    length: u8,
}

impl Network {
    /// The networks of `address`, the finest first. An IPv4 address in IPv6 notation counts as IPv4.
    #[must_use]
    pub fn all_of(address: IpAddr) -> [Self; LEVELS] {
        match address.to_canonical() {
            IpAddr::V4(address) => V4.map(|length| {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Self { first: IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask)), length }
            }),
            IpAddr::V6(address) => V6.map(|length| {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Self { first: IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask)), length }
            }),
        }
    }

    /// The first address of the network.
    #[must_use]
    pub const fn first(&self) -> IpAddr {
        self.first
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_one_network_of_each_size() {
        let of = |text: &str| Network::all_of(text.parse().unwrap()).map(|network| network.to_string());
        assert_eq!(of("192.0.2.7"), ["192.0.2.7/32", "192.0.2.0/24", "192.0.0.0/16", "192.0.0.0/8"]);
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_eq!(
            of("2001:db8:1:2:3:4:5:6"),
            ["2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8::/32", "2001::/16"]
        );
    }
}
