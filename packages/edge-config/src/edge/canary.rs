//! Canaries: callers that go to another backend, whatever the shares of a route are.

use identity::TenantId;

/// A caller whose requests go to another backend. The choice depends on what the authorizer found out, never on what a
/// client sends: the compared headers belong to the edge, and a client's headers with these names never arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The callers.
    pub when: Condition,
    /// The backend's name.
    pub backend: String,
}

/// A condition on the authorizer's findings about a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The caller's verified tenant is this one.
    Tenant(TenantId),
    /// An identity header that the authorizer wrote has exactly this value.
    Header {
        /// One of the identity headers, lower case.
        name: String,
        /// The whole value.
        value: String,
    },
}
