//! Open streams, which end with the session behind them.
//!
//! A lease that may have ended costs a check and nothing else, so it ends on suspicion. A stream that is cut is lost work,
//! so suspicion only makes the edge ask: each stream has a [`Ticket`] with tags for the feed and with facts that the
//! authorizer can judge again, and ends when the authorizer says that one of them has ended.
//!
//! ```text
//! ticket   what an allow says about a stream
//! poll     the edge's question and the authorizer's answer
//! open     the open streams of one listener as one worker sees them
//! ```

mod open;
mod poll;
mod ticket;

pub use open::{Full, OpenStreams, Pending, StreamEnd, StreamRules};
pub use poll::{MAX_ASKED, STREAMS_PATH, Standing, StreamsReply, StreamsRequest};
pub use ticket::{STREAM_FIELD, Ticket};

/// Milliseconds between two polls while a stream is open. With sources that lag by at most 400 ms, a reply within 500 ms and
/// a second one that confirms the end, the first streams are closed within a second, and thousands more within the next.
pub const STREAMS_EVERY_MS: u32 = 250;
