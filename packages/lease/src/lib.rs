//! Leases: decisions that the edge may use again, for a short time, for exactly this credential on exactly this
//! policy, and that die everywhere within a second when what they rest on ends.
//!
//! ```text
//! tag        one thing that a decision rests on (a session, a person, a tenant, a key), as 64 bits
//! grant      what the authorizer hands out beside an allow
//! feed       what the edge asks about and is told: what ended
//! ```
//!
//! Pure: no clock, no host, no I/O. The authorizer writes grants and feeds, the guard reads them, and both use the
//! types here, so that the two cannot drift apart.

mod feed;
mod grant;
mod lines;
mod tag;

pub use feed::{Ended, Feed, FeedRequest, MAX_ENDED, PATH, Spent, WINDOW_MS};
pub use grant::{FIELD, Grant, Told};
pub use lines::{Malformed, Unfit};
pub use tag::{Kind, Tag};
