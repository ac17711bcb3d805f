//! The counters that a request is charged to: the vocabulary of the local and the shared counters.

use std::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use crate::network::{LEVELS, Network};
use crate::snapshot::rule::{Rule, Tier};

/// The key of a counter: a limit, and the caller, address or other value that it counts by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The limit, and the quota of its own that the caller may have ([`Tier::counters`]).
    pub limit: Arc<str>,
    /// The counted value.
    pub of: Of,
}

/// A value that a limit counts by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// A person, tenant or session, by the [key](crate::id_key) of its id.
    Id(Uuid),
    /// An address, or the 64-bit network of one.
    Address(IpAddr),
    /// A service or a route.
    Name(Arc<str>),
    /// A network wider than the one that addresses are counted by.
    Network(Network),
    /// All callers without an address together.
    Unknown,
    /// All keys that fall into this one of [`BUCKETS`](crate::limit::local::BUCKETS).
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

/// One counter that a request is checked against.
#[derive(Clone, Debug)]
pub struct Counted<'r> {
    /// The limit.
    pub rule: &'r Rule,
    /// The quota that the caller has.
    pub tier: &'r Tier,
    /// Its key.
    pub key: Key,
    /// The wider keys whose counters may stand in where there is no room for its own.
    pub wider: Wider,
}

/// The wider keys around a counted value, from near to far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wider {
    /// The networks around an address. Every unknown client has an address.
    Networks([Network; LEVELS - 1]),
    /// The person of a session, and their tenant. Both are verified.
    Owners(Vec<Of>),
}

impl<'r> Counted<'r> {
    /// The counter of `of` under `tier`.
    #[must_use]
    pub fn new(rule: &'r Rule, tier: &'r Tier, of: Of, wider: Wider) -> Self {
        Self { rule, tier, key: Key { limit: Arc::clone(&tier.counters), of }, wider }
    }
}

/// The state of a token bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// How many more requests it allows at once.
    pub left: u64,
    /// The microseconds until it is full again.
    pub full_in: u64,
}

/// The result of charging a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    /// For each limit the microseconds to wait; 0 when it allows.
    pub waits: Vec<u64>,
    /// For each limit the state of its bucket after this request.
    pub buckets: Vec<Bucket>,
    /// How many more requests were charged in advance, to every limit.
    pub taken: u64,
}

/// How many of `wanted` more requests are charged in advance to limits that have `left` after this request:
/// no more than half of the tightest limit's remainder, so that one lease never starves its owner's other
/// routes.
#[must_use]
pub fn in_advance(wanted: u64, left: impl IntoIterator<Item = u64>) -> u64 {
    left.into_iter().fold(wanted, |taken, left| taken.min(left / 2))
}
