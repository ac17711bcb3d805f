//! The requirements for a caller.

use identity::{Role, ServiceName};

use super::{
    AcceptedCredential, CertificatePolicy, LeasePolicy, Mode, SignInRedirect, SignedPolicy, TenantMatch,
    WebhookPolicy,
};

/// The requirements for a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Every caller. See [`Edge::is_decided`](super::Edge::is_decided) for when a decision is made.
    Public(PublicPolicy),
    /// A person with a valid session of an active tenant, or a caller with another accepted credential.
    Session(SessionPolicy),
    /// A service of the platform, on an internal listener only.
    Internal(InternalPolicy),
    /// A program that signs its requests, from a known address.
    Signed(SignedPolicy),
    /// Another product that signs its webhooks.
    Webhook(WebhookPolicy),
    /// A program that presents a certificate.
    Certificate(CertificatePolicy),
}

/// The requests that a public policy refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublicPolicy {
    /// Whether a request is refused when its recognised session, or the session's person or tenant, was ended. The claims
    /// are unproved, so a client can have itself refused and no other client.
    pub refuse_ended: bool,
}

/// The requirements for a person beyond a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPolicy {
    /// The accepted credentials; the first one in this order that a request has is used. Empty means sessions alone.
    pub accept: Vec<AcceptedCredential>,
    /// What `Authorization: Bearer` means beside a session cookie.
    pub bearer_beside_cookie: BesideCookie,
    /// The least level that a caller needs; absent when any will do, also none.
    pub role: Option<Role>,
    /// The names of the roles that a caller needs; absent when any will do.
    pub roles: Option<RoleNames>,
    /// The scopes that must all be present.
    pub scopes: Vec<String>,
    /// The place in the request of a tenant that must be the caller's own; absent when it names none.
    pub tenant: Option<TenantMatch>,
    /// Whether role, scopes and tenant are enforced or only logged.
    pub mode: Mode,
    /// How an allow may be used again; absent when every request is checked.
    pub lease: Option<LeasePolicy>,
    /// Where a page that a browser opens goes instead of a 401; absent when every caller gets the 401.
    pub sign_in: Option<SignInRedirect>,
}

/// The names of the roles that a caller needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleNames {
    /// One of these.
    Any(Vec<String>),
    /// Every one of these.
    All(Vec<String>),
}

impl RoleNames {
    /// The names, in the order of the edge file.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::Any(names) | Self::All(names) => names,
        }
    }

    /// Whether a caller with the roles `had` has the ones that are needed.
    #[must_use]
    pub fn fit(&self, had: &[String]) -> bool {
        match self {
            Self::Any(names) => names.iter().any(|name| had.contains(name)),
            Self::All(names) => names.iter().all(|name| had.contains(name)),
        }
    }
}

impl std::fmt::Display for RoleNames {
    /// `any of admin, support`, or `all of admin, support`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quantity = match self {
            Self::Any(_) => "any of",
            Self::All(_) => "all of",
        };
        write!(f, "{quantity} {}", self.names().join(", "))
    }
}

/// What a bearer token means in a request that has a session cookie, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BesideCookie {
    /// It is a credential like the cookie: both must prove the same session. A token that means nothing to the edge is
    /// refused, because a backend that reads it could take the caller for another person.
    #[default]
    Compare,
    /// The cookie alone counts. The header is the backend's own matter, as for many legacy backends.
    Ignore,
}

/// The services that may pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternalPolicy {
    /// The accepted services; empty means every listed one.
    pub services: Vec<ServiceName>,
    /// The permissions that they need, all of them.
    pub permissions: Vec<String>,
}
