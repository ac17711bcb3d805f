//! A set of revocations, indexed by session, person and tenant.

use std::collections::HashMap;

use identity::{SessionId, SubjectId, TenantId};

use super::{Issued, Revocation, SessionEnd, SubjectEnd, TenantEnd};

/// The known revocations, with one entry for each session, person and tenant: of two for the same one, the
/// wider is kept.
///
/// A query costs three lookups, however many entries there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    sessions: HashMap<SessionId, SessionEnd>,
    subjects: HashMap<SubjectId, SubjectEnd>,
    tenants: HashMap<TenantId, TenantEnd>,
}

impl Ends {
    /// Adds `revocation`, joined with the known entry of the same session, person or tenant.
    pub fn add(&mut self, revocation: Revocation) {
        match revocation {
            Revocation::Session(new) => {
                let (from, until) = (new.from, new.until);
                let end = self.sessions.entry(new.sid.clone()).or_insert(new);
                (end.from, end.until) = (end.from.min(from), end.until.max(until));
            }
            Revocation::Subject(new) => {
                let (before, until) = (new.before, new.until);
                let end = self.subjects.entry(new.sub.clone()).or_insert(new);
                (end.before, end.until) = (end.before.max(before), end.until.max(until));
            }
            Revocation::Tenant(new) => {
                let (before, until) = (new.before, new.until);
                let end = self.tenants.entry(new.tid.clone()).or_insert(new);
                (end.before, end.until) = (end.before.max(before), end.until.max(until));
            }
        }
    }

    /// Returns whether an entry ends, at second `now`, the token `issued`.
    #[must_use]
    pub fn end(&self, issued: &Issued, now: u64) -> bool {
        let session = self.sessions.get(&issued.session).cloned().map(Revocation::Session);
        let subject = self.subjects.get(&issued.subject).cloned().map(Revocation::Subject);
        let tenant = self.tenants.get(&issued.tenant).cloned().map(Revocation::Tenant);
        [session, subject, tenant].into_iter().flatten().any(|revocation| revocation.ends(issued, now))
    }

    /// Returns all entries, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = Revocation> {
        let sessions = self.sessions.values().cloned().map(Revocation::Session);
        let subjects = self.subjects.values().cloned().map(Revocation::Subject);
        sessions.chain(subjects).chain(self.tenants.values().cloned().map(Revocation::Tenant))
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len() + self.subjects.len() + self.tenants.len()
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Extend<Revocation> for Ends {
    fn extend<I: IntoIterator<Item = Revocation>>(&mut self, revocations: I) {
        for revocation in revocations {
            self.add(revocation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn issued(session: u128, subject: u128, tenant: u128, at: u64) -> Issued {
        let id = Uuid::from_u128;
        Issued {
            session: SessionId::from(id(session)),
            subject: SubjectId::from(id(subject)),
            tenant: TenantId::from(id(tenant)),
            at,
        }
    }

    #[test]
    fn each_end_is_found_by_its_subject_and_the_wider_of_two_holds() {
        let id = Uuid::from_u128;
        let mut ends = Ends::default();
        ends.extend([
            Revocation::Session(SessionEnd { sid: SessionId::from(id(1)), from: 50, until: 70 }),
            Revocation::Session(SessionEnd { sid: SessionId::from(id(1)), from: 40, until: 60 }),
            Revocation::Subject(SubjectEnd { sub: SubjectId::from(id(2)), before: 30, until: 60 }),
            Revocation::Subject(SubjectEnd { sub: SubjectId::from(id(2)), before: 20, until: 90 }),
            Revocation::Tenant(TenantEnd { tid: TenantId::from(id(3)), before: 10, until: 60 }),
        ]);
        assert_eq!(ends.len(), 3);
        for (issued, now, expected) in [
            (issued(1, 9, 9, 99), 39, false),
            (issued(1, 9, 9, 99), 40, true),
            (issued(9, 2, 9, 29), 0, true),
            (issued(9, 2, 9, 30), 0, false),
            (issued(9, 9, 3, 9), 0, true),
            (issued(9, 9, 3, 10), 0, false),
            // An id of one kind has no meaning for another kind.
            (issued(2, 3, 1, 0), 99, false),
        ] {
            assert_eq!(ends.end(&issued, now), expected, "{issued:?} at {now}");
        }
        let mut again = Ends::default();
        again.extend(ends.all());
        assert_eq!(again, ends);
    }
}
