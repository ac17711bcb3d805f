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

use crate::credential::keys::metadata::Metadata;
use crate::credential::keys::{KeyFormat, KeyRing};
use crate::outbound;
use crate::source::Reloads;
use crate::source::last_good::Cause;

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
    place: SetAddress,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
    cooldown: Duration,
    last: Vec<u8>,
    format: KeyFormat,
}

/// Where the set is.
#[derive(Debug)]
enum SetAddress {
    Fixed { url: String, client: reqwest::Client },
    Discovered(Metadata),
}

impl SetAddress {
    /// The address in messages.
    fn shown(&self) -> &str {
        match self {
            Self::Fixed { url, client: _ } => url,
            Self::Discovered(metadata) => metadata.issuer(),
        }
    }

    async fn fetch(&mut self) -> Result<Vec<u8>, String> {
        match self {
            Self::Fixed { url, client } => outbound::fetch(client, url, MAX_BYTES).await,
            Self::Discovered(metadata) => metadata.fetch_keys(MAX_BYTES).await,
        }
    }
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
        Ok(Self::at(SetAddress::Fixed { url: url.to_owned(), client }, ring, clock, reloads))
    }

    /// A loader that fills `ring` from the set that the metadata of `issuer` names, at the first of `addresses` that has
    /// it.
    #[must_use]
    pub fn discovering(
        issuer: &str,
        addresses: &[String],
        ring: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        reloads: Reloads,
    ) -> Self {
        let metadata = Metadata::new(issuer, addresses, TIMEOUT);
        Self::at(SetAddress::Discovered(metadata), ring, clock, reloads)
    }

    fn at(place: SetAddress, ring: Arc<KeyRing>, clock: Arc<dyn Clock>, reloads: Reloads) -> Self {
        let (cooldown, last, format) = (COOLDOWN, Vec::new(), KeyFormat::default());
        Self { place, ring, clock, reloads, cooldown, last, format }
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
        match self.place.fetch().await {
            Ok(json) if json == self.last => {
                self.ring.mend();
                true
            }
            Ok(json) => match self.format.read(&json) {
                Ok(keys) => {
                    tracing::info!(url = self.place.shown(), keys = ?keys.ids(), "session keys loaded");
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
        tracing::error!(url = self.place.shown(), what, "cannot fetch the session keys");
        let what = format!("{}: {what}", self.place.shown());
        self.ring.last_good().note(Cause::Missing, what, self.clock.now());
        false
    }
}
