//! The secret with which the edge proves itself to an introspection endpoint, from a file that only its owner
//! can read. A changed file counts within 200 ms; the last good secret serves for [`STALE_LIMIT`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock::{Clock, UnixTime};
use secret_file::Secret;

use crate::credential::keys::STALE_LIMIT;
use crate::source::file::WatchedFile;
use crate::source::last_good::{Cause, LastGood};
use crate::source::{Hanging, Reloads, Source};

/// A secret has 20 to 200 characters, an access token some thousand. A larger file is another one.
const MAX_BYTES: u64 = 16_384;

/// The current secret.
#[derive(Debug)]
pub struct ClientSecret(LastGood<Secret>);

impl Default for ClientSecret {
    fn default() -> Self {
        Self(LastGood::for_at_most(STALE_LIMIT))
    }
}

impl ClientSecret {
    /// The secret at `now`; `None` before the first load, and when the file is broken for longer than [`STALE_LIMIT`].
    #[must_use]
    pub fn current(&self, now: UnixTime) -> Option<Arc<Secret>> {
        self.0.current(now)
    }

    /// What prevents the file from being read; `None` when it is loaded.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match (self.0.trouble(), self.0.value()) {
            (Some(trouble), _) => Some(trouble.what().to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some("the secret is not loaded yet".to_owned()),
        }
    }

    fn fail(&self, what: &str, now: UnixTime, reloads: &Reloads) {
        if self.0.note(Cause::Broken, what.to_owned(), now) {
            reloads.failed.inc();
            tracing::error!(what, "the secret for an introspection endpoint was not loaded");
        }
    }
}

/// `secret` without the line end that editors add.
pub(super) fn trimmed(secret: &Secret) -> &[u8] {
    let text = secret.as_bytes();
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether the secret in `path` can be used.
///
/// # Errors
/// A sentence that names the file, and never its content.
pub fn check(path: &Path) -> Result<(), String> {
    load(path).map(|_| ())
}

fn load(path: &Path) -> Result<Secret, String> {
    let secret = secret_file::read(path, MAX_BYTES).map_err(|error| error.to_string())?;
    let text = trimmed(&secret);
    if text.is_empty() || !text.iter().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return Err(format!("{}: the secret is not one line of visible ASCII", path.display()));
    }
    Ok(secret)
}

/// Loads a secret, and again when its file changes.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    file: WatchedFile,
    secret: Arc<ClientSecret>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
    loaded: bool,
}

impl SecretFile {
    /// A loader of the file `path` into `secret`.
    #[must_use]
    pub fn new(path: &Path, secret: Arc<ClientSecret>, clock: Arc<dyn Clock>, reloads: Reloads) -> Self {
        let file = WatchedFile::new(path, MAX_BYTES);
        Self { path: path.to_owned(), file, secret, clock, reloads, loaded: false }
    }
}

impl Source for SecretFile {
    fn name(&self) -> &'static str {
        "introspection"
    }

    fn poll(&mut self) {
        if matches!(self.file.poll(), Ok(None)) && self.loaded {
            // The note about a poll that did not end no longer applies.
            return self.secret.0.mend();
        }
        match load(&self.path) {
            Ok(secret) => {
                self.secret.0.replace(secret);
                self.loaded = true;
                self.reloads.done.inc();
            }
            Err(what) => {
                self.loaded = false;
                self.secret.fail(&what, self.clock.now(), &self.reloads);
            }
        }
    }

    fn hanging(&self) -> Option<Hanging> {
        let (secret, clock) = (Arc::clone(&self.secret), Arc::clone(&self.clock));
        let (reloads, path) = (self.reloads.clone(), self.path.display().to_string());
        Some(Box::new(move |what| secret.fail(&format!("{path}: {what}"), clock.now(), &reloads)))
    }
}
