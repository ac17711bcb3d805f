//! Ranges of addresses.

use std::net::IpAddr;

/// A range such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    network: IpAddr,
    /// The bits that addresses of the range have in common; at most 32 or 128.
    length: u8,
}

impl Range {
    /// An address and a length. Bits below the length have no meaning.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (network, length) = text.split_once('/')?;
        let network: IpAddr = network.parse().ok()?;
        let length: u8 = length.parse().ok()?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        (length <= longest).then_some(Self { network, length })
    }

    /// Whether `address` is in the range; it is in no range of the other family.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let (differing, width) = match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (u128::from(u32::from(network) ^ u32::from(address)), 32_u8)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => (u128::from(network) ^ u128::from(address), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        differing.checked_shr(u32::from(width.saturating_sub(self.length))).unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_its_addresses_and_no_other() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7/32", "192.0.2.7", "192.0.2.6"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:db8::1/128", "2001:db8::1", "2001:db8::2"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("::/0", "ffff::", "0.0.0.0"),
        ] {
            let range = Range::parse(range).unwrap();
            assert!(range.contains(inside.parse().unwrap()), "{range:?}");
            assert!(!range.contains(outside.parse().unwrap()), "{range:?}");
        }
        for text in ["10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0/8", "/8", "a/8", "10.0.0.0/-1"] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }
}
