//! The secrets of webhooks: one set for each sender, from files that only their owner can read.
//!
//! Each sender's files are watched by a thread of its own, so that a file that cannot be read closes its own sender's
//! routes and no others: the last good secrets serve for [`STALE_LIMIT`], then, and before the first load, these routes
//! are 503 `webhook_secrets_unavailable`. A changed file counts within 200 ms.

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clock::{Clock, UnixTime};
use edge_config::edge::{SecretEncoding, Webhook, WebhookHash};
use subtle::ConstantTimeEq as _;

use crate::credential::keys::STALE_LIMIT;
use crate::failure::Failure;
use crate::source::file::WatchedFile;
use crate::source::last_good::{Cause, LastGood};
use crate::source::{Hanging, Reloads, Source};

/// A secret has 20 to 100 characters. A larger file is another one.
const MAX_BYTES: u64 = 4_096;

/// A shorter secret can be found by trying, from one delivery that was read somewhere.
const MIN_SECRET_BYTES: usize = 8;

/// The keys of one sender: at least one.
pub struct Keys(Vec<hmac::Key>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({} [redacted])", self.0.len())
    }
}

impl Keys {
    /// The HMAC of `parts` under the first key, when one of `digests` is the HMAC under any key.
    ///
    /// Every comparison is made and takes constant time, so that the time reveals neither a byte of a digest nor which
    /// secret is in use.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], digests: &[Vec<u8>]) -> Option<Vec<u8>> {
        let mut matches = subtle::Choice::from(0);
        let mut first = None;
        for key in &self.0 {
            let mut context = hmac::Context::with_key(key);
            for part in parts {
                context.update(part);
            }
            let tag = context.sign();
            for digest in digests {
                // Slices of different lengths are not equal: a truncated digest proves nothing.
                matches |= tag.as_ref().ct_eq(digest.as_slice());
            }
            first.get_or_insert_with(|| tag.as_ref().to_vec());
        }
        if bool::from(matches) { first } else { None }
    }
}

/// The current keys of one sender, and whether they may be used.
#[derive(Debug)]
pub struct Secrets(LastGood<Keys>);

impl Default for Secrets {
    fn default() -> Self {
        Self(LastGood::for_at_most(STALE_LIMIT))
    }
}

impl Secrets {
    /// The keys to verify with at `now`.
    ///
    /// # Errors
    /// [`Failure::WebhookSecretsUnavailable`] before the first load, and when a file is broken for longer than
    /// [`STALE_LIMIT`].
    pub fn current(&self, now: UnixTime) -> Result<Arc<Keys>, Failure> {
        self.0.current(now).ok_or(Failure::WebhookSecretsUnavailable)
    }

    /// What prevents the files from being read; `None` when they are loaded.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match (self.0.trouble(), self.0.value()) {
            (Some(trouble), _) => Some(trouble.what().to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some("not loaded yet".to_owned()),
        }
    }
}

/// The names of a sender's files, and how they contain its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Files {
    paths: Vec<PathBuf>,
    encoding: SecretEncoding,
    hash: WebhookHash,
}

impl Files {
    fn of(webhook: &Webhook) -> Self {
        let Webhook { secrets, encoding, hash, .. } = webhook;
        Self { paths: secrets.clone(), encoding: *encoding, hash: *hash }
    }

    fn load(&self) -> Result<Keys, String> {
        self.paths.iter().map(|path| self.one(path)).collect::<Result<_, _>>().map(Keys)
    }

    fn one(&self, path: &std::path::Path) -> Result<hmac::Key, String> {
        let at = |what: &str| format!("{}: {what}", path.display());
        let secret = secret_file::read(path, MAX_BYTES).map_err(|error| error.to_string())?;
        let text = secret.as_bytes();
        let bytes = match self.encoding {
            SecretEncoding::Text => {
                let line = text.strip_suffix(b"\n").unwrap_or(text);
                line.strip_suffix(b"\r").unwrap_or(line).to_vec()
            }
            SecretEncoding::Base64 => {
                let text = text.trim_ascii();
                let text = text.strip_prefix(b"whsec_").unwrap_or(text);
                STANDARD.decode(text).map_err(|_| at("the secret is not base64"))?
            }
            SecretEncoding::Hex => {
                decode_hex(text.trim_ascii()).ok_or_else(|| at("the secret is not hexadecimal digits"))?
            }
        };
        if bytes.len() < MIN_SECRET_BYTES {
            return Err(at(&format!(
                "the secret has fewer than {MIN_SECRET_BYTES} bytes, so it can be guessed"
            )));
        }
        let algorithm = match self.hash {
            WebhookHash::Sha256 => hmac::HMAC_SHA256,
            WebhookHash::Sha512 => hmac::HMAC_SHA512,
        };
        Ok(hmac::Key::new(algorithm, &bytes))
    }
}

fn decode_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.chunks(2).map(pair).collect()
}

/// Whether the secrets of `webhook` can be loaded.
///
/// # Errors
/// A sentence that names the file.
pub fn check(webhook: &Webhook) -> Result<(), String> {
    Files::of(webhook).load().map(|_| ())
}

/// Loads the secrets of one sender, and again when one of the files changes.
#[derive(Debug)]
pub struct SecretFiles {
    files: Files,
    watched: Vec<WatchedFile>,
    secrets: Arc<Secrets>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
    loaded: bool,
}

