//! Writes identity headers, which tell the backend about the caller. No other module writes them.
//!
//! The edge file names them (`identity`). A header without a name is not sent. Every other one is overwritten or removed,
//! never appended to, so that even a forged copy that passed the guard would not survive.
//!
//! | header | person | client | service | anyone |
//! |---|---|---|---|---|
//! | `public` | removed | removed | removed | `1` |
//! | `subject` | the subject | name | name | removed |
//! | `session` | when there is one | removed | removed | removed |
//! | `role` | when there is one | when there is one | removed | removed |
//! | `roles` | when there are roles | when there are roles | removed | removed |
//! | `tenant` | when there is one | when there is one | when there is one | removed |
//! | `signed` | signed | signed | signed | removed |
//! | `scopes` | when there are scopes | when there are scopes | removed | removed |
//!
//! Envoy itself writes `gateway` on every route. [`Marks`] are for Envoy alone, which removes them before the backend.
//!
//! The header of API keys is removed where the policy accepts them: backends never receive a key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clock::UnixTime;
use edge_config::edge::{AcceptedCredential, IdentityHeaders, Marks};
use identity::assertion::{LIFETIME, Signer};
use identity::{Audience, Form, headers};
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Names and values to overwrite.
    pub set: Vec<(Arc<str>, String)>,
    /// Names to remove.
    pub remove: Vec<Arc<str>>,
    /// Marks for Envoy: names and values to overwrite, or names to remove.
    pub marks: Vec<(&'static str, Option<String>)>,
    /// More names to remove: the headers with API keys.
    pub remove_keys: Vec<String>,
    /// Names and values that the answer to the client gets, beside those of the backend.
    pub answer: Vec<(&'static str, String)>,
    /// Until when the signed identity among them is reused; absent when there is none.
    pub good_until: Option<UnixTime>,
}

impl HeaderEdits {
    /// Writes `value` to the header `name`, or removes the header without a value. Without a name nothing is sent.
    fn put(&mut self, name: Option<&Arc<str>>, value: impl FnOnce() -> Option<String>) {
        let Some(name) = name else { return };
        match value() {
            Some(value) => self.set.push((Arc::clone(name), value)),
            None => self.remove.push(Arc::clone(name)),
        }
    }

    /// Adds the marks by which Envoy chooses the backend of `who` with a credential of `kind`.
    pub fn mark(&mut self, marks: Marks, who: &Who, kind: Option<AcceptedCredential>) {
        let caller = match who {
            Who::Anyone => None,
            Who::Caller(caller) => Some(caller),
        };
        if marks.kind {
            self.marks.push((headers::KIND, kind.map(|kind| kind.as_str().to_owned())));
        }
        if marks.session {
            let session = caller.map(|caller| session(caller).unwrap_or_else(|| subject(caller)));
            self.marks.push((headers::SESSION, session));
        }
        if marks.subject {
            self.marks.push((headers::SUBJECT, caller.map(subject)));
        }
        if marks.tenant {
            self.marks.push((headers::TENANT, caller.and_then(tenant)));
        }
    }
}

struct Signed {
    token: Box<str>,
    at: UnixTime,
}

/// One identity: the caller, the backends, and the names of the claims. A new edge file may call them otherwise.
type Key = (Caller, Arc<Audience>, Arc<Form>);

/// The bytes of a signed identity that fit one place of the cache. One that names 200 groups takes a dozen.
const PLACE_BYTES: usize = 1_024;

/// Counts the places of a signed identity.
#[derive(Clone, Copy, Debug)]
struct Places;

impl Weighter<Key, Arc<Signed>> for Places {
    fn weight(&self, _: &Key, signed: &Arc<Signed>) -> u64 {
        u64::try_from(1 + signed.token.len() / PLACE_BYTES).unwrap_or(u64::MAX)
    }
}

/// Writes identity headers, and signs each identity once while it is fresh.
pub struct IdentityWriter {
    signer: Signer,
    signed: Cache<Key, Arc<Signed>, Places>,
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

    /// The headers called `names` for the caller of `permit`, for the backends in `audience`.
    ///
    /// # Errors
    /// [`Failure::SigningFailed`] when the cryptographic library fails.
    pub fn write(
        &self,
        permit: &Permit,
        names: &IdentityHeaders,
        audience: &Arc<Audience>,
        now: UnixTime,
    ) -> Result<HeaderEdits, Failure> {
        // `gateway` is the same on every route: Envoy writes it.
        let IdentityHeaders {
            subject: by_subject, session: by_session, role: by_role, roles: by_roles, ..
        } = names;
        let IdentityHeaders {
            scopes: by_scopes, tenant: by_tenant, signed, form, gateway: _, public, ..
        } = names;
        let caller = match permit.who() {
            Who::Anyone => None,
            Who::Caller(caller) => Some(caller),
        };
        let mut edits = HeaderEdits { set: Vec::with_capacity(8), ..HeaderEdits::default() };
        edits.put(public.as_ref(), || caller.is_none().then(|| "1".to_owned()));
        edits.put(by_subject.as_ref(), || caller.map(subject));
        edits.put(by_session.as_ref(), || caller.and_then(session));
        edits.put(by_role.as_ref(), || caller.and_then(role));
        edits.put(by_roles.as_ref(), || caller.and_then(roles));
        edits.put(by_tenant.as_ref(), || caller.and_then(tenant));
        if let Some(name) = signed {
            let token = match caller {
                Some(caller) => Some(self.signed(caller, form, audience, now, &mut edits.good_until)?),
                None => None,
            };
            edits.put(Some(name), || token);
        }
        edits.put(by_scopes.as_ref(), || caller.and_then(scopes));
        Ok(edits)
    }

    /// A signed identity, and until when it is reused.
    fn signed(
        &self,
        caller: &Caller,
        form: &Arc<Form>,
        audience: &Arc<Audience>,
        now: UnixTime,
        good_until: &mut Option<UnixTime>,
    ) -> Result<String, Failure> {
        let key = (caller.clone(), Arc::clone(audience), Arc::clone(form));
        if let Some(signed) = self.signed.get(&key)
            && is_fresh(signed.at, now)
        {
            self.hits.inc();
            *good_until = Some(signed.at.plus(LIFETIME.saturating_sub(MIN_FRESH)));
            return Ok(signed.token.to_string());
        }
        self.misses.inc();
        let token = self.signer.sign_as(form, &caller.into(), audience.as_ref(), now).map_err(|error| {
            tracing::error!(%error, "cannot sign an identity");
            Failure::SigningFailed
        })?;
        *good_until = Some(now.plus(LIFETIME.saturating_sub(MIN_FRESH)));
        self.signed.insert(key, Arc::new(Signed { token: token.as_str().into(), at: now }));
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

fn subject(caller: &Caller) -> String {
    match caller {
        Caller::Person(person) => person.subject.to_string(),
        Caller::Client(client) => client.name.to_string(),
        Caller::Service(service) => service.name.to_string(),
    }
}

fn session(caller: &Caller) -> Option<String> {
    match caller {
        Caller::Person(person) => person.session.as_ref().map(ToString::to_string),
        Caller::Client(_) | Caller::Service(_) => None,
    }
}

fn role(caller: &Caller) -> Option<String> {
    let role = match caller {
        Caller::Person(person) => person.role,
        Caller::Client(client) => client.role,
        Caller::Service(_) => None,
    };
    role.map(|role| role.to_string())
}

/// No name of a role has a comma in it.
fn roles(caller: &Caller) -> Option<String> {
    let roles = match caller {
        Caller::Person(person) => &person.roles,
        Caller::Client(client) => &client.roles,
        Caller::Service(_) => return None,
    };
    (!roles.is_empty()).then(|| roles.join(","))
}

fn scopes(caller: &Caller) -> Option<String> {
    let scopes = match caller {
        Caller::Person(person) => &person.scopes,
        Caller::Client(client) => &client.scopes,
        Caller::Service(_) => return None,
    };
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

fn tenant(caller: &Caller) -> Option<String> {
    match caller {
        Caller::Person(person) => person.tenant.as_ref(),
        Caller::Client(client) => client.tenant.as_ref(),
        Caller::Service(service) => service.tenant.as_ref(),
    }
    .map(ToString::to_string)
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
