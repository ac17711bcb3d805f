//! A list of hosts, as an address gives it.

use redis::ConnectionAddr;

use crate::fault::UnusableAddress;

/// How many hosts an address may name: a connection asks them one after the other. Sentinels are three or five, and a cluster
/// needs no more than a few of its nodes.
const MOST: usize = 32;

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Host {
    pub(crate) fn address(&self, encrypted: bool) -> ConnectionAddr {
        let (host, port) = (self.name.clone(), self.port);
        if encrypted {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }
}

/// Reads `host:port,host`; a host without a port has `port`.
pub(crate) fn read(text: &str, port: u16) -> Result<Vec<Host>, UnusableAddress> {
    let hosts: Vec<Host> = text.split(',').map(|one| host(one, port)).collect::<Result<_, _>>()?;
    if hosts.len() > MOST {
        return Err(UnusableAddress::TooManyHosts(MOST));
    }
    Ok(hosts)
}

fn host(text: &str, default: u16) -> Result<Host, UnusableAddress> {
    let bad = || UnusableAddress::Host;
    let (name, port) = match text.strip_prefix('[') {
        // IPv6, as in a URL.
        Some(rest) => {
            let (name, rest) = rest.split_once(']').ok_or_else(bad)?;
            name.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(bad)?) };
            (name, port)
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?,
        None => default,
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(bad());
    }
    Ok(Host { name: name.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Option<Vec<(String, u16)>> {
        let hosts = read(text, 26379).ok()?;
        Some(hosts.into_iter().map(|host| (host.name, host.port)).collect())
    }

    #[test]
    fn hosts_are_separated_by_commas_and_may_have_ports() {
        let three = listed("one:1,two.test,[::1]:3").unwrap();
        assert_eq!(three, [("one".to_owned(), 1), ("two.test".to_owned(), 26379), ("::1".to_owned(), 3)]);
        for bad in ["", "one,", "one:0", "one:70000", "one:x", "[::1", "[::1]3", "[x]:1", "a b", "a/b"] {
            assert_eq!(listed(bad), None, "{bad:?}");
        }
        assert!(listed(&["h"; MOST].join(",")).is_some());
        assert!(listed(&["h"; MOST + 1].join(",")).is_none());
    }
}
