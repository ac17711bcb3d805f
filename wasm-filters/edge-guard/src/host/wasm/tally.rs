//! A counter that costs no call into Envoy.

use super::calls::{add, counter};
use crate::host::HostError;

/// A counter that nearly every request adds to. Each call into Envoy costs, so it reports what it counted with each tick.
#[derive(Clone)]
pub(crate) struct Tally {
    counter: u32,
    untold: u32,
}

impl Tally {
    pub(crate) fn define(name: &str) -> Result<Self, HostError> {
        Ok(Self { counter: counter(name)?, untold: 0 })
    }

    /// Counts one. Infallible here; fallible in the native form.
    pub(crate) const fn count(&mut self) -> Result<(), HostError> {
        self.untold = self.untold.saturating_add(1);
        Ok(())
    }

    /// Reports what it counted since the last time.
    pub(crate) fn tell(&mut self) -> Result<(), HostError> {
        match std::mem::take(&mut self.untold) {
            0 => Ok(()),
            untold => add(self.counter, untold),
        }
    }
}
