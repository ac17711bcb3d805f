//! The open streams of a listener, of all workers: Envoy's main thread polls about them, and has the worker of each end it.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lease::{STREAMS_EVERY_MS, STREAMS_PATH, StreamEnd};

use super::abi::{self, Buffer};
use super::reminder::Reminder;
use super::{now, post, stream};
use crate::host::HostError;
use crate::keeper::Keeper;
use crate::streams::{self, Beginning, Round, Streams};

/// What the keeper of a listener needs besides the rules that both forms share.
pub(super) struct Open {
    keeper: Box<Keeper>,
    next: AtomicU64,
    workers: Mutex<BTreeMap<u64, OnWorker>>,
    /// Absent when nothing ends the streams of this listener.
    reminder: Option<Reminder>,
}

/// Envoy's handle to have a stream's worker call us, and why the stream ends, once it must.
struct OnWorker {
    scheduler: Scheduler,
    end: Option<StreamEnd>,
}

struct Scheduler(*mut c_void);

// SAFETY: Envoy allows any thread to commit with it and delete it; it is an owned pointer without another owner.
unsafe impl Send for Scheduler {}

impl Scheduler {
    /// For the current request.
    fn of_stream() -> Result<Self, HostError> {
        let stream = stream("http_filter_scheduler_new")?;
        // SAFETY: the stream is alive while its hook runs.
        Ok(Self(unsafe { abi::envoy_dynamic_module_callback_http_filter_scheduler_new(stream) }))
    }

    /// Has Envoy call us on the stream's worker. When the stream has ended, Envoy does nothing.
    fn commit(&self) {
        // SAFETY: ours until it is dropped.
        unsafe { abi::envoy_dynamic_module_callback_http_filter_scheduler_commit(self.0, 0) };
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        // SAFETY: ours, and not used any more.
        unsafe { abi::envoy_dynamic_module_callback_http_filter_scheduler_delete(self.0) };
    }
}

impl Open {
    /// For the current configuration.
    pub(super) fn begin(keeper: Box<Keeper>) -> Result<Self, HostError> {
        let remind = || Reminder::begin("cutover-streams", STREAMS_EVERY_MS);
        let reminder = keeper.streams().map(|_| remind()).transpose()?;
        Ok(Self { keeper, next: AtomicU64::new(0), workers: Mutex::default(), reminder })
    }

    /// Keeps what was granted with the current request. Returns its number when it is among the open streams now, or that it
    /// was answered here.
    pub(super) fn keep(&self) -> Result<Kept, HostError> {
        self.keeper.keep(now);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Held from before the stream is open until its worker is known: it may have to end at once.
        let mut workers = self.keeper.streams().map(|_| self.workers());
        let beginning = self.keeper.begin(number, || Ok(now()?.monotonic_ms))?;
        Ok(match (beginning, &mut workers) {
            (Beginning::Free, _) => Kept::Passed,
            (Beginning::Refused, _) => Kept::Answered,
            (Beginning::Open, Some(workers)) => match Scheduler::of_stream() {
                Ok(scheduler) => {
                    workers.insert(number, OnWorker { scheduler, end: None });
                    Kept::Open(number)
                }
                Err(error) => {
                    self.keeper.streams().into_iter().for_each(|streams| streams.end(number));
                    return Err(error);
                }
            },
            (Beginning::Open, None) => return Err(HostError::unreadable("the open streams")),
        })
    }

    /// Notes that an open stream has ended.
    pub(super) fn ended(&self, number: u64) {
        if let Some(streams) = self.keeper.streams() {
            streams.end(number);
        }
        self.workers().remove(&number);
    }

    /// Ends the current request, which is the open stream `number`: on its worker.
    pub(super) fn end(&self, number: u64) -> Result<(), HostError> {
        let end = self.workers().get_mut(&number).and_then(|on_worker| on_worker.end.take());
        match (self.keeper.streams(), end) {
            (Some(streams), Some(end)) => streams.answer(&end),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Polls about the open streams, and has those ended that must end: on the main thread, for the current configuration.
    pub(super) fn tick(&self) -> Result<(), HostError> {
        self.keeper.streams().map_or(Ok(()), |streams| self.round(streams))
    }

    /// Reads the answer to `token`: on the main thread, for the current configuration.
    pub(super) fn answered(&self, token: u64, good: bool, chunks: &[Buffer]) -> Result<(), HostError> {
        let Some(streams) = self.keeper.streams() else { return Ok(()) };
        let body = post::body(good, chunks, streams::MAX_ANSWER_BYTES);
        if streams.answered(token, body.as_deref())? { self.round(streams) } else { Ok(()) }
    }

    fn round(&self, streams: &Streams) -> Result<(), HostError> {
        let now_ms = now()?.monotonic_ms;
        let mut workers = self.workers();
        let Round { poll, endings, more } = streams.round(now_ms);
        if let Some(reminder) = &self.reminder {
            reminder.next(if more { streams::SOON_MS } else { STREAMS_EVERY_MS });
        }
        for (number, end) in endings {
            if let Some(on_worker) = workers.get_mut(&number) {
                on_worker.end = Some(end);
                on_worker.scheduler.commit();
            }
        }
        drop(workers);
        if let Some(body) = poll {
            streams.sent(post::post(STREAMS_PATH, &body, streams::TIMEOUT_MS)?, now_ms);
        }
        Ok(())
    }

    /// The map is consistent between any two steps, even after a panic of its holder.
    fn workers(&self) -> MutexGuard<'_, BTreeMap<u64, OnWorker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    /// It goes on.
    Passed,
    /// It goes on, as the open stream with this number.
    Open(u64),
    /// It was answered here.
    Answered,
}
