//! External state: key files, the tenant directory, revocations.
//!
//! Each is a [`Source`], polled on a thread of its own every [`INTERVAL`], so that a large file never delays
//! a small one, and neither delays a decision. A poll is one `stat`: it costs microseconds and sees changes
//! that file notifications miss (network file systems, bind mounts, a swapped symlink in a Kubernetes
//! volume), so there is no second mechanism beside it.
//!
//! A read that never returns (a dead network file system) reports nothing, and silence must not count as "no
//! change". So one more thread supervises the pollers: a poll that takes longer than [`HANGS`] is noted as
//! trouble with the source, and is treated like an unreadable file.
//!
//! When a source breaks, its last content stays in use for a while: [`last_good`].

pub mod channel;
pub mod file;
pub mod followed;
pub mod last_good;
pub mod last_seen;
pub mod trouble;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::IntCounter;

/// How often a source is polled: a tenth of the second within which a suspension or revocation must take
/// effect, also for leases, which learn of it a few steps later ([`lease`](crate::lease)).
pub const INTERVAL: Duration = Duration::from_millis(100);

/// A source that is kept fresh by polling.
pub trait Source: Send + 'static {
    /// A short name for logs and metrics.
    fn name(&self) -> &'static str;

    /// Polls once. Reports trouble where the decisions see it; never waits long.
    fn poll(&mut self);

    /// The callback that notes, from another thread, that [`poll`](Self::poll) does not return. The first
    /// poll that does clears the note. `None` for a source whose old state may serve forever.
    fn hanging(&self) -> Option<Hanging> {
        None
    }
}

/// Notes that a source does not return, with the given reason.
pub type Hanging = Box<dyn Fn(&str) + Send>;

/// A poll takes milliseconds, or a few seconds for a very large listing.
pub const HANGS: Duration = Duration::from_secs(5);

/// How often the pollers are supervised.
const SUPERVISION: Duration = Duration::from_millis(500);

/// How long shutdown waits for polls in progress.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// When a poll began, by the machine's own clock; absent between two polls.
type UnderWay = Arc<Mutex<Option<std::time::Instant>>>;

/// A source whose poll may hang.
struct Supervised {
    under_way: UnderWay,
    hanging: Hanging,
    stop: Stop,
}

/// Stops the threads that watch it.
type Stop = Arc<AtomicBool>;

/// Counters of a source's loads.
#[derive(Clone, Debug)]
pub struct Reloads {
    /// Loads that took effect.
    pub done: IntCounter,
    /// Loads that were refused.
    pub failed: IntCounter,
}

/// The state of a source, for `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether decisions can rely on it.
    pub ready: bool,
    /// A short description for operators.
    pub detail: String,
}

/// The threads that poll sources. Dropping this stops them.
#[derive(Debug, Default)]
pub struct Watchers {
    crew: Crew,
}

/// Accepts further sources while the process runs. Clones belong to one crew; it ends with its [`Watchers`].
#[derive(Clone, Default)]
pub struct Crew {
    stop: Stop,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
    supervised: Arc<Mutex<Vec<Supervised>>>,
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").field("threads", &self.threads.lock().len()).finish_non_exhaustive()
    }
}

/// A source that is polled until this is dropped.
#[derive(Debug)]
pub struct Watch {
    stop: Stop,
    thread: std::thread::Thread,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A poll in progress may hang: it ends by itself and is not waited for.
        self.stop.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }
}

impl Watchers {
    /// Polls `source` once, here and now, and then on a thread of its own.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn watch(&mut self, mut source: impl Source) -> io::Result<()> {
        source.poll();
        let stop = Arc::clone(&self.crew.stop);
        self.crew.start(source, stop, false).map(|_| ())
    }

    /// The crew that accepts more sources later.
    #[must_use]
    pub fn crew(&self) -> Crew {
        self.crew.clone()
    }
}

impl Crew {
    /// Polls `source` on a thread of its own, at once and from then on, until the watch is dropped.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn watch(&self, source: impl Source) -> io::Result<Watch> {
        let stop = Stop::default();
        let thread = self.start(source, Arc::clone(&stop), true)?;
        Ok(Watch { stop, thread })
    }

    fn start(&self, mut source: impl Source, stop: Stop, at_once: bool) -> io::Result<std::thread::Thread> {
        if self.threads.lock().is_empty() {
            self.supervise()?;
        }
        let name = source.name();
        let under_way = UnderWay::default();
        if let Some(hanging) = source.hanging() {
            let (under_way, stop) = (Arc::clone(&under_way), Arc::clone(&stop));
            self.supervised.lock().push(Supervised { under_way, hanging, stop });
        }
        let all = Arc::clone(&self.stop);
        let thread = std::thread::Builder::new().name(format!("watch-{name}")).spawn(move || {
            if !at_once {
                std::thread::park_timeout(INTERVAL);
            }
            while !stop.load(Ordering::Relaxed) && !all.load(Ordering::Relaxed) {
                *under_way.lock() = Some(std::time::Instant::now());
                if catch_unwind(AssertUnwindSafe(|| source.poll())).is_err() {
                    // Otherwise decisions would continue with a state that is no longer updated. Without this
                    // process the edge denies instead.
                    tracing::error!(source = name, "a source panicked; the process ends");
                    std::process::abort();
                }
                *under_way.lock() = None;
                std::thread::park_timeout(INTERVAL);
            }
        })?;
        let handle = thread.thread().clone();
        let mut threads = self.threads.lock();
        // Forget the threads of removed sources.
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(handle)
    }

    /// Starts the thread that supervises the pollers.
    fn supervise(&self) -> io::Result<()> {
        let (stop, supervised) = (Arc::clone(&self.stop), Arc::clone(&self.supervised));
        let thread = std::thread::Builder::new().name("watch-watchers".to_owned()).spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::park_timeout(SUPERVISION);
                let mut supervised = supervised.lock();
                supervised.retain(|one| !one.stop.load(Ordering::Relaxed));
                for Supervised { under_way, hanging, stop: _ } in &*supervised {
                    let began = *under_way.lock();
                    if began.is_some_and(|began| began.elapsed() >= HANGS) {
                        hanging(&format!("a read takes longer than {} s", HANGS.as_secs()));
                    }
                }
            }
        })?;
        self.threads.lock().push(thread);
        Ok(())
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.crew.stop.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut *self.crew.threads.lock());
        for thread in &threads {
            thread.thread().unpark();
        }
        // A thread whose read never returns is left behind: it ends with the process, which must not wait for
        // it.
        let until = std::time::Instant::now() + ENDS_WITHIN;
        for thread in threads {
            while !thread.is_finished() && std::time::Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            if thread.is_finished() {
                // A panic in there has already ended the process.
                let _ = thread.join();
            }
        }
    }
}
