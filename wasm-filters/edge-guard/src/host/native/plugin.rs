//! One configuration of the module, and each worker's guard of it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::abi::Buffer;
use super::feed::Feed;
use super::open::{Kept, Open};
use super::{mark, now};
use crate::body_limit::BodyLimit;
use crate::guard::Guard;
use crate::host::{self, Action, HostError, Level};
use crate::setup::{Role, Setup};

/// The role of a configuration.
pub(super) enum Plugin {
    Guard { setup: Box<Setup>, feed: Option<Feed>, marks: Arc<[Option<String>]> },
    Keeper(Box<Open>),
    BodyLimit(BodyLimit),
}

/// A guard of this worker.
pub(super) struct Own {
    plugin: Weak<Plugin>,
    guard: Guard,
    /// The last answer of the feed that it has seen.
    seen: u64,
    /// The mark of a leased request, by the position of its route.
    marks: Arc<[Option<String>]>,
}

thread_local! {
    /// The guards of this worker, one for each listener, and one more for each that is being replaced.
    static GUARDS: RefCell<Vec<Own>> = const { RefCell::new(Vec::new()) };
}

/// Every guard that is alive, the newest last.
static PLUGINS: Mutex<Vec<Weak<Plugin>>> = Mutex::new(Vec::new());

/// How often a guard was added to or removed from [`PLUGINS`].
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// How often the result of [`newest`] may have changed.
pub(super) fn changes() -> u64 {
    CHANGES.load(Ordering::Acquire)
}

/// The newest guard of this listener. Envoy makes one whenever it reads another configuration; earlier ones stay alive for
/// the requests that they judged.
pub(super) fn newest(listener: &str) -> Option<Arc<Plugin>> {
    let plugins = PLUGINS.lock().unwrap_or_else(PoisonError::into_inner);
    plugins.iter().rev().filter_map(Weak::upgrade).find(|plugin| match &**plugin {
        Plugin::Guard { setup, .. } => setup.listener() == listener,
        Plugin::Keeper(_) | Plugin::BodyLimit(_) => false,
    })
}

impl Drop for Plugin {
    fn drop(&mut self) {
        CHANGES.fetch_add(1, Ordering::Release);
    }
}

impl Plugin {
    /// Reads the configuration that `cutover render` wrote. The reason of a failure is in Envoy's log.
    pub(super) fn configure(text: &[u8]) -> Option<Arc<Self>> {
        match Role::read(text)? {
            Role::Guard(setup) => match setup.feed_client().map(Feed::begin).transpose() {
                Ok(feed) => {
                    let marks = setup.early_marks().into();
                    let plugin = Arc::new(Self::Guard { setup, feed, marks });
                    let mut plugins = PLUGINS.lock().unwrap_or_else(PoisonError::into_inner);
                    plugins.retain(|plugin| plugin.strong_count() > 0);
                    plugins.push(Arc::downgrade(&plugin));
                    CHANGES.fetch_add(1, Ordering::Release);
                    Some(plugin)
                }
                Err(error) => {
                    host::log(Level::Error, &format!("edge-guard: {error}"));
                    None
                }
            },
            Role::Keeper(keeper) => match Open::begin(keeper) {
                Ok(open) => Some(Arc::new(Self::Keeper(Box::new(open)))),
                Err(error) => {
                    host::log(Level::Error, &format!("edge-guard: {error}"));
                    None
                }
            },
            Role::BodyLimit(limit) => Some(Arc::new(Self::BodyLimit(limit))),
        }
    }

    /// Reports counts that were not reported yet, and polls: on the main thread, for the current configuration.
    pub(super) fn tick(&self) -> Result<(), HostError> {
        match self {
            Self::Guard { setup, feed, .. } => {
                setup.report()?;
                feed.as_ref().map_or(Ok(()), Feed::ask)
            }
            Self::Keeper(open) => open.tick(),
            Self::BodyLimit(_) => Ok(()),
        }
    }

    /// Reads the answer to `token`: on the main thread, for the current configuration.
    pub(super) fn answered(&self, token: u64, good: bool, chunks: &[Buffer]) -> Result<(), HostError> {
        match self {
            Self::Guard { feed, .. } => {
                feed.as_ref().map_or(Ok(()), |feed| feed.answered(token, good, chunks))
            }
            Self::Keeper(open) => open.answered(token, good, chunks),
            Self::BodyLimit(_) => Ok(()),
        }
    }

