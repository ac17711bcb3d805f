//! One plugin on one worker. `cutover render` gives guard and keeper of each listener a plugin of their own.

use super::calls::{self, log, tick_every};
use super::clock::Clock;
use lease::EVERY_MS;

use super::{raw, shelf};
use crate::body_limit::BodyLimit;
use crate::fault::Fault;
use crate::feed_client::{CLUSTER, FeedClient, FeedReply, MAX_ANSWER_BYTES, TIMEOUT_MS};
use crate::guard::Guard;
use crate::host::{self, Action, HostError, Level};
use crate::keeper::Keeper;
use crate::setup::{Role, Setup};

/// The role of a plugin.
pub(super) enum Plugin {
    Guard(Box<Watch>),
    Keeper(Box<Keeper>),
    BodyLimit(BodyLimit),
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
            Role::Keeper(keeper) => Some(Self::Keeper(keeper)),
            Role::BodyLimit(limit) => Some(Self::BodyLimit(limit)),
        }
    }

    /// Judges the current request and applies the verdict, or stores the lease that was granted with it.
    pub(super) fn request_headers(&mut self) -> Action {
        match self {
            Self::Guard(watch) => {
                let judged = watch.guard.request_headers(|| watch.clock.now());
                judged.unwrap_or_else(|error| fail(&error.to_string()))
            }
            Self::Keeper(keeper) => {
                if let Err(error) = keeper.keep(|| Ok(Clock::read()?.last())) {
                    log(Level::Error, &format!("edge-guard: a lease is not stored: {error}"));
                }
                Action::Continue
            }
            Self::BodyLimit(limit) => {
                limit.request_headers().unwrap_or_else(|error| fail(&error.to_string()))
            }
        }
    }

    /// Judges the current request by the part of its body that has come.
    pub(super) fn request_body(&mut self) -> Action {
        match self {
            Self::Guard(_) | Self::Keeper(_) => Action::Continue,
            Self::BodyLimit(limit) => {
                let judged = calls::received().and_then(|received| limit.request_body(received));
                judged.unwrap_or_else(|error| fail(&error.to_string()))
            }
        }
    }

    /// Time to report counts, and to poll the feed.
    pub(super) fn tick(&mut self) {
        self.between_requests("polling the feed", Watch::tick);
    }

    /// The answer to a call, or its absence: then it has no `headers`.
    pub(super) fn answered(&mut self, token: u32, headers: usize, size: usize) {
        self.between_requests("reading the feed", |watch| watch.answered(token, headers, size));
    }

    /// Runs a part of a poll and logs its error. An error here is like a lost answer: after a short time without one, no
    /// lease is valid.
    fn between_requests(&mut self, what: &str, act: impl FnOnce(&mut Watch) -> Result<(), HostError>) {
        let done = match self {
            Self::Guard(watch) => act(watch),
            Self::Keeper(_) | Self::BodyLimit(_) => Ok(()),
        };
        if let Err(error) = done {
            log(Level::Debug, &format!("edge-guard: {what}: {error}"));
        }
    }
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
