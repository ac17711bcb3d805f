//! Loads keys from a JWK set or one PEM key in a file, and again when the file changes.

use std::path::Path;
use std::sync::Arc;

use clock::Clock;
use tokio::time::Instant;

use crate::credential::keys::{KeyFormat, KeyRing, KeySet};
use crate::source::Reloads;
use crate::source::file::WatchedFile;
use crate::source::followed::{Followed, FromFile};
use crate::source::last_good::LastGood;

/// A key set has a few kilobytes; a larger file was not meant to be one.
const MAX_BYTES: u64 = 262_144;

/// A ring whose keys are in a file of one format.
#[derive(Debug)]
pub struct FiledKeys {
    ring: Arc<KeyRing>,
    format: KeyFormat,
}

impl FromFile for FiledKeys {
    type Content = KeySet;

    fn last_good(&self) -> &LastGood<KeySet> {
        self.ring.last_good()
    }

    fn parse(&self, content: &[u8]) -> Result<KeySet, String> {
        self.format.read(content)
    }

    fn install(&self, keys: KeySet, _: Instant) {
        self.ring.replace(keys);
    }

    fn summary(&self, keys: &KeySet) -> String {
        format!("keys {:?}", keys.ids())
    }
}

/// Loads the keys of `ring` from the file at `path`, and again when it changes.
#[must_use]
pub fn follow(
    path: &Path,
    ring: Arc<KeyRing>,
    format: KeyFormat,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
) -> Followed<FiledKeys> {
    let state = FiledKeys { ring, format };
    Followed::new("keys", WatchedFile::new(path, MAX_BYTES), state, clock, reloads)
        .advising("; `cutover keys` makes the missing ones")
}
