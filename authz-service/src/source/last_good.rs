//! The last good state of a source, and how long it serves while no newer one is available.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use clock::{Clock, UnixTime};

use crate::source::{Hanging, Reloads, Source, Trouble, WatchedFile};

/// The last good state. It serves for `limit` after a fault began, and no longer.
#[derive(Debug)]
pub struct LastGood<T> {
    value: ArcSwapOption<T>,
    trouble: ArcSwap<Option<Trouble>>,
    limit: Duration,
}

impl<T> LastGood<T> {
    /// An empty one.
    #[must_use]
    pub fn for_at_most(limit: Duration) -> Self {
        Self { value: ArcSwapOption::empty(), trouble: ArcSwap::from_pointee(None), limit }
    }

    /// The state for decisions at `now`. `None` before the first one, and when a fault lasts too long.
    #[must_use]
    pub fn current(&self, now: UnixTime) -> Option<Arc<T>> {
        if self.trouble.load().as_ref().as_ref().is_some_and(|t| t.lasts_longer_than(self.limit, now)) {
            return None;
        }
        self.value.load_full()
    }

    /// The last good state, however old it is.
    #[must_use]
    pub fn value(&self) -> Option<Arc<T>> {
        self.value.load_full()
    }

    /// The current fault; `None` when there is none.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.load().as_ref().clone()
    }

    /// Replaces the state with `value`.
    pub fn replace(&self, value: T) {
        self.value.store(Some(Arc::new(value)));
        self.mend();
    }

    /// Notes that the source answers again, and its content has not changed.
    pub fn mend(&self) {
        if self.trouble.load().is_some() {
            self.trouble.store(Arc::new(None));
        }
    }

    /// Notes that the source is broken. The first note starts the clock. Returns whether the fault is new.
    pub fn note(&self, what: String, now: UnixTime) -> bool {
        Trouble::note(&self.trouble, what, now)
    }
}

/// Parses the content of a file; the error is a message.
pub type Read<T> = Box<dyn Fn(&[u8]) -> Result<T, String> + Send>;

/// Keeps a [`LastGood`] fresh from one file.
pub struct Followed<T> {
    name: &'static str,
    file: WatchedFile,
    read: Read<T>,
    into: Arc<LastGood<T>>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
    help: &'static str,
}

impl<T> fmt::Debug for Followed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").field("file", &self.file.path()).finish_non_exhaustive()
    }
}

impl<T> Followed<T> {
    /// Watches `file`, a source named `name`, parses it with `read`, and stores the result in `into`.
    #[must_use]
    pub fn new(
        name: &'static str,
        file: WatchedFile,
        read: Read<T>,
        into: Arc<LastGood<T>>,
        clock: Arc<dyn Clock>,
        reloads: Reloads,
    ) -> Self {
        Self { name, file, read, into, clock, reloads, help: "" }
    }

    /// The same with `help` behind every fault message: how to fix it.
    #[must_use]
    pub fn advising(self, help: &'static str) -> Self {
        Self { help, ..self }
    }
}

/// Notes `what` about `path`, and logs it once.
fn fail<T>(name: &str, path: &str, what: &str, into: &LastGood<T>, now: UnixTime, reloads: &Reloads) {
    if into.note(format!("{path}: {what}"), now) {
        reloads.failed.inc();
        tracing::error!(source = name, file = path, what, "not loaded; the last good one serves");
    }
}

impl<T: Send + Sync + 'static> Source for Followed<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn poll(&mut self) {
        let path = self.file.path().display().to_string();
        let what = match self.file.poll() {
            Ok(None) if self.file.is_refused() => return,
            Ok(None) => return self.into.mend(),
            Ok(Some(content)) => match (self.read)(&content) {
                Ok(value) => {
                    self.into.replace(value);
                    self.reloads.done.inc();
                    tracing::info!(source = self.name, file = path, "loaded");
                    return;
                }
                Err(what) => {
                    self.file.refuse();
                    what
                }
            },
            Err(error) => error.to_string(),
        };
        let what = format!("{what}{}", self.help);
        fail(self.name, &path, &what, &self.into, self.clock.now(), &self.reloads);
    }

    fn hanging(&self) -> Option<Hanging> {
        let (name, path) = (self.name, self.file.path().display().to_string());
        let (into, clock, reloads) = (Arc::clone(&self.into), Arc::clone(&self.clock), self.reloads.clone());
        Some(Box::new(move |what| fail(name, &path, what, &into, clock.now(), &reloads)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_good_state_serves_for_its_time_and_no_longer() {
        let at = UnixTime::from_seconds;
        let state = LastGood::for_at_most(Duration::from_secs(60));
        assert_eq!(state.current(at(1)), None);
        state.replace(7);
        assert!(state.note("gone".to_owned(), at(10)));
        assert!(!state.note("gone".to_owned(), at(20)));
        assert_eq!(state.current(at(70)).as_deref(), Some(&7));
        assert_eq!((state.current(at(71)), state.value().as_deref()), (None, Some(&7)));
        state.mend();
        assert_eq!((state.current(at(1_000)).as_deref(), state.trouble()), (Some(&7), None));
    }
}
