//! Finds an issuer's key set by its metadata (OpenID Connect Discovery 1.0; RFC 8414).
//!
//! The metadata is fetched as often as the keys are. When it cannot be fetched, the keys are fetched from the address that it
//! named last: one document less is needed while a provider is half down.
//!
//! | the metadata | then |
//! |---|---|
//! | names another `issuer` (compared byte for byte, RFC 8414 §3.3) | refused: it may be another tenant's |
//! | names a `jwks_uri` that is neither `https` nor on this machine | refused: keys would come in the clear |
//! | is missing at the first address | the next address is tried |

use std::time::Duration;

use edge_config::edge::Reach;
use serde::Deserialize;

use crate::outbound;

/// Metadata has about 5 KB.
const MAX_BYTES: usize = 262_144;

/// The two members that are needed; all others are ignored.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// The metadata of one issuer.
#[derive(Debug)]
pub(super) struct Metadata {
    issuer: String,
    addresses: Vec<String>,
    timeout: Duration,
    /// The address of the key set that the last good metadata named.
    keys: Option<String>,
}

impl Metadata {
    pub(super) fn new(issuer: &str, addresses: &[String], timeout: Duration) -> Self {
        Self { issuer: issuer.to_owned(), addresses: addresses.to_vec(), timeout, keys: None }
    }

    /// The issuer's name.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key set, of at most `most` bytes.
    ///
    /// # Errors
    /// A sentence with the address and the fault.
    pub(super) async fn fetch_keys(&mut self, most: usize) -> Result<Vec<u8>, String> {
        match self.find().await {
            Ok(found) => self.keys = Some(found),
            Err(why) if self.keys.is_none() => return Err(why),
            Err(why) => {
                tracing::warn!(issuer = self.issuer, why, "no metadata; the last known address serves")
            }
        }
        let keys = self.keys.as_deref().unwrap_or_default();
        self.get(keys, most).await.map_err(|what| format!("{keys}: {what}"))
    }

    /// The address of the key set, from the first address with metadata of this issuer.
    async fn find(&self) -> Result<String, String> {
        let mut faults = Vec::with_capacity(self.addresses.len());
        for address in &self.addresses {
            let found = match self.get(address, MAX_BYTES).await {
                Ok(document) => self.read(&document),
                Err(what) => Err(what),
            };
            match found {
                Ok(keys) => return Ok(keys),
                Err(what) => faults.push(format!("{address}: {what}")),
            }
        }
        Err(faults.join("; "))
    }

    fn read(&self, document: &[u8]) -> Result<String, String> {
        let Document { issuer, jwks_uri } = serde_json::from_slice(document)
            .map_err(|error| format!("not the metadata of an issuer ({error})"))?;
        if issuer != self.issuer {
            return Err(format!("its `issuer` is {issuer:?}, not {:?}", self.issuer));
        }
        if !is_safe(&jwks_uri) {
            return Err(format!("its `jwks_uri` is {jwks_uri:?}: keys come by https, or from this machine"));
        }
        Ok(jwks_uri)
    }

    async fn get(&self, address: &str, most: usize) -> Result<Vec<u8>, String> {
        let client = outbound::fetching(address, self.timeout).build();
        let client = client.map_err(|error| format!("cannot set up the HTTP client: {error}"))?;
        outbound::fetch(&client, address, most).await
    }
}

/// Whether keys may come from `url`.
fn is_safe(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    match url.scheme() {
        "https" => host.is_some(),
        "http" => host.is_some_and(|host| Reach::of_host(host) == Reach::Machine),
        _ => false,
    }
}
