//! What a request presented, and who was believed because of it. The later stages know of credentials only this.

use std::sync::Arc;

use ::lease::Tag;
use clock::UnixTime;
use identity::{Client, Person, Service, ServiceName};

use crate::credential::fault::CredentialFault;

/// What a request offered, after it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented<T> {
    /// No credential of this kind.
    NotOffered,
    /// A credential that is believed.
    Verified(T),
    /// A credential that is not believed.
    Failed(CredentialFault),
}

impl<T> Presented<T> {
    /// The same outcome with another value when it is verified.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Presented<U> {
        match self {
            Self::NotOffered => Presented::NotOffered,
            Self::Verified(value) => Presented::Verified(change(value)),
            Self::Failed(fault) => Presented::Failed(fault),
        }
    }
}

/// A person whose access token was believed. Only [`credential`](crate::credential) can make one.
#[derive(Clone, Debug)]
pub struct AuthenticatedPerson {
    pub(in crate::credential) person: Arc<Person>,
    pub(in crate::credential) issued: u64,
    pub(in crate::credential) token: Option<Proof>,
}

/// What a person's access token says about how long they are believed, for whoever wants to believe them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The token's `exp`, without leeway.
    pub expires: UnixTime,
    /// The key that it was verified with.
    pub key: Tag,
}

impl AuthenticatedPerson {
    /// Who it is.
    #[must_use]
    pub fn person(&self) -> &Arc<Person> {
        &self.person
    }

    /// The second in which their credential was issued: all sessions that began before a moment can be ended.
    #[must_use]
    pub const fn issued(&self) -> u64 {
        self.issued
    }

    /// What their access token says; `None` when somebody else vouches for them, or when the keys of its issuer are
    /// about to become too old to believe anybody.
    #[must_use]
    pub const fn token(&self) -> Option<Proof> {
        self.token
    }
}

/// A client whose API key was believed. Only [`credential`](crate::credential) can make one.
#[derive(Clone, Debug)]
pub struct AuthenticatedClient {
    pub(in crate::credential) client: Arc<Client>,
}

impl AuthenticatedClient {
    /// Who it is.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

/// A service whose assertion or token was believed. Only [`credential`](crate::credential) can make one.
#[derive(Clone, Debug)]
pub struct AuthenticatedService {
    pub(in crate::credential) service: Service,
    pub(in crate::credential) permissions: Vec<String>,
}

impl AuthenticatedService {
    /// Which service it is.
    #[must_use]
    pub fn name(&self) -> &ServiceName {
        &self.service.name
    }

    /// Which service it is, and for which tenant it acts.
    #[must_use]
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// What it may do: nothing that the edge file does not list for it.
    #[must_use]
    pub fn permissions(&self) -> &[String] {
        &self.permissions
    }
}
