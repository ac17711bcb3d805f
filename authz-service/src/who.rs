//! The caller of a request.

use std::sync::Arc;

use api_keys::KeyId;
use identity::{Client, Person, Service, TenantId};

/// For whom a request passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// Any caller: the route is public.
    Anyone,
    /// This verified caller.
    Caller(Caller),
}

/// A verified caller. What the stages found about persons and clients is shared with the caches, so passing one on
/// copies nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A person.
    Person(Arc<Person>),
    /// A service.
    Service(Service),
    /// A client with an API key.
    Client(Arc<Client>),
}

impl Caller {
    /// The tenant for which the caller acts.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Person(person) => person.tenant.as_ref(),
            Self::Service(service) => service.tenant.as_ref(),
            Self::Client(client) => client.tenant.as_ref(),
        }
    }
}

impl From<&Caller> for identity::Caller {
    fn from(caller: &Caller) -> Self {
        match caller {
            Caller::Person(person) => Self::Person(person.as_ref().clone()),
            Caller::Service(service) => Self::Service(service.clone()),
            Caller::Client(client) => Self::Client(client.as_ref().clone()),
        }
    }
}

/// What an API key says beside the client for which it stands. Limits depend on it, backends do not receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTerms {
    /// The key's id.
    pub id: KeyId,
    /// The plan that its holder pays for.
    pub plan: Option<Arc<str>>,
}
