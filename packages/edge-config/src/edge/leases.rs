//! Leases: decisions that the edge may use again for a short time.

use std::time::Duration;

use super::{
    AcceptedCredential, Edge, EndsWith, Mode, Per, Policy, RateHeaders, Route, SessionPolicy, Sticky,
};

/// How an allow of a session policy may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasePolicy {
    /// The longest lifetime of a lease, 1 to 25 s.
    pub lifetime: Duration,
    /// The most requests that a lease serves, at least 1. A limit of the route may leave fewer.
    pub uses: u32,
    /// The methods of the requests that a lease may serve.
    pub methods: LeaseMethods,
    /// What happens to leases while the authorizer cannot report ended ones.
    pub on_outage: OnOutage,
}

/// The requests that a lease may serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaseMethods {
    /// GET and HEAD, which change nothing (RFC 9110 §9.2.1).
    #[default]
    Safe,
    /// Every method: a repeated change is sent on the strength of an earlier decision.
    All,
}

/// What happens to leases while the authorizer cannot report ended ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOutage {
    /// No lease is valid: every request is checked, and refused if the check fails.
    #[default]
    Deny,
    /// They stay valid for their granted time. A session that is revoked meanwhile passes until then.
    Lease,
}

/// The store of leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leases {
    /// The most leases of one listener, for all workers together; a further one replaces another.
    pub slots: u32,
}

impl Default for Leases {
    /// Enough for sixteen thousand people at once. A lease takes about 2 KB, so all of them take 32 MB. The requests of
    /// further people are checked.
    fn default() -> Self {
        Self { slots: 16_384 }
    }
}

impl SessionPolicy {
    /// Whether an allow depends on the caller alone: a policy in shadow, and a tenant that the request names, must be
    /// checked each time.
    #[must_use]
    pub fn can_lease(&self) -> bool {
        self.mode == Mode::Enforce && self.tenant.is_none() && self.accepts(AcceptedCredential::Session)
    }
}

impl Edge {
    /// How decisions on `route` may be leased, if they may. The policy must allow leases, and the lease must contain what
    /// the route's limits count by (the person, the tenant), and no answer may have to say what a limit leaves. The
    /// destination must not depend on the caller: a leased
    /// request is matched once, by the client's own headers alone. A stream that ends with its session is checked when it
    /// begins, because the check says what ends it.
    #[must_use]
    pub fn lease_of(&self, route: &Route) -> Option<&LeasePolicy> {
        let Some(Policy::Session(policy)) = self.policies.get(&route.policy) else { return None };
        let counted = |name: &String| {
            self.limits.get(name).is_some_and(|limit| {
                limit.mode == Mode::Enforce
                    && limit.headers == RateHeaders::Refusals
                    && matches!(limit.per, Per::Subject | Per::Tenant)
            })
        };
        let leasable = policy.can_lease() && !route.is_decided_late() && route.limits.iter().all(counted);
        policy.lease.as_ref().filter(|_| leasable && self.ends_with(route) == EndsWith::Nothing)
    }
}

impl Route {
    /// Whether the destination of its requests depends on what the authorizer finds out about the caller.
    #[must_use]
    pub fn is_decided_late(&self) -> bool {
        !self.canaries.iter().all(|canary| canary.when.is_chosen_by_client())
            || !self.destination.kinds.is_empty()
            || match &self.destination.sticky {
                Some(Sticky::Session | Sticky::Subject | Sticky::Tenant) => self.destination.only().is_none(),
                Some(Sticky::Cookie(_)) | None => false,
            }
    }
}
