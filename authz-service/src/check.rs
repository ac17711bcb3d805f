//! What Envoy asks, free of its wire format.

use edge_config::edge::Exposure;

/// One question: may this request pass? Borrowed from the wire, because most of it is only looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckInput<'a> {
    /// The route that Envoy matched.
    pub route: &'a str,
    /// The policy that Envoy's configuration holds for that route.
    pub policy: &'a str,
    /// The revision of the edge file that Envoy's configuration was rendered from.
    pub revision: &'a str,
    /// Which kind of listener the request came in through.
    pub exposure: Exposure,
    /// The request id that the guard settled, for logs; `-` when there is none worth writing down.
    pub request_id: &'a str,
    /// The value of every `Cookie` line, in order.
    pub cookies: Vec<&'a [u8]>,
    /// The value of every `Authorization` line, in order.
    pub authorizations: Vec<&'a [u8]>,
}

/// Why a question could not be read. Envoy's configuration is wrong, not the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the check has no usable {0}")]
pub struct MalformedCheck(
    /// Which part is missing or not understood.
    pub &'static str,
);
