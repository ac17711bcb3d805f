//! One plugin on one worker. `cutover render` gives guard and keeper of each listener a plugin of their own.

use lease::{EVERY_MS, STREAMS_EVERY_MS, STREAMS_PATH};

use super::calls::{self, log, tick_every};
use super::clock::Clock;
use super::{raw, shelf};
use crate::body_limit::BodyLimit;
use crate::fault::Fault;
use crate::feed_client::{CLUSTER, FeedClient, FeedReply, MAX_ANSWER_BYTES, TIMEOUT_MS};
use crate::guard::Guard;
use crate::host::{self, Action, HostError, Level};
use crate::keeper::Keeper;
use crate::setup::{Role, Setup};
use crate::streams::{self, Beginning, Round, Streams};

/// The role of a plugin.
pub(super) enum Plugin {
    Guard(Box<Watch>),
    Keeper(Box<Keeper>, Ticks),
    BodyLimit(BodyLimit),
}

/// The milliseconds between two ticks, as set in Envoy; 0 for none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ticks(u32);

impl Ticks {
    fn set(&mut self, milliseconds: u32) -> Result<(), HostError> {
        if self.0 != milliseconds {
            tick_every(milliseconds)?;
            self.0 = milliseconds;
        }
        Ok(())
    }
}

/// The guard of this worker, and its work between requests.
pub(super) struct Watch {
    guard: Guard,
    clock: Clock,
    feed_client: Option<FeedClient>,
    /// The milliseconds between two ticks, as set in Envoy.
    ticks_every: u32,
    /// `cutover_guard_feed_lost`. Polls without a good answer.
    lost: u32,
}

impl Plugin {
    /// Reads the current configuration. The reason of a failure is in Envoy's log.
    pub(super) fn configure() -> Option<Self> {
        match Role::read(&calls::plugin_configuration().ok()?)? {
            Role::Guard(setup) => match Watch::begin(&setup) {
                Ok(watch) => Some(Self::Guard(Box::new(watch))),
                Err(error) => {
                    log(Level::Error, &format!("edge-guard: {}", Fault::Host(error)));
                    None
                }
            },
            // It ticks once a stream is open.
            Role::Keeper(keeper) => Some(Self::Keeper(keeper, Ticks::default())),
            Role::BodyLimit(limit) => Some(Self::BodyLimit(limit)),
        }
    }

    /// Judges the current request and applies the verdict, or keeps what was granted with it. Returns whether it is among the
    /// open streams now.
    pub(super) fn request_headers(&mut self, stream: u32) -> (Action, bool) {
        let done = match self {
            Self::Guard(watch) => {
                watch.guard.request_headers(|| watch.clock.now()).map(|action| (action, false))
            }
            Self::Keeper(keeper, ticks) => {
                keeper.keep(|| Ok(Clock::read()?.last()));
                begin(keeper, ticks, stream)
            }
            Self::BodyLimit(limit) => limit.request_headers().map(|action| (action, false)),
        };
        done.unwrap_or_else(|error| (fail(&error.to_string()), false))
    }

    /// Judges the current request by the part of its body that has come.
    pub(super) fn request_body(&mut self) -> Action {
        match self {
            Self::Guard(_) | Self::Keeper(_, _) => Action::Continue,
            Self::BodyLimit(limit) => {
                let judged = calls::received().and_then(|received| limit.request_body(received));
                judged.unwrap_or_else(|error| fail(&error.to_string()))
            }
        }
    }

    /// Notes that an open stream has ended.
    pub(super) fn end(&self, stream: u32) {
        if let Self::Keeper(keeper, _) = self
            && let Some(streams) = keeper.streams()
        {
            streams.end(u64::from(stream));
        }
    }

    /// Time to report counts, to poll the feed, and to end streams.
    pub(super) fn tick(&mut self) {
        match self {
            Self::Guard(watch) => noted("polling the feed", watch.tick()),
            Self::Keeper(keeper, ticks) => {
                if let Some(streams) = keeper.streams() {
                    noted("ending streams", round(streams, ticks));
                }
            }
            Self::BodyLimit(_) => {}
        }
    }

    /// The answer to a call, or its absence: then it has no `headers`.
    pub(super) fn answered(&mut self, token: u32, headers: usize, size: usize) {
        match self {
            Self::Guard(watch) => noted("reading the feed", watch.answered(token, headers, size)),
            Self::Keeper(keeper, ticks) => {
                if let Some(streams) = keeper.streams() {
                    let body = calls::answered(headers, size, streams::MAX_ANSWER_BYTES);
                    let more = body.and_then(|body| streams.answered(u64::from(token), body.as_deref()));
                    noted(
                        "judging streams",
                        more.and_then(|more| if more { round(streams, ticks) } else { Ok(()) }),
                    );
                }
            }
            Self::BodyLimit(_) => {}
        }
    }
}

