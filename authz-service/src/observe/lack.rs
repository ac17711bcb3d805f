//! The attributes of a refused caller and those that the policy requires: for operators, never for the
//! caller.

use std::fmt;
use std::net::IpAddr;

use edge_config::edge::{Policy, RoleNames, TenantMatch};
use serde::Serialize;

use crate::decision::{Decision, DenyReason};
use crate::observe::name::cut;
use crate::policy::PolicyFault;
use crate::verdict::Verdict;
use crate::who::{Caller, Who};

/// How many words of one kind are shown: the issuer chooses the scopes, and a token has room for hundreds.
const MAX_WORDS: usize = 32;

/// The missing attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// The caller's attributes of that kind; empty when there are none.
    pub had: Vec<String>,
    /// The attributes that the policy requires.
    pub needed: Vec<String>,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let had = if self.had.is_empty() { "nothing".to_owned() } else { self.had.join(", ") };
        write!(f, "had {had}; needed {}", self.needed.join(", "))
    }
}

impl Lack {
    /// The attributes that the caller of `verdict`, at `client`, lacked. `None` when the policy was not the reason.
    #[must_use]
    pub fn of(verdict: &Verdict, client: Option<IpAddr>) -> Option<Self> {
        let Decision::Deny(DenyReason::Policy(fault)) = &verdict.decision else { return None };
        let policy = verdict.route.as_ref().map(|route| &route.policy);
        let who = &verdict.who;
        let none: &[String] = &[];
        let (role, roles, scopes, tenant) = match who {
            Who::Caller(Caller::Person(person)) => {
                (person.role, person.roles.as_slice(), person.scopes.as_slice(), person.tenant.as_ref())
            }
            Who::Caller(Caller::Client(client)) => {
                (client.role, client.roles.as_slice(), client.scopes.as_slice(), client.tenant.as_ref())
            }
            Who::Caller(Caller::Service(service)) => (None, none, none, service.tenant.as_ref()),
            Who::Anyone => (None, none, none, None),
        };
        let (had, needed) = match (policy?, fault) {
            (Policy::Session(policy), PolicyFault::RoleTooLow) => {
                (one("role", role), one("role", policy.role))
            }
            (Policy::Session(policy), PolicyFault::RoleMissing) => {
                let needed = policy.roles.as_ref();
                let quantity = match needed {
                    Some(RoleNames::Any(_)) => "one of: role",
                    Some(RoleNames::All(_)) | None => "role",
                };
                (words("role", roles), words(quantity, needed.map_or(none, RoleNames::names)))
            }
            (Policy::Session(policy), PolicyFault::ScopeMissing) => {
                (words("scope", scopes), words("scope", &policy.scopes))
            }
            (Policy::Session(policy), PolicyFault::TenantMissing | PolicyFault::TenantMismatch) => {
                let named = policy.tenant.as_ref().map(|place| match place {
                    TenantMatch::PathSegment(number) => format!("that path segment {number} names"),
                    TenantMatch::PathParameter(name) => {
                        format!("that the parameter {name} of the path names")
                    }
                    TenantMatch::Header(name) => format!("that the header {name} names"),
                });
                (one("tenant", tenant), one("tenant", named))
            }
            (Policy::Internal(policy), PolicyFault::ServiceNotAllowed) => {
                let name = match who {
                    Who::Caller(Caller::Service(service)) => Some(&service.name),
                    Who::Anyone | Who::Caller(Caller::Person(_)) | Who::Caller(Caller::Client(_)) => None,
                };
                (one("service", name), words("service", &policy.services))
            }
            (Policy::Internal(policy), PolicyFault::PermissionMissing) => {
                (words("permission", &verdict.permissions), words("permission", &policy.permissions))
            }
            (Policy::Signed(policy), PolicyFault::AddressNotAllowed) => {
                (one("address", client), words("address", &policy.addresses))
            }
            (Policy::Signed(policy), PolicyFault::SigningKeyNotAllowed) => {
                (Vec::new(), words("key", &policy.keys))
            }
            (Policy::Certificate(policy), PolicyFault::AddressNotAllowed) => {
                (one("address", client), words("address", &policy.addresses))
            }
            (Policy::Certificate(policy), PolicyFault::ServiceNotAllowed) => {
                let name = match who {
                    Who::Caller(Caller::Service(service)) => Some(&service.name),
                    Who::Anyone | Who::Caller(Caller::Person(_)) | Who::Caller(Caller::Client(_)) => None,
                };
                (one("caller", name), words("caller", &policy.callers))
            }
            (Policy::Webhook(policy), PolicyFault::AddressNotAllowed) => {
                (one("address", client), words("address", &policy.addresses))
            }
            // No other policy has this fault.
            (
                Policy::Public(_)
                | Policy::Session(_)
                | Policy::Internal(_)
                | Policy::Signed(_)
                | Policy::Webhook(_)
                | Policy::Certificate(_),
                PolicyFault::RoleTooLow
                | PolicyFault::RoleMissing
                | PolicyFault::ScopeMissing
                | PolicyFault::TenantMissing
                | PolicyFault::TenantMismatch
                | PolicyFault::ServiceNotAllowed
                | PolicyFault::PermissionMissing
                | PolicyFault::AddressNotAllowed
                | PolicyFault::SigningKeyNotAllowed,
            ) => return None,
        };
        Some(Self { had, needed })
    }
}

fn one(kind: &str, value: Option<impl fmt::Display>) -> Vec<String> {
    value.map(|value| format!("{kind} {value}")).into_iter().collect()
}

fn words(kind: &str, values: &[impl fmt::Display]) -> Vec<String> {
    let mut all: Vec<String> =
        values.iter().take(MAX_WORDS).map(|value| cut(&format!("{kind} {value}")).to_owned()).collect();
    if let Some(more) = values.len().checked_sub(MAX_WORDS).filter(|more| *more > 0) {
        all.push(format!("and {more} more"));
    }
    all
}
