//! Decides what a verified caller may do, by the policy of the route.

mod reading;

use std::net::IpAddr;
use std::sync::Arc;

use edge_config::edge::{
    CertificatePolicy, Cidr, InternalPolicy, Mode, SessionPolicy, SignedPolicy, TenantMatch,
};
use identity::{Role, TenantId};
use tokio::time::Instant;

use crate::check::CheckInput;
use crate::credential::certificate::AuthenticatedHolder;
use crate::credential::presented::Proof;
use crate::credential::signed::AuthenticatedSigner;
use crate::credential::webhook::AuthenticatedSender;
use crate::shadow::{Shadow, Shadows};
use crate::snapshot::Route;
use crate::tenant::{TenantClient, TenantMember, TenantService};
use crate::who::{Caller, Who};

/// Why a verified caller is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyFault {
    /// The level is lower than the policy requires.
    RoleTooLow,
    /// None, or not all, of the roles that the policy requires.
    RoleMissing,
    /// A scope that the policy requires is missing.
    ScopeMissing,
    /// The caller acts for no tenant, and the policy compares tenants.
    TenantMissing,
    /// The request concerns another tenant than the caller's, or names none.
    TenantMismatch,
    /// The policy does not list the service.
    ServiceNotAllowed,
    /// A permission that the policy requires is missing.
    PermissionMissing,
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
            Self::RoleMissing => "role_missing",
            Self::ScopeMissing => "scope_missing",
            Self::TenantMissing => "tenant_missing",
            Self::TenantMismatch => "tenant_mismatch",
            Self::ServiceNotAllowed => "service_not_allowed",
            Self::PermissionMissing => "permission_missing",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::SigningKeyNotAllowed => "signing_key_not_allowed",
        }
    }
}

/// A permit for one request. Only this module makes one, and only for callers that the earlier stages
/// admitted.
#[derive(Clone, Debug)]
pub struct Permit {
    who: Who,
    lasting: Option<Lasting>,
}

/// The facts behind a permit that outlast the request: the access token of a person, and their tenant's
/// state.
#[derive(Clone, Copy, Debug)]
pub struct Lasting {
    /// The token.
    pub token: Proof,
    /// How long the tenant's state is valid without further news; absent when it is valid for as long as its
    /// directory is fresh.
    pub tenant_until: Option<Instant>,
}

impl Permit {
    /// The facts behind it that outlast the request; `None` when the next request must be checked again.
    #[must_use]
    pub const fn lasting(&self) -> Option<Lasting> {
        self.lasting
    }

    /// The caller.
    #[must_use]
    pub const fn who(&self) -> &Who {
        &self.who
    }
}

/// A permit for any caller, on a route whose policy is public.
#[must_use]
pub const fn permit_anyone() -> Permit {
    Permit { who: Who::Anyone, lasting: None }
}

/// A permit for `member`, when they satisfy `policy`, the policy of `route`. A policy in shadow gives it
/// anyway and notes in `shadows` the refusal. Only the checks of this stage can be in shadow: the caller,
/// their session and their tenant were checked before.
///
/// # Errors
/// [`PolicyFault`].
pub fn permit_person(
    member: TenantMember,
    policy: &SessionPolicy,
    route: &Route,
    input: &CheckInput<'_>,
    shadows: &mut Shadows,
) -> Result<Permit, PolicyFault> {
    let tenant_until = member.until();
    let session = member.into_session();
    let lasting = session.token().map(|token| Lasting { token, tenant_until });
    let person = session.into_person();
    let asked = Asked {
        role: person.role,
        roles: &person.roles,
        scopes: &person.scopes,
        tenant: person.tenant.as_ref(),
    };
    settle(asked, policy, route, input, shadows)?;
    Ok(Permit { who: Who::Caller(Caller::Person(person)), lasting })
}

/// A permit for `client`, by the same rules as for a person. A client without a role ranks below every role.
///
/// # Errors
/// [`PolicyFault`].
pub fn permit_client(
    client: &TenantClient,
    policy: &SessionPolicy,
    route: &Route,
    input: &CheckInput<'_>,
    shadows: &mut Shadows,
) -> Result<Permit, PolicyFault> {
    let client = client.client();
    let asked = Asked {
        role: client.role,
        roles: &client.roles,
        scopes: &client.scopes,
        tenant: client.tenant.as_ref(),
    };
    settle(asked, policy, route, input, shadows)?;
    Ok(Permit { who: Who::Caller(Caller::Client(Arc::clone(client))), lasting: None })
}