impl SecretFiles {
    /// A loader for the secrets of `webhook`.
    #[must_use]
    pub fn new(webhook: &Webhook, secrets: Arc<Secrets>, clock: Arc<dyn Clock>, reloads: Reloads) -> Self {
        let files = Files::of(webhook);
        let watched = files.paths.iter().map(|path| WatchedFile::new(path, MAX_BYTES)).collect();
        Self { files, watched, secrets, clock, reloads, loaded: false }
    }
}

/// Notes `what`, and logs it once.
fn fail(secrets: &Secrets, what: &str, now: UnixTime, reloads: &Reloads) {
    if secrets.0.note(Cause::Broken, what.to_owned(), now) {
        reloads.failed.inc();
        tracing::error!(what, "secrets of a webhook not loaded");
    }
}

impl Source for SecretFiles {
    fn name(&self) -> &'static str {
        "webhooks"
    }

    fn poll(&mut self) {
        let mut changed = !self.loaded;
        for file in &mut self.watched {
            changed |= !matches!(file.poll(), Ok(None));
        }
        if !changed {
            // The note about a poll that did not end no longer applies.
            return self.secrets.0.mend();
        }
        match self.files.load() {
            Ok(keys) => {
                tracing::info!(secrets = keys.0.len(), "secrets of a webhook loaded");
                self.secrets.0.replace(keys);
                self.loaded = true;
                self.reloads.done.inc();
            }
            Err(what) => {
                self.loaded = false;
                fail(&self.secrets, &what, self.clock.now(), &self.reloads);
            }
        }
    }

    fn hanging(&self) -> Option<Hanging> {
        let (secrets, clock) = (Arc::clone(&self.secrets), Arc::clone(&self.clock));
        let (reloads, paths) = (self.reloads.clone(), self.files.paths.clone());
        Some(Box::new(move |what| {
            let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            fail(&secrets, &format!("{}: {what}", names.join(" or ")), clock.now(), &reloads);
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn loaded(content: &[u8], encoding: SecretEncoding, mode: u32) -> Result<Keys, String> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Files { paths: vec![path], encoding, hash: WebhookHash::Sha256 }.load()
    }

    fn tag(keys: &Keys) -> Vec<u8> {
        hmac::sign(&keys.0[0], b"text").as_ref().to_vec()
    }

    #[test]
    fn one_secret_in_three_writings() {
        let text = tag(&loaded(b"0123456789", SecretEncoding::Text, 0o600).unwrap());
        for (content, encoding) in [
            (&b"0123456789\n"[..], SecretEncoding::Text),
            (b"0123456789\r\n", SecretEncoding::Text),
            (b"whsec_MDEyMzQ1Njc4OQ==\n", SecretEncoding::Base64),
            (b"MDEyMzQ1Njc4OQ==", SecretEncoding::Base64),
            (b"30313233343536373839\n", SecretEncoding::Hex),
        ] {
            assert_eq!(tag(&loaded(content, encoding, 0o600).unwrap()), text, "{encoding:?}");
        }
        // Only one line break is not part of a secret.
        assert_ne!(tag(&loaded(b"0123456789\n\n", SecretEncoding::Text, 0o600).unwrap()), text);
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_shown() {
        for (content, encoding, mode, expected) in [
            (&b"0123456789"[..], SecretEncoding::Text, 0o640, "chmod 600"),
            (b"0123456789", SecretEncoding::Text, 0o604, "chmod 600"),
            (b"short", SecretEncoding::Text, 0o600, "fewer than 8 bytes"),
            (b"", SecretEncoding::Text, 0o600, "fewer than 8 bytes"),
            (b"0123456789!", SecretEncoding::Base64, 0o600, "not base64"),
            (b"0123456789abc", SecretEncoding::Hex, 0o600, "not hexadecimal"),
            (&[b'a'; 5_000], SecretEncoding::Text, 0o600, "larger than"),
        ] {
            let what = loaded(content, encoding, mode).unwrap_err();
            assert!(what.contains(expected) && !what.contains("0123456789"), "{what}");
        }
    }

    #[test]
    fn a_whole_digest_under_any_secret_and_nothing_shorter() {
        let keys = Keys(vec![
            hmac::Key::new(hmac::HMAC_SHA256, b"one-secret"),
            hmac::Key::new(hmac::HMAC_SHA256, b"two-secret"),
        ]);
        let sign = |key: usize| hmac::sign(&keys.0[key], b"a.b").as_ref().to_vec();
        let verify = |digests: &[Vec<u8>]| keys.verify(&[b"a", b".", b"b"], digests);
        assert_eq!(verify(&[sign(0)]), Some(sign(0)));
        assert_eq!(verify(&[sign(1)]), Some(sign(0)), "remembered under one name, whichever secret matches");
        assert_eq!(verify(&[vec![0; 32], sign(1)]), Some(sign(0)));
        for wrong in [sign(0)[..16].to_vec(), [sign(0), vec![0]].concat(), vec![0; 32], Vec::new()] {
            assert_eq!(verify(&[wrong]), None);
        }
        assert_eq!(verify(&[]), None);
        assert_eq!(keys.verify(&[b"a.", b"c"], &[sign(0)]), None);
    }
}
