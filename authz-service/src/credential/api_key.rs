//! API keys: finds the client that holds the key in a request.
//!
//! The rule: exactly one line of all the headers that the edge file names, with exactly one key in its one
//! spelling ([`api_keys::text`]). Two lines, a comma or a space are refused. In `Authorization` the scheme `ApiKey`
//! (in any case, RFC 9110 §11.1), then exactly one space, offers a key; another scheme is another credential.
//!
//! A change of the file takes effect within 200 ms plus the time to parse it (about 0.2 s for 100,000 keys),
//! so a revoked key is refused within a second.
//!
//! | what happens | then |
//! |---|---|
//! | nothing was ever loaded | every API key is 503 `api_keys_unavailable`, `/readyz` is 503 |
//! | the new content is wrong | the last good keys serve for [`BROKEN_LIMIT`], then as above |
//! | the file is gone or unreadable, or reading it takes longer than [`HANGS`](crate::source::HANGS) | the last good keys serve for [`MISSING_LIMIT`], then as above |

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api_keys::{ApiKey, Found, KeyFault, Table};
use clock::{Clock, UnixTime};
use edge_config::edge::ApiKeys as Rules;
use tokio::time::Instant;

use crate::check::CheckInput;
use crate::credential::fault::{ApiKeyFault, CredentialFault};
use crate::credential::presented::{AuthenticatedClient, Presented};
use crate::ended::{Ended, api_keys_tag};
use crate::failure::Failure;
use crate::source::file::WatchedFile;
use crate::source::followed::{Followed, FromFile};
use crate::source::last_good::LastGood;
use crate::source::{Health, Reloads};
use crate::who::KeyTerms;

/// How long the last good keys serve while the file is missing: enough for a restart of the program that
/// writes it.
pub const MISSING_LIMIT: Duration = Duration::from_secs(60);

/// How long the last good keys serve while the file is invalid: time to fix a typing error. It is also the
/// longest that such an error can delay a revocation.
pub const BROKEN_LIMIT: Duration = Duration::from_secs(300);

/// Room for about 250,000 keys.
const MAX_BYTES: u64 = 67_108_864;

/// The scheme of `Authorization` that offers a key.
const SCHEME: &[u8] = b"ApiKey";

/// The keys in use now.
#[derive(Debug)]
pub struct ApiKeyRing {
    keys: LastGood<Table>,
    ended: Arc<Ended>,
}

impl Default for ApiKeyRing {
    fn default() -> Self {
        Self::noting(&Arc::default())
    }
}

impl ApiKeyRing {
    /// A ring without keys, which notes in `ended` that its keys were replaced.
    #[must_use]
    pub fn noting(ended: &Arc<Ended>) -> Self {
        let keys = LastGood::for_at_most_each(MISSING_LIMIT, BROKEN_LIMIT);
        Self { keys, ended: Arc::clone(ended) }
    }

    /// The keys that are valid at `now`.
    ///
    /// # Errors
    /// [`Failure::ApiKeysUnavailable`] when no keys are loaded, or the loaded ones are too old.
    pub fn current(&self, now: UnixTime) -> Result<Arc<Table>, Failure> {
        self.keys.current(now).ok_or(Failure::ApiKeysUnavailable)
    }

    /// The state of the keys, for `/readyz`.
    #[must_use]
    pub fn health(&self, now: UnixTime) -> Health {
        let loaded = match self.keys.value() {
            Some(table) => format!("{} loaded", table.len()),
            None => "not loaded yet".to_owned(),
        };
        Health { ready: self.current(now).is_ok(), detail: loaded + &self.keys.stale() }
    }
}

impl FromFile for ApiKeyRing {
    type Content = Table;

    fn last_good(&self) -> &LastGood<Table> {
        &self.keys
    }

    fn install(&self, content: Table, _began: Instant) {
        self.keys.replace(content);
        self.ended.note([api_keys_tag()], Instant::now());
    }

    fn parse(&self, content: &[u8]) -> Result<Table, String> {
        Table::parse(content)
    }

    fn summary(&self, table: &Table) -> String {
        format!("{} keys", table.len())
    }
}

/// Loads the keys of `ring` from the file at `path`, and again when it changes.
#[must_use]
pub fn follow(
    path: &Path,
    ring: Arc<ApiKeyRing>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
) -> Followed<ApiKeyRing> {
    Followed::new("api_keys", WatchedFile::new(path, MAX_BYTES), ring, clock, reloads)
        .advising("; `cutover apikey` writes the file")
}

/// Everything needed to verify a client.
#[derive(Debug)]
pub struct ApiKeyCredentials<'a> {
    /// The headers that carry a key.
    pub rules: &'a Rules,
    /// The keys.
    pub keys: &'a ApiKeyRing,
}

impl ApiKeyCredentials<'_> {
    /// The client whose key `input` carries.
    ///
    /// # Errors
    /// [`Failure::ApiKeysUnavailable`] when a key was offered and no keys are available to compare it with.
    pub fn present(
        &self,
        input: &CheckInput<'_>,
        now: UnixTime,
    ) -> Result<Presented<AuthenticatedClient>, Failure> {
        let mut offered = offered(self.rules, input);
        let fault = |fault| Ok(Presented::Failed(CredentialFault::ApiKey(fault)));
        let Some((_, text)) = offered.next() else { return Ok(Presented::NotOffered) };
        if offered.next().is_some() {
            return fault(ApiKeyFault::Repeated);
        }
        let Ok(key) = ApiKey::read(text) else { return fault(ApiKeyFault::Key(KeyFault::Malformed)) };
        match self.keys.current(now)?.holder(&key, now) {
            Ok(Found { id, holder, expires }) => Ok(Presented::Verified(AuthenticatedClient {
                client: Arc::clone(&holder.client),
                key: KeyTerms { id, plan: holder.plan.clone() },
                expires: expires.map(UnixTime::from_seconds),
            })),
            Err(reason) => fault(ApiKeyFault::Key(reason)),
        }
    }
}

/// Every line that offers a key: its header, and the text in the place of the key.
fn offered<'r, 'a>(rules: &'r Rules, input: &'r CheckInput<'a>) -> impl Iterator<Item = (&'r str, &'a [u8])> {
    rules.headers.iter().flat_map(|header| {
        let lines = input.values(header);
        lines.filter_map(|line| match header.as_str() {
            Rules::AUTHORIZATION => Some((header.as_str(), after_scheme(line)?)),
            own => Some((own, line)),
        })
    })
}

/// The text after the scheme `ApiKey`, or `None` for another scheme.
fn after_scheme(line: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = line.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    match rest {
        [b' ', key @ ..] => Some(key),
        // `ApiKey` alone, or with a tab: an offer without a key.
        [] | [b'\t', ..] => Some(&[]),
        // `ApiKeys`: another scheme.
        _ => None,
    }
}

/// Whether `input` offers a key.
#[must_use]
pub fn is_offered(rules: &Rules, input: &CheckInput<'_>) -> bool {
    offered(rules, input).next().is_some()
}

/// The headers that backends do not receive: those that carry only keys, and `Authorization` when it offers one.
pub fn headers_with_keys<'r>(rules: &'r Rules, input: &'r CheckInput<'_>) -> impl Iterator<Item = &'r str> {
    let in_authorization = offered(rules, input).any(|(header, _)| header == Rules::AUTHORIZATION);
    rules.own_headers().chain(in_authorization.then_some(Rules::AUTHORIZATION))
}
