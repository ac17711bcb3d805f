//! Writes identity headers, which tell the backend about the caller. No other module writes them.
//!
//! Every header is overwritten or removed, never appended to, so that even a forged copy that passed the
//! guard would not survive. The names are in [`identity::headers`].
//!
//! | header | person | client | service | anyone |
//! |---|---|---|---|---|
//! | `x-madome-gw` | `1` | `1` | `1` | `1` |
//! | `x-madome-public` | removed | removed | removed | `1` |
//! | `x-madome-auth-sub` | subject | name | name | removed |
//! | `x-madome-auth-scope` | when there are scopes | when there are scopes | removed | removed |
//! | `x-madome-auth-sid` | when there is one | removed | removed | removed |
//! | `x-madome-auth-role` | when there is one | when there is one | removed | removed |
//! | `x-tenant-id` | when there is one | when there is one | when there is one | removed |
//! | `x-madome-identity` | signed | signed | signed | removed |
//!
//! On a route that chooses its backend by kind of session, `x-madome-auth-kind` names the kind; Envoy removes it before the
//! backend.
//!
//! The header of API keys is removed where the policy accepts them: backends never receive a key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clock::UnixTime;
use edge_config::edge::AcceptedCredential;
use identity::assertion::{LIFETIME, Signer};
use identity::{Audience, headers};
use prometheus::IntCounter;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::failure::Failure;
use crate::policy::Permit;
use crate::who::{Caller, Who};

/// A signed identity is reused only while it is valid for at least this long, so that a queue in front of the
/// backend does not outlive it.
pub const MIN_FRESH: Duration = Duration::from_secs(30);

/// How many signed identities are cached by default. One takes about 900 bytes, so a full cache takes 18 MB;
/// an evicted identity is signed again, which takes about 30 µs.
pub const DEFAULT_CAPACITY: usize = 20_000;

/// The headers to write and to remove on the way to the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Names and values to overwrite.
    pub set: Vec<(&'static str, String)>,
    /// Names to remove.
    pub remove: Vec<&'static str>,
    /// More names to remove: the headers with API keys.
    pub remove_keys: Vec<String>,
    /// Names and values that the answer to the client gets, beside those of the backend.
    pub answer: Vec<(&'static str, String)>,
    /// Until when the signed identity among them is reused; absent when there is none.
    pub good_until: Option<UnixTime>,
}

impl HeaderEdits {
    /// Names the kind of the caller's credential, by which Envoy chooses the backend, or that it is not known.
    pub fn name_kind(&mut self, kind: Option<AcceptedCredential>) {
        match kind {
            Some(kind) => self.set.push((headers::KIND, kind.as_str().to_owned())),
            None => self.remove.push(headers::KIND),
        }
    }
}

struct Signed {
    token: String,
    at: UnixTime,
}

/// The bytes of a signed identity that fit one place of the cache. One that names 200 groups takes a dozen.
const PLACE_BYTES: usize = 1_024;

/// Counts the places of a signed identity.
#[derive(Clone, Copy, Debug)]
struct Places;

impl Weighter<(Caller, Arc<Audience>), Arc<Signed>> for Places {
    fn weight(&self, _: &(Caller, Arc<Audience>), signed: &Arc<Signed>) -> u64 {
        u64::try_from(1 + signed.token.len() / PLACE_BYTES).unwrap_or(u64::MAX)
    }
}

/// Writes identity headers, and signs each identity once while it is fresh.
pub struct IdentityWriter {
    signer: Signer,
    signed: Cache<(Caller, Arc<Audience>), Arc<Signed>, Places>,
    hits: IntCounter,
    misses: IntCounter,
}

impl fmt::Debug for IdentityWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityWriter").field("signer", &self.signer).finish_non_exhaustive()
    }
}

impl IdentityWriter {
    /// A writer that signs with `signer` and caches `capacity` signed identities.
    #[must_use]
    pub fn new(signer: Signer, capacity: usize, hits: IntCounter, misses: IntCounter) -> Self {
        let places = u64::try_from(capacity).unwrap_or(u64::MAX);
        Self { signer, signed: Cache::with_weighter(capacity, places, Places), hits, misses }
    }

