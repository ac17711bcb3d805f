//! Fetches keys from a JWK set behind a URL in the background; no request ever waits for it.
//!
//! The set is fetched every [`INTERVAL`], and sooner when the last attempt failed or a token names an unknown
//! key, but never within [`COOLDOWN`] of the last attempt: a flood of made-up `kid`s costs the issuer one
//! request every ten seconds. A rotation therefore takes effect within ten seconds of the first token that
//! was signed with the new key; an issuer that publishes a key [`INTERVAL`] before it signs with it causes no
//! refusals.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;

use crate::credential::keys::{KeyFormat, KeyRing};
use crate::outbound;
use crate::source::Reloads;

/// How often the set is fetched when nothing is wrong.
pub const INTERVAL: Duration = Duration::from_secs(300);

/// The shortest time between two attempts.
pub const COOLDOWN: Duration = Duration::from_secs(10);

/// How long one attempt may take in total.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A key set has a few kilobytes; a longer response is refused.
const MAX_BYTES: usize = 262_144;

/// Fetches keys from a URL.
#[derive(Debug)]
pub struct KeyUrl {
    url: String,
    client: reqwest::Client,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
    cooldown: Duration,
    last: Vec<u8>,
    format: KeyFormat,
}

impl KeyUrl {
    /// A loader that fills `ring` from `url`.
    ///
    /// # Errors
    /// An error message, when the HTTP client cannot be set up.
    pub fn new(
        url: &str,
        ring: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        reloads: Reloads,
    ) -> Result<Self, String> {
        let client = outbound::fetching(url, TIMEOUT)
            .build()
            .map_err(|e| format!("cannot set up the HTTP client for {url}: {e}"))?;
        let url = url.to_owned();
        Ok(Self {
            url,
            client,
            ring,
            clock,
            reloads,
            cooldown: COOLDOWN,
            last: Vec::new(),
            format: KeyFormat::default(),
        })
    }

    /// The same loader with another cooldown, for tests.
    #[must_use]
    pub fn with_cooldown(mut self, cooldown: Duration) -> Self {
        self.cooldown = cooldown;
        self
    }

    /// The same loader for another format than a JWK set of any algorithm.
    #[must_use]
    pub fn reading(mut self, format: KeyFormat) -> Self {
        self.format = format;
        self
    }

    /// Fetches forever. Dropping the future ends it.
    pub async fn run(mut self) {
        loop {
            let done = self.refresh().await;
            tokio::time::sleep(self.cooldown).await;
            if !done {
                continue;
            }
            let rest = INTERVAL.saturating_sub(self.cooldown);
            // A timeout here is the normal end of the interval.
            let _ = tokio::time::timeout(rest, self.ring.refresh_asked()).await;
        }
    }

    /// Fetches once. Returns whether that produced a usable set.
    pub async fn refresh(&mut self) -> bool {
        match self.fetch().await {
            Ok(json) if json == self.last => {
                self.ring.mend();
                true
            }
            Ok(json) => match self.format.read(&json) {
                Ok(keys) => {
                    tracing::info!(url = self.url, keys = ?keys.ids(), "session keys loaded");
                    self.ring.replace(keys);
                    self.reloads.done.inc();
                    self.last = json;
                    true
                }
                Err(what) => self.fail(&what),
            },
            Err(what) => self.fail(&what),
        }
    }

    fn fail(&self, what: &str) -> bool {
        self.reloads.failed.inc();
        tracing::error!(url = self.url, what, "cannot fetch the session keys");
        self.ring.note_trouble(format!("{}: {what}", self.url), self.clock.now());
        false
    }

    async fn fetch(&self) -> Result<Vec<u8>, String> {
        outbound::fetch(&self.client, &self.url, MAX_BYTES).await
    }
}
