//! Open streams of one listener: begins them, polls about them, and says which of them must end.

use std::sync::{Mutex, MutexGuard, PoisonError};

use header_rules::config::StreamBounds;
use lease::{Full, OpenStreams, Pending, StreamEnd, StreamRules, Ticket};

use crate::host::{self, HostError, Level};

/// The milliseconds that a reply may take: the authorizer judges for 150 ms at the most, and on a busy machine the way there
/// and back takes as long again. One poll is in progress at a time.
pub(crate) const TIMEOUT_MS: u32 = 500;

/// The longest answer: a full feed has 70 KB, and 128 standings have 10 KB at the most.
pub(crate) const MAX_ANSWER_BYTES: usize = 131_072;

/// Milliseconds until the next round while there is more to end than one round may.
pub(crate) const SOON_MS: u32 = 10;

/// The most streams that end in one round. With WebAssembly Envoy ends each inside the end of the one before, and each takes
/// stack; with both forms a worker goes on with other requests between two rounds. Five thousand need half a second.
const MOST_AT_ONCE: usize = 100;

pub(crate) struct Streams {
    open: Mutex<OpenStreams>,
    /// `cutover_guard_streams_opened`. Streams that began.
    opened: u32,
    /// `cutover_guard_streams_ended`. Streams that were ended here.
    ended: u32,
    /// `cutover_guard_streams_refused`. Streams for which there was no room.
    refused: u32,
    /// `cutover_guard_streams_lost`. Polls without a good answer.
    lost: u32,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// Nothing ends it.
    Free,
    /// It is open, and must be reported when it has ended.
    Open,
    /// It was answered here.
    Refused,
}

/// The work of one round.
pub(crate) struct Round {
    /// The body of the next poll.
    pub(crate) poll: Option<String>,
    /// The streams that end now.
    pub(crate) endings: Vec<(u64, StreamEnd)>,
    /// Whether there are more to end.
    pub(crate) more: bool,
}

impl Streams {
    pub(crate) fn configure(bounds: StreamBounds) -> Result<Self, HostError> {
        let StreamBounds { most, unjudged_ms } = bounds;
        let rules = StreamRules { most: usize::try_from(most).unwrap_or(usize::MAX), unjudged_ms };
        Ok(Self {
            open: Mutex::new(OpenStreams::new(rules)),
            opened: host::counter("cutover_guard_streams_opened")?,
            ended: host::counter("cutover_guard_streams_ended")?,
            refused: host::counter("cutover_guard_streams_refused")?,
            lost: host::counter("cutover_guard_streams_lost")?,
        })
    }

    /// Begins the current request as `stream`, with this ticket. On an error it must not continue.
    pub(crate) fn begin(&self, stream: u64, ticket: &[u8], now_ms: u64) -> Result<Beginning, HostError> {
        let ticket = match std::str::from_utf8(ticket).ok().map(Ticket::decode) {
            Some(Ok(ticket)) => ticket,
            Some(Err(_)) | None => return Err(HostError::unreadable("what ends a stream")),
        };
        match self.open().begin(stream, ticket, now_ms) {
            Ok(()) => host::add(self.opened, 1).map(|()| Beginning::Open),
            Err(Full) => {
                host::add(self.refused, 1)?;
                host::answer(503, "edge_guard_streams_full", "Too many open streams", &[])?;
                Ok(Beginning::Refused)
            }
        }
    }

    /// Notes that a stream has ended.
    pub(crate) fn end(&self, stream: u64) {
        self.open().end(stream);
    }

    /// The work that is due.
    pub(crate) fn round(&self, now_ms: u64) -> Round {
        let mut open = self.open();
        let endings = open.ending(now_ms, MOST_AT_ONCE);
        let more = endings.len() == MOST_AT_ONCE;
        let poll = open.question(now_ms, u64::from(TIMEOUT_MS));
        Round { poll, endings, more }
    }

    /// Whether no stream is open.
    #[cfg(target_family = "wasm")]
    pub(crate) fn is_empty(&self) -> bool {
        self.open().is_empty()
    }

    /// Notes that the poll was sent as `token`.
    pub(crate) fn sent(&self, token: u64, now_ms: u64) {
        self.open().sent(token, now_ms);
    }

    /// Takes in the answer to `token`, or its absence. Returns whether the next round has work at once.
    pub(crate) fn answered(&self, token: u64, body: Option<&[u8]>) -> Result<bool, HostError> {
        match self.open().answered(token, body) {
            Some(Pending::Questions | Pending::Endings) => Ok(true),
            Some(Pending::Nothing) => Ok(false),
            None => host::add(self.lost, 1).map(|()| false),
        }
    }

    /// Ends the current request.
    pub(crate) fn answer(&self, end: &StreamEnd) -> Result<(), HostError> {
        host::log(Level::Debug, &format!("edge-guard: a stream ends: {}", end.code()));
        host::add(self.ended, 1)?;
        // A client without an answer so far gets this one; an answer that has begun is broken off.
        host::answer(end.status(), &format!("edge_guard_stream_{}", end.code()), words(end), &[])
    }

    /// The table is consistent between any two steps, even after a panic of its holder.
    fn open(&self) -> MutexGuard<'_, OpenStreams> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of an answer. The edge's wording replaces it.
const fn words(end: &StreamEnd) -> &'static str {
    match end {
        StreamEnd::Ended(_) | StreamEnd::Expired => "Unauthorized",
        StreamEnd::Unjudged => "Service unavailable",
    }
}
