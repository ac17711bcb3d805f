//! Leases: decisions that the edge may use again, for a short time, for exactly this credential on exactly this
//! policy, and that die everywhere within a second when what they rest on ends.
//!
//! ```text
//! tag        one thing that a decision rests on (a session, a person, a tenant, a key), as 64 bits
//! grant      what the authorizer hands out beside an allow
//! feed       what the edge asks about and is told: what ended
//! offer      which credential a request offers, if exactly one
//! record     a lease as bytes
//! hearing    what the edge has heard, and what dies by it
//! slots      slots in shared memory, and how a lease gets into one
//! leases     what a worker took out of them
//! spent      what leases served, until the authorizer has counted it
//! ```
//!
//! Pure: no clock, no host, no I/O. The authorizer writes grants and feeds, the guard reads them, and both use the
//! types here, so that the two cannot drift apart.

mod feed;
mod grant;
mod hearing;
mod leases;
mod lines;
mod offer;
mod record;
mod sip;
mod slots;
mod spent;
mod tag;

pub use feed::{Ended, Feed, FeedRequest, MAX_ENDED, PATH, Spent, WINDOW_MS};
pub use grant::{FIELD, Grant, Told};
pub use hearing::{FRESH_MS, Hearing};
pub use leases::{Leases, Taken};
pub use lines::{Malformed, Unfit};
pub use offer::{Gathered, Names, Offer};
pub use record::{Headers, Hit};
pub use slots::{Slots, Store};
pub use spent::Ledger;
pub use tag::{Kind, Tag};

/// One moment by two clocks, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since the Unix epoch. May be set, forwards and back.
    pub wall_ms: u64,
    /// Since some moment that is the same for every worker of one process. Never goes back.
    pub monotonic_ms: u64,
}

impl Now {
    /// This moment moved to `monotonic_ms`, as if nobody had set the wall clock since. Who reads both clocks only now
    /// and then, and one of them each time, hears of a wall clock that was set when they are read again.
    #[must_use]
    pub const fn at(self, monotonic_ms: u64) -> Self {
        let passed = monotonic_ms.saturating_sub(self.monotonic_ms);
        Self { wall_ms: self.wall_ms.saturating_add(passed), monotonic_ms }
    }
}

/// Which decisions may stand in for each other: those of one policy, for one audience, under the same limits. A
/// lease never serves another class than it was granted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Position in the guard's configuration.
    pub id: u32,
    /// How long a lease lasts at most, in milliseconds, whatever a grant says.
    pub lifetime_ms: u32,
    /// How many requests a lease serves at most, whatever a grant says.
    pub uses: u32,
    /// What becomes of leases while nobody tells what ended.
    pub on_outage: OnOutage,
}

/// What becomes of leases while nobody tells what ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOutage {
    /// None counts.
    Deny,
    /// They live out the time that they were granted for.
    Lease,
}
