//! What one plugin does on one worker. `cutover render` gives guard and keeper of each listener a plugin of their own.

use super::calls::{self, log, tick_every};
use super::clock::Clock;
use lease::EVERY_MS;

use super::{raw, shelf};
use crate::asking::{Answer, Asking, CLUSTER, MAX_ANSWER_BYTES, TIMEOUT_MS};
use crate::fault::Fault;
use crate::guard::Guard;
use crate::host::{self, Action, HostError, Level};
use crate::keeper::Keeper;
use crate::setup::{Role, Setup};

/// What a plugin does.
pub(super) enum Plugin {
    Guard(Box<Watch>),
    Keeper(Box<Keeper>),
}

/// The guard of this worker, and what it does between requests.
pub(super) struct Watch {
    guard: Guard,
    clock: Clock,
    asking: Option<Asking>,
    /// Milliseconds between two ticks, as Envoy has them.
    ticks_every: u32,
    /// `cutover_guard_feed_lost`. Questions without a good answer.
    lost: u32,
}

impl Plugin {
    /// Reads the configuration at hand; the reason why not is in Envoy's log.
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
        }
    }

    /// Judges the request at hand and carries the verdict out, or keeps what was granted with it.
    pub(super) fn request_headers(&mut self) -> Action {
        match self {
            Self::Guard(watch) => {
                let judged = watch.guard.request_headers(|| watch.clock.now());
                judged.unwrap_or_else(|error| fail(&error.to_string()))
            }
            Self::Keeper(keeper) => {
                if let Err(error) = keeper.keep(|| Ok(Clock::read()?.last())) {
                    log(Level::Error, &format!("edge-guard: a lease is not kept: {error}"));
                }
                Action::Continue
            }
        }
    }

    /// Time to report what was counted, and to ask what ended.
    pub(super) fn tick(&mut self) {
        self.between_requests("asking what ended", Watch::tick);
    }

    /// The answer to a call, or that there is none: then it has no `headers`.
    pub(super) fn answered(&mut self, token: u32, headers: usize, size: usize) {
        self.between_requests("hearing what ended", |watch| watch.answered(token, headers, size));
    }

    /// What goes wrong here is not heard, and after a moment without hearing no lease counts.
    fn between_requests(&mut self, what: &str, act: impl FnOnce(&mut Watch) -> Result<(), HostError>) {
        let done = match self {
            Self::Guard(watch) => act(watch),
            Self::Keeper(_) => Ok(()),
        };
        if let Err(error) = done {
            log(Level::Debug, &format!("edge-guard: {what}: {error}"));
        }
    }
}

/// Ends a request that could not be edited: letting it go on might let a forged header through.
pub(super) fn fail(error: &str) -> Action {
    log(Level::Error, &format!("edge-guard: {error}"));
    if raw::answer(500, "edge_guard_failed", "Internal server error").is_err() {
        // A trap: the module is dead from here on, and Envoy starts it anew.
        std::process::abort();
    }
    Action::Pause
}

impl Watch {
    fn begin(setup: &Setup) -> Result<Self, HostError> {
        let asking = setup.asking();
        let ticks_every = asking.as_ref().map_or(EVERY_MS, Asking::next_tick_ms);
        tick_every(ticks_every)?;
        Ok(Self {
            guard: setup.guard()?,
            clock: Clock::read()?,
            asking,
            ticks_every,
            lost: host::counter("cutover_guard_feed_lost")?,
        })
    }

    /// Reports what was counted, and asks what ended.
    fn tick(&mut self) -> Result<(), HostError> {
        self.clock = Clock::read()?;
        self.guard.tell()?;
        let Some(asking) = &mut self.asking else { return Ok(()) };
        if let Some(leasing) = self.guard.leasing() {
            leasing.set_key(shelf::key()?);
        }
        let question = asking.question(self.clock.last().monotonic_ms);
        let next = asking.next_tick_ms();
        if next != self.ticks_every {
            tick_every(next)?;
            self.ticks_every = next;
        }
        let Some(body) = question else { return Ok(()) };
        let token = calls::post(CLUSTER, lease::PATH, body.as_bytes(), TIMEOUT_MS)?;
        asking.sent(u64::from(token), self.clock.last().monotonic_ms);
        Ok(())
    }

    /// Takes in the answer to a call.
    fn answered(&mut self, token: u32, headers: usize, size: usize) -> Result<(), HostError> {
        let now = self.clock.now()?;
        let Some(asking) = &mut self.asking else { return Ok(()) };
        let body = calls::answered(headers, size, MAX_ANSWER_BYTES)?;
        match asking.answered(u64::from(token), body.as_deref(), now) {
            Answer::Heard(hearing) => {
                if let Some(leasing) = self.guard.leasing() {
                    leasing.hear(hearing);
                }
                Ok(())
            }
            Answer::Lost => host::add(self.lost, 1),
            Answer::Stale => Ok(()),
        }
    }
}
