//! May they: what a caller must be beyond being somebody.

use std::net::IpAddr;
use std::sync::Arc;

use edge_config::edge::{InternalPolicy, SessionPolicy, SignedPolicy};
use identity::{Person, ServiceName};

use crate::credential::AuthenticatedService;
use crate::credential::signed::AuthenticatedSigner;
use crate::decision::{DenyReason, Stop};
use crate::tenant::TenantMember;

/// Why a believed caller may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyFault {
    /// The role is less than the policy asks for.
    RoleTooLow,
    /// A scope that the policy asks for is not there.
    ScopeMissing,
    /// The policy does not list the service.
    ServiceNotAllowed,
    /// The connection comes from an address that the policy does not list.
    AddressNotAllowed,
    /// The policy does not list the key of the signature.
    SigningKeyNotAllowed,
}

impl PolicyFault {
    /// The stable code of this fault.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::RoleTooLow => "role_too_low",
            Self::ScopeMissing => "scope_missing",
            Self::ServiceNotAllowed => "service_not_allowed",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::SigningKeyNotAllowed => "signing_key_not_allowed",
        }
    }
}

impl From<PolicyFault> for Stop {
    fn from(fault: PolicyFault) -> Self {
        Self::Denied(DenyReason::Policy(fault))
    }
}

/// For whom a request passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// Whoever it is: the route is public.
    Anyone,
    /// A person.
    Person(Arc<Person>),
    /// A service.
    Service(ServiceName),
}

/// Leave to pass. Only this module gives one, and only for what the stages before it let through.
#[derive(Clone, Debug)]
pub struct Permit {
    who: Who,
}

impl Permit {
    /// For whom.
    #[must_use]
    pub const fn who(&self) -> &Who {
        &self.who
    }
}

/// A permit for anybody, on a route whose policy is public.
#[must_use]
pub const fn permit_anyone() -> Permit {
    Permit { who: Who::Anyone }
}

/// A permit for `member`, when they are what `policy` asks for.
///
/// # Errors
/// A denial with [`PolicyFault`].
pub fn permit_person(member: TenantMember, policy: &SessionPolicy) -> Result<Permit, Stop> {
    let SessionPolicy { role, scopes } = policy;
    let person = member.into_session().into_person();
    if role.is_some_and(|required| person.role < required) {
        return Err(PolicyFault::RoleTooLow.into());
    }
    if !scopes.iter().all(|required| person.scopes.contains(required)) {
        return Err(PolicyFault::ScopeMissing.into());
    }
    Ok(Permit { who: Who::Person(person) })
}

/// A permit for `service`, when `policy` lists it. An empty list stands for every service of the edge file,
/// and nobody else can be authenticated.
///
/// # Errors
/// A denial with [`PolicyFault`].
pub fn permit_service(service: &AuthenticatedService, policy: &InternalPolicy) -> Result<Permit, Stop> {
    let InternalPolicy { services } = policy;
    if !services.is_empty() && !services.contains(service.name()) {
        return Err(PolicyFault::ServiceNotAllowed.into());
    }
    Ok(Permit { who: Who::Service(service.name().clone()) })
}

/// A connection from an address that a policy lists. Only [`admit_address`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct AllowedAddress(());

/// Lets a connection from `client` on when `policy` lists its address. An address that nobody knows is in no
/// list.
///
/// # Errors
/// A denial with [`PolicyFault::AddressNotAllowed`].
pub fn admit_address(client: Option<IpAddr>, policy: &SignedPolicy) -> Result<AllowedAddress, Stop> {
    if client.is_some_and(|client| policy.addresses.iter().any(|range| range.contains(client))) {
        return Ok(AllowedAddress(()));
    }
    Err(PolicyFault::AddressNotAllowed.into())
}

/// A permit for `signer`, whose connection comes from an allowed address, when `policy` lists its key.
///
/// # Errors
/// A denial with [`PolicyFault::SigningKeyNotAllowed`].
pub fn permit_signer(
    _: AllowedAddress,
    signer: &AuthenticatedSigner,
    policy: &SignedPolicy,
) -> Result<Permit, Stop> {
    if !policy.keys.iter().any(|key| key == signer.key()) {
        return Err(PolicyFault::SigningKeyNotAllowed.into());
    }
    Ok(Permit { who: Who::Service(signer.service().clone()) })
}