    /// The open streams, if this is a keeper.
    pub(super) const fn open(&self) -> Option<&Open> {
        match self {
            Self::Guard { .. } | Self::BodyLimit(_) => None,
            Self::Keeper(open) => Some(open),
        }
    }

    /// The feed, if this is a guard that serves by leases.
    pub(super) const fn feed(&self) -> Option<&Feed> {
        match self {
            Self::Guard { feed, .. } => feed.as_ref(),
            Self::Keeper(_) | Self::BodyLimit(_) => None,
        }
    }

    /// Judges the current request and applies the verdict, or keeps what was granted with it. Returns its number, too, when
    /// it is among the open streams now.
    pub(super) fn request_headers(self: &Arc<Self>) -> Result<(Action, Option<u64>), HostError> {
        match &**self {
            Self::Guard { .. } => {
                // Also where this guard has no leases: another one of the same listener may have served it early.
                mark::forget()?;
                self.with_own(|own| own.guard.request_headers(now)).map(|action| (action, None))
            }
            Self::Keeper(open) => Ok(match open.keep()? {
                Kept::Passed => (Action::Continue, None),
                Kept::Open(number) => (Action::Continue, Some(number)),
                Kept::Answered => (Action::Pause, None),
            }),
            Self::BodyLimit(limit) => limit.request_headers().map(|action| (action, None)),
        }
    }

    /// Judges the current request by the part of its body that has come: `received`, for a filter that counts it.
    pub(super) fn request_body(&self, received: impl FnOnce() -> u64) -> Result<Action, HostError> {
        match self {
            Self::Guard { .. } | Self::Keeper(_) => Ok(Action::Continue),
            Self::BodyLimit(limit) => limit.request_body(received()),
        }
    }

    /// Whether it counts bodies.
    pub(super) const fn counts_bodies(&self) -> bool {
        matches!(self, Self::BodyLimit(_))
    }

    /// Runs a function on this worker's guard, after the guard has read the newest answer of the feed.
    pub(super) fn with_own<T>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut Own) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        GUARDS.with(|guards| {
            // A call from Envoy during a call of ours is never about another request's headers.
            let mut guards = guards
                .try_borrow_mut()
                .map_err(|_| HostError { call: "a request within a request", status: 0 })?;
            let own = own(&mut guards, self)?;
            if let (Some(feed), Some(leasing)) = (self.feed(), own.guard.leasing())
                && let Some(feed) = feed.news(&mut own.seen)
            {
                leasing.receive(feed);
            }
            act(own)
        })
    }
}

impl Own {
    /// Serves the current request, with these headers, by a lease before anything else happens to it. Returns its mark, if
    /// it was served.
    pub(super) fn early(&mut self, headers: &[u8]) -> Result<Option<&str>, HostError> {
        let marks = &self.marks;
        let mark = |route: usize| marks.get(route).and_then(Option::as_deref);
        let served = self.guard.early(headers, |route| mark(route).is_some(), now)?;
        Ok(served.and_then(mark))
    }
}

/// This worker's guard of `plugin`. Making a new one also drops those whose configuration does not exist any more.
fn own<'a>(guards: &'a mut Vec<Own>, plugin: &Arc<Plugin>) -> Result<&'a mut Own, HostError> {
    let position = guards.iter().position(|own| std::ptr::eq(own.plugin.as_ptr(), Arc::as_ptr(plugin)));
    let position = match position {
        Some(position) => position,
        None => {
            guards.retain(|own| own.plugin.strong_count() > 0);
            let Plugin::Guard { setup, marks, .. } = &**plugin else {
                return Err(HostError { call: "a guard of a keeper", status: 0 });
            };
            let (plugin, guard) = (Arc::downgrade(plugin), setup.guard()?);
            guards.push(Own { plugin, guard, seen: 0, marks: Arc::clone(marks) });
            guards.len().saturating_sub(1)
        }
    };
    guards.get_mut(position).ok_or(HostError { call: "this worker's guard", status: 0 })
}
