//! Ids of the platform's own people, tenants and sessions: UUIDs, as its databases have them.
//!
//! The edge carries ids as texts ([`identity::id`]), because other issuers name people as they like. The services of this
//! platform store UUIDs and nothing else, so an identity with another id is not one of theirs: the extractors refuse it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

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
