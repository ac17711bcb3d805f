//! The time, for one call into the host instead of two.

use lease::Now;

use super::calls::now_ms;
use super::raw::monotonic_ms;
use crate::host::HostError;

/// The last readings of both clocks.
pub(crate) struct Clock(Now);

impl Clock {
    /// Reads both clocks.
    pub(crate) fn read() -> Result<Self, HostError> {
        Ok(Self(Now { wall_ms: now_ms()?, monotonic_ms: monotonic_ms()? }))
    }

    /// The last readings of both clocks.
    pub(crate) const fn last(&self) -> Now {
        self.0
    }

    /// The present time by the monotonic clock. A change of the wall clock is noticed when both are read again.
    pub(crate) fn now(&self) -> Result<Now, HostError> {
        Ok(self.0.at(monotonic_ms()?))
    }
}
