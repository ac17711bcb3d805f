//! The addresses of a backend: a host and a port, or a URL that also says whether TLS is spoken.

use std::fmt;
use std::str::FromStr;

use crate::edge::Endpoint;
use crate::fault::Place;
use crate::node::Node;
use crate::reader::Context;

/// What the scheme of an address says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Unsaid,
    Http,
    Https,
}

/// `orders.internal:8443`, `http://orders.internal` (port 80) or `https://orders.internal` (port 443).
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) endpoint: Endpoint,
    scheme: Scheme,
}

impl PartialEq for Address {
    /// The same place, however it is written.
    fn eq(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

impl FromStr for Address {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return text.parse().map(|endpoint| Self { endpoint, scheme: Scheme::Unsaid });
        };
        // A scheme has no case (RFC 3986 §3.1).
        let (scheme, port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            _ => return Err(()),
        };
        // `https://host/` is a common way to write it, and says no path.
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let has_port = match authority.rsplit_once(']') {
            Some((_, after)) => !after.is_empty(),
            None => authority.contains(':'),
        };
        let endpoint = if has_port { authority.parse() } else { format!("{authority}:{port}").parse() };
        endpoint.map(|endpoint| Self { endpoint, scheme })
    }
}

/// The ports of HTTP over TLS (RFC 9110 §4.2.2, and the usual one of servers without privileges).
const TLS_PORTS: [u16; 2] = [443, 8443];

/// Whether TLS is spoken at these addresses. `tls` is the field of that name. Reports addresses that contradict each other or
/// the field, and warns about requests in the clear to a port of TLS.
pub(super) fn is_encrypted(
    context: Context<'_>,
    what: &str,
    listed: &[(Place, Address)],
    tls: Option<&Node>,
) -> bool {
    let first = |scheme: Scheme| listed.iter().find(|(_, address)| address.scheme == scheme);
    match (first(Scheme::Https), first(Scheme::Http), tls) {
        (Some(_), Some((place, plain)), _) => context.faults.report(
            *place,
            format!("{what} has {plain} in the clear beside an address with https://"),
            "write https:// for all of them, or make two backends",
        ),
        (None, Some((place, plain)), Some(_)) => context.faults.report(
            *place,
            format!("{what} has `tls`, and {plain} begins with http://"),
            "write https://, or remove `tls`",
        ),
        (Some(_), None, _) | (None, Some(_), None) | (None, None, _) => {}
    }
    let encrypted = tls.is_some() || first(Scheme::Https).is_some();
    let unsaid = listed.iter().filter(|(_, address)| address.scheme == Scheme::Unsaid);
    for (place, address) in unsaid.filter(|_| !encrypted) {
        if TLS_PORTS.contains(&address.endpoint.port) {
            context.faults.warn(
                *place,
                format!("{what} is reached in the clear at {address}, and that port usually speaks TLS"),
                format!("write https://{address}, or http://{address} where it speaks plain HTTP"),
            );
        }
    }
    encrypted
}
