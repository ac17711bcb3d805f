//! What time it is, for one call into the host instead of two.

use lease::Now;

use super::calls::now_ms;
use super::raw::monotonic_ms;
use crate::host::HostError;

/// Both clocks, as they were read last.
pub(crate) struct Clock(Now);

impl Clock {
    /// Reads both clocks.
    pub(crate) fn read() -> Result<Self, HostError> {
        Ok(Self(Now { wall_ms: now_ms()?, monotonic_ms: monotonic_ms()? }))
    }

    /// Both clocks as they were read last.
    pub(crate) const fn last(&self) -> Now {
        self.0
    }

    /// This moment, by the monotonic clock. A wall clock that is set meanwhile is noticed when both are read again.
    pub(crate) fn now(&self) -> Result<Now, HostError> {
        Ok(self.0.at(monotonic_ms()?))
    }
}
