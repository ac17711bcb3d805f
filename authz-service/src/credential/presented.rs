//! The credential that a request presented, and the caller it proved. Later stages know nothing else of
//! credentials.

use std::sync::Arc;

use ::lease::Tag;
use clock::UnixTime;
use identity::{Client, Person, Service, ServiceName};

use crate::credential::fault::CredentialFault;
use crate::who::KeyTerms;

/// The credential of a request after its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented<T> {
    /// No credential of this kind.
    NotOffered,
    /// A verified credential.
    Verified(T),
    /// A refused credential.
    Failed(CredentialFault),
}

impl<T> Presented<T> {
    /// The same outcome with the verified value mapped by `change`.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Presented<U> {
        match self {
            Self::NotOffered => Presented::NotOffered,
            Self::Verified(value) => Presented::Verified(change(value)),
            Self::Failed(fault) => Presented::Failed(fault),
        }
    }
}

/// A person whose access token was verified. Only [`credential`](crate::credential) can make one.
#[derive(Clone, Debug)]
pub struct AuthenticatedPerson {
    pub(in crate::credential) person: Arc<Person>,
    pub(in crate::credential) issued: u64,
    pub(in crate::credential) token: Option<Proof>,
    pub(in crate::credential) access: Access,
}

/// The expiry and the key of a person's access token, for a later repetition of the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The token's `exp`, without leeway.
    pub expires: UnixTime,
    /// The key that verified it.
    pub key: Tag,
}

/// What ends a person's credential by itself, as far as it is known. Unlike a [`Proof`] it does not suffice to repeat the check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The token's `exp`, without leeway.
    pub expires: Option<UnixTime>,
    /// The key that verified it.
    pub key: Option<Tag>,
}

impl AuthenticatedPerson {
    /// The person.
    #[must_use]
    pub fn person(&self) -> &Arc<Person> {
        &self.person
    }

    /// The second in which the credential was issued: all sessions that began before a moment can be ended.
    #[must_use]
    pub const fn issued(&self) -> u64 {
        self.issued
    }

    /// The token's proof; `None` when another source vouches for the person, or when the keys of the issuer
    /// are about to become too old to use.
    #[must_use]
    pub const fn token(&self) -> Option<Proof> {
        self.token
    }

    /// What ends the credential by itself.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }
}

/// A client whose API key was verified. Only [`credential`](crate::credential) can make one.
#[derive(Clone, Debug)]
pub struct AuthenticatedClient {
    pub(in crate::credential) client: Arc<Client>,
    pub(in crate::credential) key: KeyTerms,
    pub(in crate::credential) expires: Option<UnixTime>,
}

impl AuthenticatedClient {
    /// The client.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// The id and the plan of its key.
    #[must_use]
    pub const fn key(&self) -> &KeyTerms {
        &self.key
    }

    /// When its key ends to count, if it does.
    #[must_use]
    pub const fn expires(&self) -> Option<UnixTime> {
        self.expires
    }
}

/// A service whose assertion or token was verified. Only [`credential`](crate::credential) can make one.
#[derive(Clone, Debug)]
pub struct AuthenticatedService {
    pub(in crate::credential) service: Service,
    pub(in crate::credential) permissions: Vec<String>,
}

impl AuthenticatedService {
    /// The service.
    #[must_use]
    pub fn name(&self) -> &ServiceName {
        &self.service.name
    }

    /// The service, and the tenant for which it acts.
    #[must_use]
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// Its permissions: a subset of those that the edge file lists for it.
    #[must_use]
    pub fn permissions(&self) -> &[String] {
        &self.permissions
    }
}
