//! Leases: decisions that the edge may use again, for a short time, for exactly one credential under exactly one
//! policy. They die everywhere within a second when a thing that they rest on ends.
//!
//! ```text
//! tag        one thing that a decision rests on (a session, a person, a tenant, a key), as 64 bits
//! grant      the part of an allow that the edge may use again
//! feed       the poll of the edge and the reply: invalidations
//! offer      which credential a request offers, if exactly one
//! record     a lease as bytes
//! feed    invalidations as a worker has received them
//! pace       when a guard polls
//! slots      slots in shared memory, and how a lease gets into one
//! leases     leases and uses that a worker took out of them
//! spent      requests that leases served and the authorizer has not counted yet
//! streams    open streams, which end with the session behind them
//! ```
//!
//! Pure: no clock, no host, no I/O. The authorizer writes grants and feeds, the guard reads them, and both use the
//! types here, so that the two cannot drift apart.

mod feed;
mod feed_state;
mod grant;
mod leases;
mod lines;
mod offer;
mod pace;
mod record;
mod sip;
mod slots;
mod spent;
mod streams;
mod tag;

pub use feed::{Ended, Feed, FeedRequest, MAX_ENDED, PATH, Spent, WINDOW_MS};
pub use feed_state::{FRESH_MS, FeedState};
pub use grant::{FIELD, Grant, LogFields};
pub use leases::{Leases, Taken};
pub use lines::{Malformed, Unfit};
pub use offer::{Gathered, Names, Offer};
pub use pace::{EVERY_MS, FIRST_MS, Pace};
pub use record::{Headers, Hit};
pub use slots::{Slots, Store};
pub use spent::Ledger;
pub use streams::{
    Full, MAX_ASKED, OpenStreams, Pending, STREAM_FIELD, STREAMS_EVERY_MS, STREAMS_PATH, Standing, StreamEnd,
    StreamRules, StreamsReply, StreamsRequest, Ticket,
};
pub use tag::{Kind, Tag};

/// One moment, by two clocks, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since the Unix epoch. It can be set, forwards and back.
    pub wall_ms: u64,
    /// Since a moment that all workers of one process share. It never goes back.
    pub monotonic_ms: u64,
}

impl Now {
    /// This moment moved to `monotonic_ms`, assuming that the wall clock was not set in between. A caller that reads the
    /// wall clock only now and then notices a changed one at the next reading.
    #[must_use]
    pub const fn at(self, monotonic_ms: u64) -> Self {
        let passed = monotonic_ms.saturating_sub(self.monotonic_ms);
        Self { wall_ms: self.wall_ms.saturating_add(passed), monotonic_ms }
    }
}

/// Decisions that may stand in for each other: of one policy, for one audience, under the same limits. A lease never
/// serves another class than its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Position in the guard's configuration.
    pub id: u32,
    /// The longest life of a lease, in milliseconds, whatever a grant says.
    pub lifetime_ms: u32,
    /// The most requests that a lease serves, whatever a grant says.
    pub uses: u32,
    /// What happens to leases while no poll succeeds.
    pub on_outage: OnOutage,
}

/// What happens to leases while no poll succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOutage {
    /// They are invalid from [`FRESH_MS`] after the last successful poll on.
    Deny,
    /// They live out their time.
    Lease,
}
