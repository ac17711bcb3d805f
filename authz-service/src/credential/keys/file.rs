//! Loads keys from a JWK set or one PEM key in a file, and again when the file changes.

use std::path::Path;
use std::sync::Arc;

use clock::{Clock, UnixTime};

use crate::credential::keys::{KeyFormat, KeyRing};
use crate::source::{Hanging, Reloads, Source, WatchedFile};

/// A key set has a few kilobytes; a larger file was not meant to be one.
const MAX_BYTES: u64 = 262_144;

/// Loads keys from a file.
#[derive(Debug)]
pub struct KeyFile {
    file: WatchedFile,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
    format: KeyFormat,
}

impl KeyFile {
    /// A loader that fills `ring` from `path`.
    #[must_use]
    pub fn new(path: &Path, ring: Arc<KeyRing>, clock: Arc<dyn Clock>, reloads: Reloads) -> Self {
        Self { file: WatchedFile::new(path, MAX_BYTES), ring, clock, reloads, format: KeyFormat::default() }
    }

    /// The same loader for another format than a JWK set of any algorithm.
    #[must_use]
    pub fn reading(mut self, format: KeyFormat) -> Self {
        self.format = format;
        self
    }

    fn fail(&self, what: &str) {
        note(&self.ring, self.file.path(), what, self.clock.now(), &self.reloads);
    }
}

fn note(ring: &KeyRing, path: &Path, what: &str, now: UnixTime, reloads: &Reloads) {
    let path = path.display().to_string();
    if ring.note_trouble(format!("{path}: {what}"), now) {
        reloads.failed.inc();
        tracing::error!(file = path, what, "session keys not loaded; `cutover keys` makes the missing ones");
    }
}

impl Source for KeyFile {
    fn name(&self) -> &'static str {
        "keys"
    }

    fn poll(&mut self) {
        match self.file.poll() {
            Ok(None) if self.file.is_refused() => {}
            Ok(None) => self.ring.mend(),
            Ok(Some(json)) => match self.format.read(&json) {
                Ok(keys) => {
                    tracing::info!(file = %self.file.path().display(), keys = ?keys.ids(), "session keys loaded");
                    self.ring.replace(keys);
                    self.reloads.done.inc();
                }
                Err(what) => {
                    self.file.refuse();
                    self.fail(&what);
                }
            },
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn hanging(&self) -> Option<Hanging> {
        let (path, ring) = (self.file.path().to_owned(), Arc::clone(&self.ring));
        let (clock, reloads) = (Arc::clone(&self.clock), self.reloads.clone());
        Some(Box::new(move |what| note(&ring, &path, what, clock.now(), &reloads)))
    }
}
