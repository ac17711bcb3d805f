//! Leases: decisions that the edge may use again for a short time.

use std::time::Duration;

use super::{AcceptedCredential, Edge, Mode, Per, Policy, Route, SessionPolicy, Sticky};

/// How an allow of a session policy may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasePolicy {
    /// For how long at most, 1 to 25 s.
    pub lifetime: Duration,
    /// For how many requests at most, at least 1. A limit of the route may leave fewer.
    pub uses: u32,
    /// For requests with which methods.
    pub methods: LeaseMethods,
    /// What becomes of leases while nobody tells what ended.
    pub on_outage: OnOutage,
}

/// Which requests a lease may serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaseMethods {
    /// GET and HEAD, which change nothing (RFC 9110 §9.2.1).
    #[default]
    Safe,
    /// Every method.
    All,
}

/// What becomes of leases while the authorizer cannot be asked what ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOutage {
    /// None counts: every request is checked, and refused if nobody can.
    #[default]
    Deny,
    /// They live out the time that they were granted for. A session that is revoked meanwhile passes until then.
    Lease,
}

/// What the edge keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leases {
    /// How many leases one listener keeps, all workers together; the next one takes the place of another.
    pub slots: u32,
}

impl Default for Leases {
    /// Sixteen thousand people at once. A lease is some 2 KB, so that is 32 MB when all are taken, and whoever does
    /// not fit is checked.
    fn default() -> Self {
        Self { slots: 16_384 }
    }
}

impl SessionPolicy {
    /// Whether an allow can depend on nothing but who is calling: what is tried out, and a tenant that the request
    /// names, must be looked at each time.
    #[must_use]
    pub fn can_lease(&self) -> bool {
        self.mode == Mode::Enforce && self.tenant.is_none() && self.accepts(AcceptedCredential::Session)
    }
}

impl Edge {
    /// How decisions on `route` may be leased, if they may: its policy says so, and whatever it is limited by is
    /// known from the lease (the person, the tenant). Where a request goes must be known before the caller is: a
    /// leased request is matched once, by the client's own headers alone.
    #[must_use]
    pub fn lease_of(&self, route: &Route) -> Option<&LeasePolicy> {
        let Some(Policy::Session(policy)) = self.policies.get(&route.policy) else { return None };
        let counted = |name: &String| {
            self.limits.get(name).is_some_and(|limit| {
                limit.mode == Mode::Enforce && matches!(limit.per, Per::Subject | Per::Tenant)
            })
        };
        let leasable = policy.can_lease() && !route.is_decided_late() && route.limits.iter().all(counted);
        policy.lease.as_ref().filter(|_| leasable)
    }
}

impl Route {
    /// Whether where its requests go depends on what the authorizer finds out about the caller.
    #[must_use]
    pub fn is_decided_late(&self) -> bool {
        !self.canaries.is_empty()
            || match &self.destination.sticky {
                Some(Sticky::Session | Sticky::Tenant) => self.destination.only().is_none(),
                Some(Sticky::Cookie(_)) | None => false,
            }
    }
}
