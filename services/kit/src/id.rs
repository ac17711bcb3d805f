//! Ids of the platform's own people, tenants and sessions: UUIDs, as its databases have them.
//!
//! The edge carries ids as texts ([`identity::id`]), because other issuers name people as they like. The services of this
//! platform store UUIDs and nothing else, so an identity with another id is not one of theirs: the extractors refuse it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::tenant::VerifiedTenant;

macro_rules! id {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }

        impl From<$name> for identity::$name {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl TryFrom<&identity::$name> for $name {
            type Error = NotOurs;

            fn try_from(id: &identity::$name) -> Result<Self, NotOurs> {
                id.uuid().map(Self).ok_or(NotOurs)
            }
        }
    };
}

id! {
    /// A person's id.
    SubjectId
}

id! {
    /// A tenant's id.
    TenantId
}

id! {
    /// A session's id: one login on one device.
    SessionId
}

/// An id that is not one of this platform's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ids of this platform are UUIDs")]
pub struct NotOurs;

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
