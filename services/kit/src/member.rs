//! The people of this platform.

use crate::id::{NotOurs, SessionId, SubjectId};
use crate::tenant::VerifiedTenant;

/// A person of one tenant, as every person of this platform is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The person's id.
    pub subject: SubjectId,
    /// The tenant for which they act, proved by the edge's signature.
    pub tenant: VerifiedTenant,
    /// Their session.
    pub session: Option<SessionId>,
    /// Their level.
    pub role: Option<identity::Role>,
    /// What they may do.
    pub scopes: Vec<String>,
}

impl Member {
    /// Returns the person of a verified identity. Only this crate calls it, because the result proves the tenant.
    ///
    /// Refuses a person with other ids than UUIDs, or without a tenant.
    pub(crate) fn proved(person: identity::Person) -> Result<Self, NotOurs> {
        let identity::Person { subject, tenant, session, role, roles: _, scopes } = person;
        Ok(Self {
            subject: (&subject).try_into()?,
            tenant: VerifiedTenant::proved(tenant.as_ref().ok_or(NotOurs)?.try_into()?),
            session: session.as_ref().map(SessionId::try_from).transpose()?,
            role,
            scopes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_with_other_ids_or_without_a_tenant_is_not_ours() {
        let uuid = "0192d3c0-0000-7000-8000-000000000001";
        let person = |subject: &str, tenant: Option<&str>, session: Option<&str>| identity::Person {
            subject: subject.parse().unwrap(),
            tenant: tenant.map(|tenant| tenant.parse().unwrap()),
            session: session.map(|session| session.parse().unwrap()),
            role: None,
            roles: Vec::new(),
            scopes: Vec::new(),
        };
        assert!(Member::proved(person(uuid, Some(uuid), Some(uuid))).is_ok());
        assert!(Member::proved(person(uuid, Some(uuid), None)).is_ok());
        for other in [
            person("auth0|5f7c", Some(uuid), None),
            person(uuid, None, None),
            person(uuid, Some("acme-corp"), None),
            person(uuid, Some(uuid), Some("s-1")),
        ] {
            assert_eq!(Member::proved(other), Err(NotOurs));
        }
    }
}
