//! The caller of a request.

use std::sync::Arc;

use identity::{Client, Person, Service};

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

impl From<&Caller> for identity::Caller {
    fn from(caller: &Caller) -> Self {
        match caller {
            Caller::Person(person) => Self::Person(person.as_ref().clone()),
            Caller::Service(service) => Self::Service(service.clone()),
            Caller::Client(client) => Self::Client(client.as_ref().clone()),
        }
    }
}
