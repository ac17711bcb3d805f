//! What a request is charged to: the vocabulary that the local and the shared counters have in common.

use std::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use crate::network::{LEVELS, Network};
use crate::snapshot::rule::Rule;

/// Whose counter: a limit, and one of those that it counts by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The limit.
    pub limit: Arc<str>,
    /// Whose.
    pub of: Of,
}

/// One of those that a limit counts by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// A person, tenant or session.
    Id(Uuid),
    /// An address, or the 64-bit network of one.
    Address(IpAddr),
    /// A service or a route.
    Name(Arc<str>),
    /// A network wider than those that addresses are counted by.
    Network(Network),
    /// Whoever has no address: all of them together.
    Unknown,
    /// Everybody whose key falls into this one of [`BUCKETS`](crate::limit::local::BUCKETS).
    Bucket(u16),
}

impl std::fmt::Display for Of {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.as_hyphenated().fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
            Self::Network(network) => network.fmt(f),
            Self::Bucket(bucket) => write!(f, "bucket {bucket}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// One counter that a request is weighed against.
#[derive(Clone, Debug)]
pub struct Counted<'r> {
    /// The limit.
    pub rule: &'r Rule,
    /// Whose counter.
    pub key: Key,
    /// Whose counters may stand for it where there is no room for its own.
    pub wider: Wider,
}

/// Those around one that a limit counts by, from near to far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wider {
    /// The networks around an address. Every stranger has an address.
    Networks([Network; LEVELS - 1]),
    /// The person of a session, and their tenant. These were proved.
    Owners(Vec<Of>),
}

/// What came of weighing a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    /// For each limit the microseconds to wait; 0 when it allows.
    pub waits: Vec<u64>,
    /// How many more requests were taken in advance, from every limit.
    pub taken: u64,
}

/// How many of `wanted` more requests are taken in advance from limits that have `left` after this request: no more
/// than half of what the tightest leaves, so that one lease never starves its owner's other routes.
#[must_use]
pub fn in_advance(wanted: u64, left: impl IntoIterator<Item = u64>) -> u64 {
    left.into_iter().fold(wanted, |taken, left| taken.min(left / 2))
}
