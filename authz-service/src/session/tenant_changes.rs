//! Detects sessions whose tokens name another tenant than before.
//!
//! A session begins in one tenant; the issuer may move it, and such a move is logged. Both tokens are
//! genuine, so neither is refused.

use identity::{Person, TenantId};
use prometheus::IntCounter;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::id_key;

/// How many sessions are remembered: the warm ones of a replica, as many as tokens. About 5 MB. A tenant with a long text
/// takes the place of several.
const CAPACITY: usize = 100_000;

/// The bytes of a tenant's text that fit one place.
const PLACE_BYTES: usize = 64;

/// Counts the places of an entry.
#[derive(Clone, Copy, Debug)]
struct Places;

impl Weighter<Uuid, Option<TenantId>> for Places {
    fn weight(&self, _: &Uuid, tenant: &Option<TenantId>) -> u64 {
        let places = 1 + tenant.as_ref().map_or(0, TenantId::allocated) / PLACE_BYTES;
        u64::try_from(places).unwrap_or(u64::MAX)
    }
}

/// The stable code of the event.
pub const CODE: &str = "session_tenant_changed";

/// The last tenant of each session.
#[derive(Debug)]
pub struct TenantChanges {
    seen: Cache<Uuid, Option<TenantId>, Places>,
    changes: IntCounter,
}

impl TenantChanges {
    /// An empty memory that counts in `changes`.
    #[must_use]
    pub fn new(changes: IntCounter) -> Self {
        let most = u64::try_from(CAPACITY).unwrap_or(u64::MAX);
        Self { seen: Cache::with_weighter(CAPACITY, most, Places), changes }
    }

    /// Notes a request of the verified `person`. Returns the previous tenant of their session, if it was
    /// another one, or none.
    pub fn note(&self, person: &Person) -> Option<Option<TenantId>> {
        // Without a session there is none that could move.
        let session = person.session.as_ref()?;
        let key = id_key::of_session(session);
        let before = self.seen.get(&key);
        if before.as_ref() == Some(&person.tenant) {
            return None;
        }
        self.seen.insert(key, person.tenant.clone());
        let before = before?;
        self.changes.inc();
        tracing::warn!(
            code = CODE,
            session = %session,
            subject = %person.subject,
            from = before.as_ref().map(tracing::field::display),
            to = person.tenant.as_ref().map(tracing::field::display),
            "a session moved to another tenant"
        );
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::Role;

    #[test]
    fn each_change_is_reported_and_nothing_else() {
        let count = IntCounter::new("changes", "x").unwrap();
        let changes = TenantChanges::new(count.clone());
        let (one, other): (TenantId, TenantId) = (
            "00000000-0000-7000-8000-000000000001".parse().unwrap(),
            "00000000-0000-7000-8000-000000000002".parse().unwrap(),
        );
        let person = |session: &str, tenant: &TenantId| Person {
            subject: "0192d3c0-0000-7000-8000-0000000000aa".parse().unwrap(),
            tenant: Some(tenant.clone()),
            session: Some(session.parse().unwrap()),
            role: Some(Role::NORMAL),
            roles: Vec::new(),
            scopes: Vec::new(),
        };
        let (a, b) = ("0192d3c0-0000-7000-8000-0000000000bb", "0192d3c0-0000-7000-8000-0000000000cc");
        assert_eq!(changes.note(&person(a, &one)), None, "first seen");
        assert_eq!(changes.note(&person(a, &one)), None);
        assert_eq!(changes.note(&person(b, &other)), None, "another session");
        assert_eq!(changes.note(&person(a, &other)), Some(Some(one.clone())));
        assert_eq!(changes.note(&person(a, &other)), None);
        assert_eq!(changes.note(&person(a, &one)), Some(Some(other)), "and back");
        assert_eq!(count.get(), 2);
    }
}
