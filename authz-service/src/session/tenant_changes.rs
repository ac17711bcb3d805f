//! Detects sessions whose tokens name another tenant than before.
//!
//! A session begins in one tenant; the issuer may move it, and such a move is logged. Both tokens are
//! genuine, so neither is refused.

use identity::{Person, SessionId, TenantId};
use prometheus::IntCounter;
use quick_cache::sync::Cache;

/// How many sessions are remembered: the warm ones of a replica, as many as tokens. About 5 MB.
const CAPACITY: usize = 100_000;

/// The stable code of the event.
pub const CODE: &str = "session_tenant_changed";

/// The last tenant of each session.
#[derive(Debug)]
pub struct TenantChanges {
    seen: Cache<SessionId, TenantId>,
    changes: IntCounter,
}

impl TenantChanges {
    /// An empty memory that counts in `changes`.
    #[must_use]
    pub fn new(changes: IntCounter) -> Self {
        Self { seen: Cache::new(CAPACITY), changes }
    }

    /// Notes a request of the verified `person`. Returns the previous tenant of their session, if it was
    /// another one.
    pub fn note(&self, person: &Person) -> Option<TenantId> {
        // Without a session there is none that could move.
        let session = person.session?;
        let before = self.seen.get(&session);
        if before == Some(person.tenant) {
            return None;
        }
        self.seen.insert(session, person.tenant);
        let before = before?;
        self.changes.inc();
        tracing::warn!(
            code = CODE,
            session = %session,
            subject = %person.subject,
            from = %before,
            to = %person.tenant,
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
        let person = |session: &str, tenant| Person {
            subject: "0192d3c0-0000-7000-8000-0000000000aa".parse().unwrap(),
            tenant,
            session: Some(session.parse().unwrap()),
            role: Some(Role::NORMAL),
            scopes: Vec::new(),
        };
        let (a, b) = ("0192d3c0-0000-7000-8000-0000000000bb", "0192d3c0-0000-7000-8000-0000000000cc");
        assert_eq!(changes.note(&person(a, one)), None, "first seen");
        assert_eq!(changes.note(&person(a, one)), None);
        assert_eq!(changes.note(&person(b, other)), None, "another session");
        assert_eq!(changes.note(&person(a, other)), Some(one));
        assert_eq!(changes.note(&person(a, other)), None);
        assert_eq!(changes.note(&person(a, one)), Some(other), "and back");
        assert_eq!(count.get(), 2);
    }
}
