//! Principals: the people and services that a request can act for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{SessionId, SubjectId, TenantId};

/// What a person may do, compared as a number: `role >= required`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Role(pub u8);

impl Role {
    /// The least level, which every caller with a level has.
    pub const NORMAL: Self = Self(0);
    /// People who build the product.
    pub const DEVELOPER: Self = Self(1);
    /// Programs that write the catalogue.
    pub const BOT: Self = Self(2);
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The most bytes of a role's name. Cognito, Entra and Okta allow a group name 128 to 256.
pub const MAX_ROLE_BYTES: usize = 255;

/// Whether `name` can be the name of a role: 1 to [`MAX_ROLE_BYTES`] bytes of UTF-8 without control characters, without a
/// comma, and without white space at the beginning or end.
///
/// Roles travel in one header, separated by commas: a role called `reader,admin` would be read as two.
#[must_use]
pub fn is_role_name(name: &str) -> bool {
    let is_edged = name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace);
    (1..=MAX_ROLE_BYTES).contains(&name.len())
        && !is_edged
        && !name.chars().any(|c| c == ',' || c.is_control())
}

/// The name of a service, as the edge file lists it: lower-case letters, digits and `-`, at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceName(String);

/// A service name with characters or a length that is not allowed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a service name has 1 to 64 lower-case letters, digits and `-`")]
pub struct InvalidServiceName;

impl ServiceName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceName {
    type Err = InvalidServiceName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidServiceName)
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A signed-in person, acting for at most one tenant in at most one session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    /// The `sub` of their tokens.
    pub subject: SubjectId,
    /// For whom; absent when their issuer knows no tenants.
    pub tenant: Option<TenantId>,
    /// Their session; absent when their issuer names none, and then none can be ended by itself.
    pub session: Option<SessionId>,
    /// Their level, as a number.
    pub role: Option<Role>,
    /// The names of their roles, in the token's order, without duplicates. Each is a valid [`role name`](is_role_name).
    pub roles: Vec<String>,
    /// What they may do, in the token's order, without duplicates.
    pub scopes: Vec<String>,
}

/// The name of a client: a program of a customer that holds API keys. Written as a [`ServiceName`] is, but never
/// like a UUID: where people have UUIDs, a backend that reads the plain header of the subject alone does not mistake a
/// program for a person. Where people have other texts, it needs the signed identity, which says the kind of caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ClientName(String);

/// A client name with characters or a length that is not allowed, or in the form of a UUID.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a client name has 1 to 64 lower-case letters, digits and `-`, and is not a UUID")]
pub struct InvalidClientName;

impl ClientName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientName {
    type Err = InvalidClientName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let written = text.parse::<ServiceName>().map_err(|_| InvalidClientName)?;
        if Uuid::try_parse(text).is_ok() { Err(InvalidClientName) } else { Ok(Self(written.0)) }
    }
}

impl TryFrom<String> for ClientName {
    type Error = InvalidClientName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A program of a customer, proved by an API key, acting for at most one tenant. It has no session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// The name under which its keys are listed.
    pub name: ClientName,
    /// For whom; absent on an edge without tenants.
    pub tenant: Option<TenantId>,
    /// Its level; an absent level is lower than any that a policy can require.
    pub role: Option<Role>,
    /// The names of its roles, without duplicates.
    pub roles: Vec<String>,
    /// What it may do, without duplicates.
    pub scopes: Vec<String>,
}

/// A service of the platform, acting for itself or, when its token says so, for one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// The name in `services` of the edge file.
    pub name: ServiceName,
    /// For whom; absent when it acts for the platform, which is what a service's own assertion always does.
    pub tenant: Option<TenantId>,
}

impl From<ServiceName> for Service {
    /// The service on its own account.
    fn from(name: ServiceName) -> Self {
        Self { name, tenant: None }
    }
}

impl FromStr for Service {
    type Err = InvalidServiceName;

    /// The service of that name, on its own account.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<ServiceName>().map(Self::from)
    }
}

impl fmt::Display for Service {
    /// The name alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// The proved caller of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A person with a session.
    Person(Person),
    /// Another service of the platform.
    Service(Service),
    /// A program of a customer.
    Client(Client),
}
