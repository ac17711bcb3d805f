//! Envoy's check, free of its wire format.

use std::net::IpAddr;

use edge_config::edge::Exposure;

/// One check: may this request pass? Borrowed from the wire, because most of it is only read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckInput<'a> {
    /// The route that Envoy matched.
    pub route: &'a str,
    /// The policy that Envoy's configuration holds for that route.
    pub policy: &'a str,
    /// The revision of the edge file that Envoy's configuration was rendered from.
    pub revision: &'a str,
    /// The kind of listener that received the request.
    pub exposure: Exposure,
    /// The request id that the guard set, for logs; `-` when there is no usable one.
    pub request_id: &'a str,
    /// The client's address: that of the connection's peer, or, behind trusted proxies, the one that the guard found. It is
    /// never one that a client wrote.
    pub client: Option<IpAddr>,
    /// The name in the client's certificate, which Envoy verified against the listener's authorities: its first URI, else its
    /// first DNS name, else its subject. Absent when the connection has no certificate.
    pub certificate: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The request target as the client sent it: path and query, byte for byte. Bytes that are not UTF-8 were
    /// replaced on the wire, so a target with U+FFFD is not what was sent.
    pub target: &'a str,
    /// The scheme of the request, `http` or `https`, as Envoy knows it; empty when it does not say.
    pub scheme: &'a str,
    /// The host that the client named.
    pub host: &'a str,
    /// Every header line that Envoy sends with the check, in order: lower-case name and value.
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// The body, when the route makes Envoy send it.
    pub body: &'a [u8],
}

impl<'a> CheckInput<'a> {
    /// The values of `name`, in the order of the lines.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The value of every `Cookie` line.
    #[must_use]
    pub fn cookies(&self) -> Vec<&'a [u8]> {
        self.values("cookie").collect()
    }

    /// The value of every `Authorization` line.
    #[must_use]
    pub fn authorizations(&self) -> Vec<&'a [u8]> {
        self.values("authorization").collect()
    }
}

/// Why a check is unreadable. Envoy's configuration is wrong, not the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the check has no usable {0}")]
pub struct MalformedCheck(
    /// The part that is missing or invalid.
    pub &'static str,
);
