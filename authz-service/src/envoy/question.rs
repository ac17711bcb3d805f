//! Envoy's `CheckRequest`, reduced to the fields that a decision reads.
//!
//! The same message as in `envoy-types`, with the same field numbers, and two differences that save more time
//! than the decision itself takes:
//!
//! * parts that no decision reads (the destination, certificates, labels, the split target, metadata) have no
//!   field here, so they are skipped and not copied;
//! * texts and bytes stay in the received message ([`Bytes`] share it). They are not yet known to be UTF-8:
//!   [`request::read`](super::request::read) checks that when it reads them.
//!
//! Maps are lists of pairs, as on the wire. A test sends messages in which `envoy-types` has every field set
//! and compares; when Envoy's message gains a field, the test does not compile until a developer decides what
//! that field means.
//!
//! The message holds credentials, so `Debug` prints nothing.

use std::fmt;

use bytes::Bytes;
use prost::{Message, Oneof};

/// `envoy.service.auth.v3.CheckRequest`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Question {
    /// The attributes of the request.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<Attributes>,
}

/// `envoy.service.auth.v3.AttributeContext`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Attributes {
    /// The peer of the connection.
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    /// The request.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
    /// The rendered configuration of the route.
    #[prost(message, repeated, tag = "10")]
    pub context_extensions: Vec<Pair>,
}

/// `AttributeContext.Peer`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Peer {
    /// Its address.
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
    /// The name in its certificate, which Envoy verified; empty without one.
    #[prost(bytes = "bytes", tag = "4")]
    pub principal: Bytes,
}

/// `envoy.config.core.v3.Address`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Address {
    /// Its kind.
    #[prost(oneof = "AddressKind", tags = "1, 2, 3")]
    pub kind: Option<AddressKind>,
}

/// Only a socket address has a meaning here; the others exist because the last one on the wire counts.
#[derive(Clone, PartialEq, Oneof)]
#[prost(skip_debug)]
pub enum AddressKind {
    /// An IP address and a port.
    #[prost(message, tag = "1")]
    Socket(SocketAddress),
    /// A Unix socket.
    #[prost(message, tag = "2")]
    Pipe(Unread),
    /// A listener inside Envoy.
    #[prost(message, tag = "3")]
    Internal(Unread),
}

/// `envoy.config.core.v3.SocketAddress`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct SocketAddress {
    /// The IP address as text.
    #[prost(bytes = "bytes", tag = "2")]
    pub address: Bytes,
}

/// A message whose fields are not read.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Unread {}

/// `AttributeContext.Request`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Request {
    /// The only kind of request.
    #[prost(message, optional, tag = "2")]
    pub http: Option<Http>,
}

/// `AttributeContext.HttpRequest`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Http {
    /// Envoy's own id of the request.
    #[prost(bytes = "bytes", tag = "1")]
    pub id: Bytes,
    /// The method.
    #[prost(bytes = "bytes", tag = "2")]
    pub method: Bytes,
    /// Headers with the lines of one name joined.
    #[prost(message, repeated, tag = "3")]
    pub headers: Vec<Pair>,
    /// Path and query.
    #[prost(bytes = "bytes", tag = "4")]
    pub path: Bytes,
    /// The host.
    #[prost(bytes = "bytes", tag = "5")]
    pub host: Bytes,
    /// The scheme.
    #[prost(bytes = "bytes", tag = "6")]
    pub scheme: Bytes,
    /// The body, when it is text.
    #[prost(bytes = "bytes", tag = "11")]
    pub body: Bytes,
    /// The body.
    #[prost(bytes = "bytes", tag = "12")]
    pub raw_body: Bytes,
    /// Each header line separately.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderMap>,
}

/// `envoy.config.core.v3.HeaderMap`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct HeaderMap {
    /// The lines, in order.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}

/// `envoy.config.core.v3.HeaderValue`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct HeaderValue {
    /// The name.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The value, when it is text.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// The value.
    #[prost(bytes = "bytes", tag = "3")]
    pub raw_value: Bytes,
}

/// An entry of a `map<string, string>`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Pair {
    /// The key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The value.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

macro_rules! says_nothing {
    ($($name:ident),*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        })*
    };
}

says_nothing!(
    Question,
    Attributes,
    Peer,
    Address,
    AddressKind,
    SocketAddress,
    Unread,
    Request,
    Http,
    HeaderMap,
    HeaderValue,
    Pair
);