    /// The headers for the caller of `permit`, for the backends in `audience`.
    ///
    /// # Errors
    /// [`Failure::SigningFailed`] when the cryptographic library fails.
    pub fn write(
        &self,
        permit: &Permit,
        audience: &Arc<Audience>,
        now: UnixTime,
    ) -> Result<HeaderEdits, Failure> {
        let one = || "1".to_owned();
        let mut set = Vec::with_capacity(8);
        let mut good_until = None;
        set.push((headers::GATEWAY, one()));
        let remove = match permit.who() {
            Who::Anyone => {
                set.push((headers::PUBLIC, one()));
                vec![
                    headers::SUBJECT,
                    headers::SCOPE,
                    headers::SESSION,
                    headers::ROLE,
                    headers::TENANT,
                    headers::IDENTITY,
                ]
            }
            Who::Caller(caller @ Caller::Person(person)) => {
                set.push((headers::SUBJECT, person.subject.to_string()));
                let mut remove = Vec::with_capacity(4);
                match &person.session {
                    Some(session) => set.push((headers::SESSION, session.to_string())),
                    None => remove.push(headers::SESSION),
                }
                match person.role {
                    Some(role) => set.push((headers::ROLE, role.to_string())),
                    None => remove.push(headers::ROLE),
                }
                match &person.tenant {
                    Some(tenant) => set.push((headers::TENANT, tenant.to_string())),
                    None => remove.push(headers::TENANT),
                }
                set.push((headers::IDENTITY, self.signed(caller, audience, now, &mut good_until)?));
                remove.push(headers::PUBLIC);
                if person.scopes.is_empty() {
                    remove.push(headers::SCOPE);
                } else {
                    set.push((headers::SCOPE, person.scopes.join(" ")));
                }
                remove
            }
            Who::Caller(caller @ Caller::Client(client)) => {
                set.push((headers::SUBJECT, client.name.to_string()));
                set.push((headers::IDENTITY, self.signed(caller, audience, now, &mut good_until)?));
                let mut remove = vec![headers::PUBLIC, headers::SESSION];
                match &client.tenant {
                    Some(tenant) => set.push((headers::TENANT, tenant.to_string())),
                    None => remove.push(headers::TENANT),
                }
                match client.role {
                    Some(role) => set.push((headers::ROLE, role.to_string())),
                    None => remove.push(headers::ROLE),
                }
                if client.scopes.is_empty() {
                    remove.push(headers::SCOPE);
                } else {
                    set.push((headers::SCOPE, client.scopes.join(" ")));
                }
                remove
            }
            Who::Caller(caller @ Caller::Service(service)) => {
                set.push((headers::SUBJECT, service.name.to_string()));
                set.push((headers::IDENTITY, self.signed(caller, audience, now, &mut good_until)?));
                let mut remove = vec![headers::PUBLIC, headers::SCOPE, headers::SESSION, headers::ROLE];
                match &service.tenant {
                    Some(tenant) => set.push((headers::TENANT, tenant.to_string())),
                    None => remove.push(headers::TENANT),
                }
                remove
            }
        };
        Ok(HeaderEdits { set, remove, remove_keys: Vec::new(), answer: Vec::new(), good_until })
    }

    /// A signed identity, and until when it is reused.
    fn signed(
        &self,
        caller: &Caller,
        audience: &Arc<Audience>,
        now: UnixTime,
        good_until: &mut Option<UnixTime>,
    ) -> Result<String, Failure> {
        let key = (caller.clone(), Arc::clone(audience));
        if let Some(signed) = self.signed.get(&key)
            && is_fresh(signed.at, now)
        {
            self.hits.inc();
            *good_until = Some(signed.at.plus(LIFETIME.saturating_sub(MIN_FRESH)));
            return Ok(signed.token.clone());
        }
        self.misses.inc();
        let token = self.signer.sign(&caller.into(), audience.as_ref(), now).map_err(|error| {
            tracing::error!(%error, "cannot sign an identity");
            Failure::SigningFailed
        })?;
        *good_until = Some(now.plus(LIFETIME.saturating_sub(MIN_FRESH)));
        self.signed.insert(key, Arc::new(Signed { token: token.clone(), at: now }));
        Ok(token)
    }

    /// The number of cached identities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.signed.len()
    }

    /// Whether no identity is cached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signed.is_empty()
    }

    /// The capacity of the cache.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.signed.capacity()
    }
}

/// Whether an identity signed at `at` may be reused at `now`. One from the future may not: the clock was
/// stepped back, and a backend would refuse it.
fn is_fresh(at: UnixTime, now: UnixTime) -> bool {
    at <= now && now.plus(MIN_FRESH) <= at.plus(LIFETIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_for_the_first_half_of_its_life() {
        let at = UnixTime::from_seconds(1_000);
        for (now, fresh) in [(999, false), (1_000, true), (1_030, true), (1_031, false), (5_000, false)] {
            assert_eq!(is_fresh(at, UnixTime::from_seconds(now)), fresh, "{now}");
        }
    }
}
