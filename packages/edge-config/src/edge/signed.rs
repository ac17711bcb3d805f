//! Signed requests (RFC 9421) and the allowed addresses of their clients.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The rules for signed requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signatures {
    /// The file of keys; read again whenever it changes.
    pub keys: PathBuf,
    /// How long after `created` a signature is valid.
    pub max_age: Duration,
    /// How far two clocks may differ: the window is this much wider at both ends.
    pub skew: Duration,
    /// The longest body of a signed request, in bytes; a longer one is 413.
    pub max_body_bytes: u32,
    /// The further headers that a signature may cover, beyond those that every signature covers; lower case.
    pub headers: Vec<String>,
}

/// The requirements for a signed request. Neither list is ever empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPolicy {
    /// The names of the accepted keys.
    pub keys: Vec<String>,
    /// The allowed addresses of the connection.
    pub addresses: Vec<Cidr>,
    /// The form of a signature.
    pub profile: SignatureProfile,
}

/// The form of a signature, for clients that cannot make the usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureProfile {
    /// Whether a signature must have a `nonce`. Without one, everything that was signed counts once, so two equal requests
    /// of one second are one.
    pub needs_nonce: bool,
    /// Whether a signature must name its algorithm. Without one, that of the key counts.
    pub needs_algorithm: bool,
    /// The `tag` that a signature must have; absent when it must have none.
    pub tag: Option<String>,
}

impl Default for SignatureProfile {
    fn default() -> Self {
        Self { needs_nonce: true, needs_algorithm: true, tag: None }
    }
}

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    network: IpAddr,
    length: u8,
}

/// Why a text is not a valid range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// The text is not an address and a length.
    #[error("write an address and a length, such as 10.0.0.0/8 or 2001:db8::/32")]
    Malformed,
    /// The address is an IPv4-mapped IPv6 address; connections never have one.
    #[error("write the IPv4 address itself")]
    Mapped,
    /// Bits below the length are set, so it is unclear whether a range or one address is meant.
    #[error("write {0} for the range, or the whole length for one address")]
    HostBits(Cidr),
}

impl Cidr {
    /// Whether `address` is in the range. An IPv4-mapped IPv6 address counts as the IPv4 address. Apart from that, an
    /// address is in no range of the other family, not even in `::/0`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = mask_v4(self.length);
                u32::from(address) & mask == u32::from(network)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = mask_v6(self.length);
                u128::from(address) & mask == u128::from(network)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Whether it has every address of its family.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.length == 0
    }

    /// Whether it is larger than any network that one organisation runs: wider than /8, or than /16 of IPv6.
    #[must_use]
    pub const fn is_vast(&self) -> bool {
        match self.network {
            IpAddr::V4(_) => self.length < 8,
            IpAddr::V6(_) => self.length < 16,
        }
    }

    /// Whether every address of `other` is in this range.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.length <= other.length && self.contains(other.network)
    }
}

fn mask_v4(length: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(length.into())).unwrap_or(0)
}

fn mask_v6(length: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(length.into())).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = CidrError;

    /// Strict: no octal or short forms, no zone, no sign or leading zero in the length.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, digits) = text.split_once('/').ok_or(CidrError::Malformed)?;
        let address: IpAddr = address.parse().map_err(|_| CidrError::Malformed)?;
        let length: u8 = digits.parse().map_err(|_| CidrError::Malformed)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if length > longest || length.to_string() != digits {
            return Err(CidrError::Malformed);
        }
        if address.to_canonical() != address {
            return Err(CidrError::Mapped);
        }
        let network = match address {
            IpAddr::V4(address) => IpAddr::from((u32::from(address) & mask_v4(length)).to_be_bytes()),
            IpAddr::V6(address) => IpAddr::from((u128::from(address) & mask_v6(length)).to_be_bytes()),
        };
        let cidr = Self { network, length };
        if network == address { Ok(cidr) } else { Err(CidrError::HostBits(cidr)) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_a_range_are_exact() {
        for (range, inside, outside) in [
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.255.255", "::ffff:10.0.0.1"][..],
                &["9.255.255.255", "11.0.0.0", "::ffff:11.0.0.0", "::10.0.0.1"][..],
            ),
            ("192.0.2.7/32", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]),
            ("192.0.2.128/25", &["192.0.2.128", "192.0.2.255"], &["192.0.2.127", "192.0.3.0"]),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], &["::1", "2001:db8::1"]),
            (
                "2001:db8::/32",
                &["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
                &["2001:db7:ffff::", "2001:db9::"],
            ),
            ("::1/128", &["::1"], &["::2", "127.0.0.1", "::ffff:127.0.0.1"]),
            ("::/0", &["::1", "2001:db8::1"], &["10.0.0.1", "::ffff:10.0.0.1"]),
        ] {
            let cidr: Cidr = range.parse().unwrap();
            assert_eq!(cidr.to_string(), range);
            for address in inside {
                assert!(cidr.contains(address.parse().unwrap()), "{range} {address}");
            }
            for address in outside {
                assert!(!cidr.contains(address.parse().unwrap()), "{range} {address}");
            }
        }
    }

    #[test]
    fn a_range_covers_itself_and_narrower_ranges() {
        for (wide, narrow, covers) in [
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("0.0.0.0/0", "::/0", false),
            ("::/0", "2001:db8::/32", true),
        ] {
            let range = |text: &str| text.parse::<Cidr>().unwrap();
            assert_eq!(range(wide).covers(&range(narrow)), covers, "{wide} {narrow}");
        }
    }

    #[test]
    fn a_range_has_one_spelling() {
        for text in [
            "10.0.0.0",
            "10.0.0.0/",
            "/8",
            "",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "012.0.0.0/8",
            "0x0a.0.0.0/8",
            "167772160/8",
            " 10.0.0.0/8",
            "10.0.0.0/8 ",
            "fe80::1%eth0/128",
            "[::1]/128",
            "2001:db8::/129",
            "localhost/8",
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::Malformed), "{text:?}");
        }
        assert_eq!("::ffff:10.0.0.0/104".parse::<Cidr>(), Err(CidrError::Mapped));
        let range = "10.0.0.0/8".parse().unwrap();
        assert_eq!("10.0.0.1/8".parse::<Cidr>(), Err(CidrError::HostBits(range)));
    }
}
