//! Whom a request is for.

use std::sync::Arc;

use identity::{Client, Person, Service};

/// For whom a request passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// Whoever it is: the route is public.
    Anyone,
    /// A person.
    Person(Arc<Person>),
    /// A service.
    Service(Service),
    /// A client with an API key.
    Client(Arc<Client>),
}
