//! The reach of an address: data that leaves the machine can be read and answered by others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The reach of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// This machine: loopback.
    Machine,
    /// A network that the Internet does not route to (RFC 1918, RFC 4193, RFC 6598, link-local), or a name that only such
    /// a network resolves.
    Private,
    /// Any other address: what is sent there can cross the Internet.
    Anywhere,
}

/// Endings of names that the public DNS does not resolve: `.internal` (ICANN, 2024), `.local` (RFC 6762), `.home.arpa`
/// (RFC 8375), and those of Kubernetes and home networks.
const PRIVATE_NAMES: [&str; 6] = [".internal", ".local", ".home.arpa", ".svc", ".lan", ".localdomain"];

impl Reach {
    /// The reach of `address`. An address that stands for all addresses of a machine (`0.0.0.0`) is anywhere: every
    /// network of the machine reaches it.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) if v4.is_loopback() => Self::Machine,
            IpAddr::V6(v6) if v6.is_loopback() => Self::Machine,
            IpAddr::V4(v4) if v4.is_private() || v4.is_link_local() || is_shared(v4) => Self::Private,
            IpAddr::V6(v6) if v6.is_unique_local() || is_link_local(v6) => Self::Private,
            IpAddr::V4(_) | IpAddr::V6(_) => Self::Anywhere,
        }
    }

    /// The reach of `host`: an IP address, or a name in lower case. `localhost` is this machine (RFC 6761 §6.3). Every
    /// other name may resolve elsewhere tomorrow, so none is this machine.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        if let Ok(address) = host.parse() {
            return Self::of_address(address);
        }
        if host == "localhost" {
            return Self::Machine;
        }
        let private = !host.contains('.') || PRIVATE_NAMES.iter().any(|ending| host.ends_with(ending));
        if private { Self::Private } else { Self::Anywhere }
    }

    /// The reach in words, for a report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Machine => "this machine",
            Self::Private => "a private network",
            Self::Anywhere => "any network",
        }
    }
}

/// RFC 6598, between a provider and its customers.
fn is_shared(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    a == 100 && (64..128).contains(&b)
}

/// `fe80::/10`.
fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_machine() {
        for (host, reach) in [
            ("127.0.0.1", Reach::Machine),
            ("127.8.9.10", Reach::Machine),
            ("::1", Reach::Machine),
            ("::ffff:127.0.0.1", Reach::Machine),
            ("localhost", Reach::Machine),
            ("localhost.example.com", Reach::Anywhere),
            ("authz.localhost", Reach::Anywhere),
            ("10.0.0.1", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("172.32.0.1", Reach::Anywhere),
            ("192.168.1.1", Reach::Private),
            ("169.254.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("100.128.0.1", Reach::Anywhere),
            ("fd00::1", Reach::Private),
            ("fe80::1", Reach::Private),
            ("::ffff:10.0.0.1", Reach::Private),
            ("2001:db8::1", Reach::Anywhere),
            ("0.0.0.0", Reach::Anywhere),
            ("::", Reach::Anywhere),
            ("8.8.8.8", Reach::Anywhere),
            ("authz", Reach::Private),
            ("authz.internal", Reach::Private),
            ("users.team.svc.cluster.local", Reach::Private),
            ("example.com", Reach::Anywhere),
            ("internal.example.com", Reach::Anywhere),
        ] {
            assert_eq!(Reach::of_host(host), reach, "{host}");
        }
    }
}