/// Logs the error of a part of a poll. An error here is like a lost answer: after a short time without one, no lease is
/// valid, and after a longer one no stream lives on.
fn noted(what: &str, done: Result<(), HostError>) {
    if let Err(error) = done {
        log(Level::Debug, &format!("edge-guard: {what}: {error}"));
    }
}

/// Begins the current request as a stream, if it is one.
fn begin(keeper: &Keeper, ticks: &mut Ticks, stream: u32) -> Result<(Action, bool), HostError> {
    Ok(match keeper.begin(u64::from(stream), raw::monotonic_ms)? {
        Beginning::Free => (Action::Continue, false),
        Beginning::Open => {
            if ticks.0 == 0 {
                ticks.set(STREAMS_EVERY_MS)?;
            }
            (Action::Continue, true)
        }
        Beginning::Refused => (Action::Pause, false),
    })
}

/// Polls about the open streams, and ends those that must end.
fn round(streams: &Streams, ticks: &mut Ticks) -> Result<(), HostError> {
    let now_ms = raw::monotonic_ms()?;
    let Round { poll, endings, more } = streams.round(now_ms);
    ticks.set(match (more, streams.is_empty()) {
        (true, _) => streams::SOON_MS,
        (false, false) => STREAMS_EVERY_MS,
        (false, true) => 0,
    })?;
    if let Some(body) = poll {
        let token = calls::post(CLUSTER, STREAMS_PATH, body.as_bytes(), streams::TIMEOUT_MS)?;
        streams.sent(u64::from(token), now_ms);
    }
    // Last: from here on the current request is another one. Envoy ends them after this call.
    for (stream, end) in endings {
        let is_there = u32::try_from(stream).map_or(Ok(false), calls::act_on)?;
        if is_there {
            streams.answer(&end)?;
        }
    }
    Ok(())
}

/// Ends a request that could not be edited: if it continued, a forged header might pass.
pub(super) fn fail(error: &str) -> Action {
    log(Level::Error, &format!("edge-guard: {error}"));
    if raw::answer(500, "edge_guard_failed", "Internal server error", &[]).is_err() {
        // A trap: the module is dead from here on, and Envoy restarts it.
        std::process::abort();
    }
    Action::Pause
}

impl Watch {
    fn begin(setup: &Setup) -> Result<Self, HostError> {
        let feed_client = setup.feed_client();
        let ticks_every = feed_client.as_ref().map_or(EVERY_MS, FeedClient::next_tick_ms);
        tick_every(ticks_every)?;
        Ok(Self {
            guard: setup.guard()?,
            clock: Clock::read()?,
            feed_client,
            ticks_every,
            lost: host::counter("cutover_guard_feed_lost")?,
        })
    }

    /// Reports counts, and polls the feed.
    fn tick(&mut self) -> Result<(), HostError> {
        self.clock = Clock::read()?;
        self.guard.report()?;
        let Some(feed_client) = &mut self.feed_client else { return Ok(()) };
        if let Some(leasing) = self.guard.leasing() {
            leasing.set_key(shelf::key()?);
        }
        let question = feed_client.question(self.clock.last().monotonic_ms);
        let next = feed_client.next_tick_ms();
        if next != self.ticks_every {
            tick_every(next)?;
            self.ticks_every = next;
        }
        let Some(body) = question else { return Ok(()) };
        let token = calls::post(CLUSTER, lease::PATH, body.as_bytes(), TIMEOUT_MS)?;
        feed_client.sent(u64::from(token), self.clock.last().monotonic_ms);
        Ok(())
    }

    /// Reads the answer to a call.
    fn answered(&mut self, token: u32, headers: usize, size: usize) -> Result<(), HostError> {
        let now = self.clock.now()?;
        let Some(feed_client) = &mut self.feed_client else { return Ok(()) };
        let body = calls::answered(headers, size, MAX_ANSWER_BYTES)?;
        match feed_client.answered(u64::from(token), body.as_deref(), now) {
            FeedReply::Good(feed) => {
                if let Some(leasing) = self.guard.leasing() {
                    leasing.receive(feed);
                }
                Ok(())
            }
            FeedReply::Lost => host::add(self.lost, 1),
            FeedReply::Stale => Ok(()),
        }
    }
}
