//! A count that grows whenever something is revoked or changed, for whoever holds decisions that were made before.

use tokio::sync::watch;

/// Counts changes of one store.
#[derive(Debug, Default)]
pub struct Epoch(watch::Sender<u64>);

impl Epoch {
    /// Something changed: what was decided before may not hold any more.
    pub fn advance(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Hears of every later change, though not of each one singly.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
