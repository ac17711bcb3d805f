//! How tests wait: for an event by looking again and again, for its absence by a pause that says why.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The time between two looks: short beside every event, and long enough to leave a busy machine its work.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// How long a test waits at most. A test machine may be busy, but elsewhere every expected event happens within a second.
const PATIENCE: Duration = Duration::from_mins(1);

/// Calls `find` fifty times a second until it returns a value, and returns that; `None` after `patience`.
///
/// This is right where the time is itself a promise, or where the event must not happen. Otherwise use [`eventually`].
pub fn within<T>(patience: Duration, mut find: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + patience;
    loop {
        if let Some(found) = find() {
            return Some(found);
        }
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// Waits as [`within`] does, where finding out has to wait for something itself.
pub async fn within_async<T>(patience: Duration, mut find: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + patience;
    loop {
        if let Some(found) = find().await {
            return Some(found);
        }
        if Instant::now() >= until {
            return None;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// Waits until `holds` returns true, for a minute at most.
///
/// # Panics
/// When it does not happen; `what` completes the sentence.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    eventually_some(what, || holds().then_some(()));
}

/// Waits until `find` returns a value, as [`eventually`] does, and returns it.
///
/// # Panics
/// When it does not happen; `what` completes the sentence.
pub fn eventually_some<T>(what: &str, find: impl FnMut() -> Option<T>) -> T {
    let found = within(PATIENCE, find);
    found.unwrap_or_else(|| panic!("it did not happen within a minute that {what}"))
}

/// Waits as [`eventually`] does; the failure shows `log` as it is then.
///
/// # Panics
/// When it does not happen; `what` completes the sentence.
pub fn eventually_logged(what: &str, log: impl Fn() -> String, mut holds: impl FnMut() -> bool) {
    let found = within(PATIENCE, || holds().then_some(()));
    assert!(found.is_some(), "it did not happen within a minute that {what}:\n{}", log());
}

/// Waits as [`eventually`] does, where finding out has to wait for something itself.
///
/// # Panics
/// When it does not happen; `what` completes the sentence.
pub async fn eventually_async(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let found = within_async(PATIENCE, async || holds().await.then_some(())).await;
    assert!(found.is_some(), "it did not happen within a minute that {what}");
}

/// Lets `time` pass, for the stated reason: after it an event must have taken effect, or must not have happened; or a
/// stand-in is slow. Where an event can be waited for, [`eventually`] is right.
pub fn pause(time: Duration, _why: &str) {
    std::thread::sleep(time);
}

/// Lets `time` pass as [`pause`] does, and lets other tasks run.
pub async fn pause_async(time: Duration, _why: &str) {
    tokio::time::sleep(time).await;
}

/// Calls `act` on a thread of its own, again `pace` after each call, until `work` is done, and returns what `work` returned.
///
/// # Panics
/// When `work` or `act` does.
pub fn meanwhile<T>(pace: Duration, act: impl Fn() + Sync, work: impl FnOnce() -> T) -> T {
    /// Ends the thread also when the work panics; otherwise the test would not end.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                act();
                std::thread::sleep(pace);
            }
        });
        let _done = Done(&is_done);
        work()
    })
}
