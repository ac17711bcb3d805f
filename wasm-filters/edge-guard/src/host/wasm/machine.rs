//! What this machine is.
//!
//! `cutover render` gives guard and keeper of each listener and revision a machine of their own. So nobody has to ask to
//! which plugin a stream belongs: being told would be one more call into the module for every request, and each
//! takes about a microsecond.

use std::cell::RefCell;

use super::clock::Clock;
use super::{leases, shelf};
use crate::asking::{Answer, Asking, CLUSTER, EVERY_MS, MAX_ANSWER_BYTES, TIMEOUT_MS};
use crate::fault::Fault;
use crate::guard::Guard;
use crate::host::{self, Action, HostError, Level};
use crate::keeper::Keeper;
use crate::setup::{self, Setup};

/// What the plugin of this machine does.
enum Role {
    Guard(Box<Watch>),
    Keeper(Box<Keeper>),
}

/// The guard of this worker, and what it does between requests.
struct Watch {
    guard: Guard,
    clock: Clock,
    asking: Option<Asking>,
    /// `cutover_guard_feed_lost`. Questions without a good answer.
    lost: u32,
}

thread_local! {
    /// The plugin that was configured last, and its id. When a listener is replaced by one of the same revision, Envoy
    /// configures the same rules in the same machine once more; requests of the old listener may be judged by either.
    static PLUGIN: RefCell<Option<(u32, Role)>> = const { RefCell::new(None) };
}

/// Reads the configuration of a plugin. On `false` Envoy refuses it and keeps what it has.
pub(super) fn configure(plugin_id: u32) -> bool {
    let role = super::plugin_configuration().ok().and_then(|text| setup::Role::read(&text));
    let role = match role {
        Some(setup::Role::Guard(setup)) => match Watch::begin(&setup) {
            Ok(watch) => Role::Guard(Box::new(watch)),
            Err(error) => {
                host::log(Level::Error, &format!("edge-guard: {}", Fault::Host(error)));
                return false;
            }
        },
        Some(setup::Role::Keeper(keeper)) => Role::Keeper(keeper),
        None => return false,
    };
    PLUGIN.with_borrow_mut(|plugin| *plugin = Some((plugin_id, role)));
    true
}

/// Judges the request at hand and carries the verdict out, or keeps what was granted with it.
pub(super) fn request_headers() -> Action {
    let judged = PLUGIN.with_borrow_mut(|plugin| match plugin {
        Some((_, Role::Guard(watch))) => Some(watch.guard.request_headers(|| watch.clock.now())),
        Some((_, Role::Keeper(keeper))) => {
            if let Err(error) = keeper.keep(|| Ok(Clock::read()?.last())) {
                host::log(Level::Error, &format!("edge-guard: a lease is not kept: {error}"));
            }
            Some(Ok(Action::Continue))
        }
        None => None,
    });
    match judged {
        Some(Ok(action)) => action,
        Some(Err(error)) => fail(&error.to_string()),
        None => fail("a stream before any configuration"),
    }
}

/// Time to tell what was counted, and to ask what ended.
pub(super) fn tick(plugin_id: u32) {
    told(plugin_id, "asking what ended", Watch::tick);
}

/// The answer to a call of a plugin.
pub(super) fn answered(plugin_id: u32, token: u32, size: usize) {
    told(plugin_id, "hearing what ended", |watch| watch.answered(token, size));
}

/// What goes wrong here is not heard, and after a moment without hearing no lease counts.
fn told(plugin_id: u32, what: &str, act: impl FnOnce(&mut Watch) -> Result<(), HostError>) {
    let done = PLUGIN.with_borrow_mut(|plugin| match plugin {
        Some((id, Role::Guard(watch))) if *id == plugin_id => Some(act(watch)),
        Some((_, Role::Guard(_) | Role::Keeper(_))) | None => None,
    });
    if let Some(Err(error)) = done {
        host::log(Level::Debug, &format!("edge-guard: {what}: {error}"));
    }
}

/// Ends a request that could not be edited: letting it go on might let a forged header through.
fn fail(error: &str) -> Action {
    host::log(Level::Error, &format!("edge-guard: {error}"));
    let answered: Result<(), HostError> = host::answer(500, "edge_guard_failed", "Internal server error");
    if answered.is_err() {
        super::trap();
    }
    Action::Pause
}

impl Watch {
    fn begin(setup: &Setup) -> Result<Self, HostError> {
        leases::tick_every(EVERY_MS)?;
        Ok(Self {
            guard: setup.guard()?,
            clock: Clock::read()?,
            asking: setup.asking(),
            lost: host::counter("cutover_guard_feed_lost")?,
        })
    }

    /// Tells what was counted, and asks what ended.
    fn tick(&mut self) -> Result<(), HostError> {
        self.clock = Clock::read()?;
        self.guard.tell()?;
        let Some(asking) = &mut self.asking else { return Ok(()) };
        if let Some(leasing) = self.guard.leasing() {
            leasing.set_key(shelf::key()?);
        }
        let Some(body) = asking.question() else { return Ok(()) };
        let token = leases::post(CLUSTER, lease::PATH, body.as_bytes(), TIMEOUT_MS)?;
        asking.sent(u64::from(token), self.clock.last().monotonic_ms);
        Ok(())
    }

    /// Takes in the answer to a call.
    fn answered(&mut self, token: u32, size: usize) -> Result<(), HostError> {
        let now = self.clock.now()?;
        let Some(asking) = &mut self.asking else { return Ok(()) };
        let body = (leases::answered_status() == b"200")
            .then(|| leases::answered_body(size, MAX_ANSWER_BYTES))
            .flatten();
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
