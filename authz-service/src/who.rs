//! The caller of a request.

use std::sync::Arc;

use identity::{Client, Person, Service};

/// The caller for whom a request passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// Any caller: the route is public.
    Anyone,
    /// A person.
    Person(Arc<Person>),
    /// A service.
    Service(Service),
    /// A client with an API key.
    Client(Arc<Client>),
}