/// The attributes of a caller that a session policy checks.
#[derive(Clone, Copy, Debug)]
struct Asked<'c> {
    role: Option<Role>,
    roles: &'c [String],
    scopes: &'c [String],
    tenant: Option<&'c TenantId>,
}

/// Refuses the caller, or only notes the refusal when `policy` is in shadow.
fn settle(
    asked: Asked<'_>,
    policy: &SessionPolicy,
    route: &Route,
    input: &CheckInput<'_>,
    shadows: &mut Shadows,
) -> Result<(), PolicyFault> {
    match (fault(asked, policy, input), policy.mode) {
        (None, _) => Ok(()),
        (Some(fault), Mode::Enforce) => Err(fault),
        (Some(fault), Mode::Shadow) => {
            shadows.would_refuse(Shadow::Policy(Arc::clone(&route.policy_name)), fault.code());
            Ok(())
        }
    }
}

/// The first fault in the order level, roles, scopes, tenant.
fn fault(asked: Asked<'_>, policy: &SessionPolicy, input: &CheckInput<'_>) -> Option<PolicyFault> {
    let SessionPolicy {
        accept: _,
        bearer_beside_cookie: _,
        role,
        roles,
        scopes,
        tenant,
        mode: _,
        lease: _,
        sign_in: _,
    } = policy;
    // A missing role ranks below every required role.
    if role.is_some_and(|required| asked.role.is_none_or(|role| role < required)) {
        return Some(PolicyFault::RoleTooLow);
    }
    if roles.as_ref().is_some_and(|required| !required.fit(asked.roles)) {
        return Some(PolicyFault::RoleMissing);
    }
    if !scopes.iter().all(|required| asked.scopes.contains(required)) {
        return Some(PolicyFault::ScopeMissing);
    }
    let place = tenant.as_ref()?;
    let Some(tenant) = asked.tenant else { return Some(PolicyFault::TenantMissing) };
    (named_tenant(place, input).as_ref() != Some(tenant)).then_some(PolicyFault::TenantMismatch)
}

/// The tenant that `input` names. Only one header line counts. A value that a backend might read differently names no
/// tenant.
fn named_tenant(place: &TenantMatch, input: &CheckInput<'_>) -> Option<TenantId> {
    match place {
        TenantMatch::PathSegment(number) => {
            let path = reading::only(input.target)?;
            in_segment(path.strip_prefix('/')?.split('/').nth(number.checked_sub(1)?)?)
        }
        // A snapshot has the position instead.
        TenantMatch::PathParameter(_) => None,
        TenantMatch::Header(name) => {
            let mut lines = input.values(name);
            let (Some(line), None) = (lines.next(), lines.next()) else { return None };
            std::str::from_utf8(line).ok()?.parse().ok()
        }
    }
}

/// The id in a segment of a path, with percent-encoded bytes decoded once, so that `acme%2Dcorp` is `acme-corp`.
///
/// Some segments mean one thing to one backend and another to the next, and so name no tenant: a separator (`/`, `\`) or a
/// percent sign behind the encoding, which a second decoding would read again; a `;`, behind which some backends see
/// parameters; `.` and `..`; an encoding that is not whole.
fn in_segment(segment: &str) -> Option<TenantId> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit =
                    || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                (digit()? << 4) | digit()?
            }
            // U+FFFD stands for bytes that are not known here.
            byte => byte,
        });
    }
    let text = std::str::from_utf8(&decoded).ok()?;
    let is_ambiguous = matches!(text, "." | "..") || text.contains(['/', '\\', '%', ';', '\u{fffd}']);
    if is_ambiguous { None } else { text.parse().ok() }
}

