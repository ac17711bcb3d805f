//! Time as a dependency.
//!
//! A decision that depends on the time takes the time as an argument ([`UnixTime`]); a component that lives
//! for long holds a [`Clock`] and reads it. Nothing else in this workspace reads the wall clock (clippy bans
//! `SystemTime::now`), so every expiry can be tested on the exact second.
//!
//! ```
//! use clock::{Clock, ManualClock, UnixTime};
//!
//! let clock = ManualClock::at(UnixTime::from_seconds(1_000));
//! clock.advance_seconds(60);
//! assert_eq!(clock.now().seconds(), 1_060);
//! ```

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment: milliseconds since 1970-01-01T00:00:00Z, without leap seconds (POSIX time).
///
/// Arithmetic saturates: a hostile `exp` of 2^63 cannot overflow a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The moment `seconds` after the epoch, as JWT's NumericDate counts (RFC 7519 §2).
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// The moment `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// This moment and `duration` more; saturates at the end of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this moment is; zero when it is not after it (the clock was stepped back).
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Something that knows the time.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> UnixTime;
}

/// The machine's clock. A clock set before 1970 reads as the epoch itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn now(&self) -> UnixTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A clock that stands still until a test moves it. Clones share the time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at `time`.
    #[must_use]
    pub fn at(time: UnixTime) -> Self {
        Self(Arc::new(AtomicU64::new(time.millis())))
    }

    /// Moves the clock forward.
    pub fn advance_seconds(&self, seconds: u64) {
        self.0.fetch_add(seconds.saturating_mul(1_000), Ordering::SeqCst);
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, time: UnixTime) {
        self.0.store(time.millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixTime {
        UnixTime(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(UnixTime::from_seconds(u64::MAX).millis(), u64::MAX);
        assert_eq!(UnixTime::from_millis(u64::MAX).plus(Duration::from_secs(1)).millis(), u64::MAX);
        assert_eq!(UnixTime::from_seconds(1).since(UnixTime::from_seconds(2)), Duration::ZERO);
    }

    #[test]
    fn the_system_clock_is_past_2020() {
        assert!(SystemClock.now().seconds() > 1_577_836_800);
    }
}
