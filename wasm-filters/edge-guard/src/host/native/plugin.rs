//! One configuration of the module, and the guard that each worker has of it.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use super::feed::Feed;
use super::now;
use crate::guard::Guard;
use crate::host::{self, Action, HostError, Level};
use crate::keeper::Keeper;
use crate::setup::{Role, Setup};

/// What a configuration does.
pub(super) enum Plugin {
    Guard { setup: Box<Setup>, feed: Option<Feed> },
    Keeper(Box<Keeper>),
}

/// A guard of this worker.
struct Own {
    plugin: Weak<Plugin>,
    guard: Guard,
    /// How much of the feed it has heard.
    seen: u64,
}

thread_local! {
    /// The guards of this worker, one for each listener, and one more for each that is being replaced.
    static GUARDS: RefCell<Vec<Own>> = const { RefCell::new(Vec::new()) };
}

impl Plugin {
    /// Reads the configuration that `cutover render` wrote; the reason why not is in Envoy's log.
    pub(super) fn configure(text: &[u8]) -> Option<Self> {
        match Role::read(text)? {
            Role::Guard(setup) => match setup.asking().map(Feed::begin).transpose() {
                Ok(feed) => Some(Self::Guard { setup, feed }),
                Err(error) => {
                    host::log(Level::Error, &format!("edge-guard: {error}"));
                    None
                }
            },
            Role::Keeper(keeper) => Some(Self::Keeper(keeper)),
        }
    }

    /// The feed, if this is a guard that serves by leases.
    pub(super) const fn feed(&self) -> Option<&Feed> {
        match self {
            Self::Guard { feed, .. } => feed.as_ref(),
            Self::Keeper(_) => None,
        }
    }

    /// Judges the request at hand and carries the verdict out, or keeps what was granted with it.
    pub(super) fn request_headers(self: &Arc<Self>) -> Result<Action, HostError> {
        match &**self {
            Self::Guard { setup, feed } => GUARDS.with(|guards| {
                // A call of Envoy's within a call of ours is never about another request's headers.
                let mut guards = guards
                    .try_borrow_mut()
                    .map_err(|_| HostError { call: "a request within a request", status: 0 })?;
                let own = own(&mut guards, self, setup)?;
                if let (Some(feed), Some(leasing)) = (feed, own.guard.leasing())
                    && let Some(hearing) = feed.news(&mut own.seen)
                {
                    leasing.hear(hearing);
                }
                own.guard.request_headers(now)
            }),
            Self::Keeper(keeper) => {
                if let Err(error) = keeper.keep(now) {
                    host::log(Level::Error, &format!("edge-guard: a lease is not kept: {error}"));
                }
                Ok(Action::Continue)
            }
        }
    }
}

/// This worker's guard of `plugin`. Making the first one is the time to forget those whose configuration is gone.
fn own<'a>(guards: &'a mut Vec<Own>, plugin: &Arc<Plugin>, setup: &Setup) -> Result<&'a mut Own, HostError> {
    let position = guards.iter().position(|own| std::ptr::eq(own.plugin.as_ptr(), Arc::as_ptr(plugin)));
    let position = match position {
        Some(position) => position,
        None => {
            guards.retain(|own| own.plugin.strong_count() > 0);
            guards.push(Own { plugin: Arc::downgrade(plugin), guard: setup.guard()?, seen: 0 });
            guards.len().saturating_sub(1)
        }
    };
    guards.get_mut(position).ok_or(HostError { call: "this worker's guard", status: 0 })
}
