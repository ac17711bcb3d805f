//! A counter that needs no call into Envoy.

use super::calls::{add, counter};
use crate::host::HostError;

/// A counter that nearly every request increments. Each call into Envoy has a cost, so it reports its count with each tick.
#[derive(Clone)]
pub(crate) struct Tally {
    counter: u32,
    unreported: u32,
}

impl Tally {
    pub(crate) fn define(name: &str) -> Result<Self, HostError> {
        Ok(Self { counter: counter(name)?, unreported: 0 })
    }

    /// Counts one. Infallible here; fallible in the native form.
    pub(crate) const fn count(&mut self) -> Result<(), HostError> {
        self.unreported = self.unreported.saturating_add(1);
        Ok(())
    }

    /// Reports the count since the last call.
    pub(crate) fn report(&mut self) -> Result<(), HostError> {
        match std::mem::take(&mut self.unreported) {
            0 => Ok(()),
            unreported => add(self.counter, unreported),
        }
    }
}