/// A permit for `service`, when `policy` lists it. An empty list admits every service of the edge file; no
/// other service can be authenticated.
///
/// # Errors
/// [`PolicyFault`].
pub fn permit_service(service: &TenantService, policy: &InternalPolicy) -> Result<Permit, PolicyFault> {
    let InternalPolicy { services, permissions } = policy;
    let service = service.service();
    if !services.is_empty() && !services.contains(service.name()) {
        return Err(PolicyFault::ServiceNotAllowed);
    }
    if !permissions.iter().all(|required| service.permissions().contains(required)) {
        return Err(PolicyFault::PermissionMissing);
    }
    Ok(Permit { who: Who::Caller(Caller::Service(service.service().clone())), lasting: None })
}

/// A connection from an address that a policy lists. Only [`admit_address`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct AllowedAddress(());

/// Admits a connection from `client` when `addresses` lists its address. An unknown address is in no list.
///
/// # Errors
/// [`PolicyFault::AddressNotAllowed`].
pub fn admit_address(client: Option<IpAddr>, addresses: &[Cidr]) -> Result<AllowedAddress, PolicyFault> {
    if client.is_some_and(|client| addresses.iter().any(|range| range.contains(client))) {
        return Ok(AllowedAddress(()));
    }
    Err(PolicyFault::AddressNotAllowed)
}

/// A permit for `signer`, whose connection comes from an allowed address, when `policy` lists its key.
///
/// # Errors
/// [`PolicyFault::SigningKeyNotAllowed`].
pub fn permit_signer(
    _: AllowedAddress,
    signer: &AuthenticatedSigner,
    policy: &SignedPolicy,
) -> Result<Permit, PolicyFault> {
    if !policy.keys.iter().any(|key| key == signer.key()) {
        return Err(PolicyFault::SigningKeyNotAllowed);
    }
    Ok(Permit { who: Who::Caller(Caller::Service(signer.service().clone().into())), lasting: None })
}

/// A permit for the `holder` of a certificate, when `policy` lists it. An empty list admits every caller of the edge file; no
/// other can be authenticated.
///
/// # Errors
/// [`PolicyFault::ServiceNotAllowed`].
pub fn permit_holder(
    holder: &AuthenticatedHolder,
    policy: &CertificatePolicy,
) -> Result<Permit, PolicyFault> {
    let CertificatePolicy { callers, addresses: _ } = policy;
    if !callers.is_empty() && !callers.iter().any(|caller| caller == holder.name().as_str()) {
        return Err(PolicyFault::ServiceNotAllowed);
    }
    Ok(Permit { who: Who::Caller(Caller::Service(holder.name().clone().into())), lasting: None })
}

/// A permit for `sender` of a webhook. The address was admitted before where the policy lists addresses.
#[must_use]
pub fn permit_sender(sender: &AuthenticatedSender) -> Permit {
    Permit { who: Who::Caller(Caller::Service(sender.name().clone().into())), lasting: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_names_a_tenant_by_its_decoded_bytes() {
        let named = |text: &str| in_segment(text).map(|tenant| tenant.to_string());
        for (segment, tenant) in [
            ("acme-corp", "acme-corp"),
            ("acme%2dcorp", "acme-corp"),
            ("acme%2Dcorp", "acme-corp"),
            ("%61cme", "acme"),
            ("Acme", "Acme"),
            ("a+b", "a+b"),
            ("a%20b", "a b"),
            ("z%C3%BCrich", "zürich"),
            ("zürich", "zürich"),
            ("auth0%7C5f7c", "auth0|5f7c"),
            ("0192D3C0-0000-7000-8000-000000000001", "0192D3C0-0000-7000-8000-000000000001"),
        ] {
            assert_eq!(named(segment).as_deref(), Some(tenant), "{segment}");
        }
        for segment in [
            "",
            ".",
            "..",
            "%2e",
            "%2E.",
            "a%2Fb",
            "a%2fb",
            "a%5Cb",
            "a\\b",
            "acme%",
            "acme%2",
            "acme%zz",
            "acme%2",
            "%2561cme",
            "acme;v=1",
            "acme%3Bv",
            "acme%00",
            "acme%0A",
            "%20acme",
            "acme%20",
            "%ff",
            "a\u{fffd}b",
            "a%EF%BF%BDb",
            "acme%+1",
            "%C3%28",
        ] {
            assert_eq!(named(segment), None, "{segment:?}");
        }
    }
}
