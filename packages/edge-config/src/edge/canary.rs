//! Who goes elsewhere, whatever the shares of a route are.

use identity::TenantId;

/// Somebody whose requests go to another backend. Decided by what the authorizer found out, never by what a
/// client says: the headers that are looked at are the edge's own, and what a client sends under their names
/// never arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Whom.
    pub when: Condition,
    /// Where to.
    pub backend: String,
}

/// What the authorizer must have found out about a caller.
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
