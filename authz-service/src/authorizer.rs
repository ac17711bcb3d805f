//! Runs the chain of stages, from a check to a decision.
//!
//! | step | stage | stops with |
//! |---|---|---|
//! | 1 | [`snapshot`](crate::snapshot): the route that Envoy matched, in Envoy's revision | 503 |
//! | 2 | [`limit`](crate::limit): an address known to be over a limit | 429 |
//! | 3 | [`credential`](crate::credential): the caller | 401, 503 |
//! | 4 | [`session`](crate::session): the session was not ended | 401, 503 |
//! | 5 | [`tenant`](crate::tenant): the tenant is active | 403, 503 |
//! | 6 | [`policy`](crate::policy): the caller satisfies the policy | 403 |
//! | 7 | [`lease`](crate::lease): whether the edge may use the answer again, and how often | never |
//! | 8 | [`limit`](crate::limit): the caller's limits, charged with the uses of the lease | 429 |
//! | 9 | [`identity_headers`](crate::identity_headers): what the backend learns about the caller | 503 |
//! | 10 | [`lease`](crate::lease): the grant, with those headers | never |
//!
//! A request that steps 3 to 6 refuse is charged to the limits by address instead of step 8. Public routes have
//! only steps 1, 2, 8 and 9, and step 4 where their policy refuses ended sessions. Routes of services have no step 4
//! (the platform's own
//! programs) or no steps 4 and 5 (signed requests, webhooks).
//! Each stage takes the value that only the stage before it can make, so no stage can be skipped.
//!
//! The authorizer has no clock of its own: the same check at the same moment over the same sources has one
//! decision.

mod permit;

use std::sync::Arc;

use ::lease::Ticket;
use clock::UnixTime;
use edge_config::edge::{AcceptedCredential, Policy};
use tokio::time::Instant;

use crate::check::CheckInput;
use crate::credential::api_key::{self, ApiKeyRing};
use crate::credential::assertion::Assertions;
use crate::credential::cache::TokenCache;
use crate::credential::issuers::IssuerKeys;
use crate::credential::legacy::LegacySessions;
use crate::credential::opaque::OpaqueTokens;
use crate::credential::signed::SignedRequests;
use crate::credential::webhook::Webhooks;
use crate::decision::{Decision, DenyReason};
use crate::failure::Stop;
use crate::identity_headers::{HeaderEdits, IdentityWriter};
use crate::lease::Leases;
use crate::lease::grant::{self, Granted, Plan, Rules};
use crate::limit::answer::{self, Exceeded, Reported};
use crate::limit::quotas::{self, Payer};
use crate::limit::{Limits, Spent};
use crate::policy::Permit;
use crate::session::{revocations::Revocations, tenant_changes::TenantChanges};
use crate::shadow::Shadows;
use crate::snapshot::{Located, Snapshots};
use crate::streams::Judges;
use crate::tenant::Tenants;
use crate::verdict::{self, Verdict, last_words};
use crate::who::{Caller, KeyTerms, Who};

/// Everything that a decision depends on.
#[derive(Debug)]
pub struct Authorizer {
    /// The edge file.
    pub snapshots: Arc<Snapshots>,
    /// Keys of access tokens.
    pub keys: Arc<IssuerKeys>,
    /// The endpoints that describe opaque tokens.
    pub opaque: OpaqueTokens,
    /// Tokens that were verified before.
    pub tokens: TokenCache,
    /// API keys; absent when the edge has none.
    pub api_keys: Option<Arc<ApiKeyRing>>,
    /// The verifier of legacy sessions; absent when the edge accepts none.
    pub legacy: Option<Arc<LegacySessions>>,
    /// Keys of services.
    pub assertions: Arc<Assertions>,
    /// The verifier of signed requests; absent when the edge has no `signatures`.
    pub signed: Option<SignedRequests>,
    /// The verifier of webhooks; absent when the edge has none.
    pub webhooks: Option<Webhooks>,
    /// Revoked sessions; absent when the edge lists none.
    pub revocations: Option<Arc<Revocations>>,
    /// Tenants; absent when the edge has no directory.
    pub tenants: Option<Tenants>,
    /// The last tenant of each session.
    pub tenant_changes: TenantChanges,
    /// The limits.
    pub limits: Limits,
    /// The writer of identity headers.
    pub identities: IdentityWriter,
    /// The leases.
    pub leases: Leases,
}

impl Authorizer {
    /// Decides about `input` at `now`.
    #[must_use]
    pub async fn decide(&self, input: &CheckInput<'_>, now: UnixTime) -> Verdict {
        match self.snapshots.locate(input) {
            Ok(located) => Walk::new(self, &located, input, now).verdict().await,
            Err(failure) => {
                // The answers are the newest known ones for that route name; the decision is not guessed.
                let answers = self.snapshots.answers(input.route).unwrap_or_else(last_words);
                Verdict::failed(failure, answers)
            }
        }
    }

    /// Whether every invalidation of a session or tenant until [`FRESH`](crate::ended::FRESH) before this
    /// moment is known here: `now` by the wall clock, `at` by the machine's own.
    #[must_use]
    pub fn is_fresh(&self, now: UnixTime, at: Instant) -> bool {
        self.revocations.as_ref().is_none_or(|revocations| revocations.is_fresh(now, at))
            && self.tenants.as_ref().is_none_or(|tenants| tenants.is_fresh(now, at))
    }

    /// The sources that say whether the facts behind a stream still hold.
    #[must_use]
    pub fn judges(&self) -> Judges<'_> {
        Judges {
            keys: &self.keys,
            api_keys: self.api_keys.as_deref(),
            revocations: self.revocations.as_deref(),
            tenants: self.tenants.as_ref(),
        }
    }
}

/// The traces of a request, whatever the decision.
#[derive(Debug)]
struct Trail {
    /// The caller, as far as verified.
    who: Who,
    /// The permissions of the service that a policy refused for a missing one.
    permissions: Vec<String>,
    /// The kind of the caller's credential: verified, or only recognised on a public route.
    kind: Option<AcceptedCredential>,
    /// What the caller's API key says, if it has one.
    key: Option<KeyTerms>,
    /// The refusals that only a shadow made.
    shadows: Shadows,
    /// The limits that the request exceeded.
    exceeded: Option<Exceeded>,
    /// What ends the request while it is open.
    stream: Option<Ticket>,
}

/// A permit within the limits.
#[derive(Debug)]
struct Within {
    permit: Permit,
    /// The possible lease, with the uses that the limits granted in advance.
    planned: Option<(Plan, u64)>,
    /// The limits that the answer describes.
    announced: Vec<Reported>,
}

/// One request in the chain of stages.
struct Walk<'a> {
    authorizer: &'a Authorizer,
    located: &'a Located,
    input: &'a CheckInput<'a>,
    now: UnixTime,
    trail: Trail,
}

impl<'a> Walk<'a> {
    fn new(
        authorizer: &'a Authorizer,
        located: &'a Located,
        input: &'a CheckInput<'a>,
        now: UnixTime,
    ) -> Self {
        let shadows = Shadows::default();
        let (permissions, key) = (Vec::new(), None);
        let trail =
            Trail { who: Who::Anyone, permissions, kind: None, key, shadows, exceeded: None, stream: None };
        Self { authorizer, located, input, now, trail }
    }

    async fn verdict(mut self) -> Verdict {
        let (decision, lease) = match self.allow().await {
            Ok((edits, lease)) => (Decision::Allow(edits), lease),
            Err(Stop::Denied(reason)) => (Decision::Deny(reason), None),
            Err(Stop::Failed(failure)) => (Decision::Fail(failure), None),
        };
        let route = self.located.route();
        let sign_in = verdict::sign_in(&decision, route, self.input);
        let Trail { who, permissions, kind, key, shadows, exceeded, stream } = self.trail;
        Verdict {
            decision,
            route: Some(Arc::clone(route)),
            who,
            permissions,
            kind,
            key,
            answers: Arc::clone(&route.answers),
            exceeded,
            shadows,
            lease,
            stream,
            sign_in,
        }
    }

    /// The headers of an allow, and its lease if there is one.
    async fn allow(&mut self) -> Result<(HeaderEdits, Option<Granted>), Stop<DenyReason>> {
        let Within { permit, planned, announced } = self.within_limits().await?;
        let (route, names) = (self.located.route(), &self.located.snapshot().identity);
        let mut edits = self.authorizer.identities.write(&permit, names, &route.audience, self.now)?;
        edits.remove_keys = key_headers(self.located, self.input);
        if !announced.is_empty() {
            edits.answer = answer::fields(&announced).into();
        }
        edits.mark(route.marks, permit.who(), self.trail.kind);
        let lease = match (planned, permit.who()) {
            (Some((plan, uses)), Who::Caller(Caller::Person(person))) => {
                grant::grant(&plan, uses, &edits, person, self.input, self.now)
            }
            (None, _)
            | (Some(_), Who::Anyone | Who::Caller(Caller::Service(_)) | Who::Caller(Caller::Client(_))) => {
                None
            }
        };
        Ok((edits, lease))
    }

    /// The permit, if the limits allow it too. Refused requests count against the address's limits.
    async fn within_limits(&mut self) -> Result<Within, Stop<DenyReason>> {
        let Self { authorizer, located, input, now, .. } = *self;
        let (limits, route) = (&authorizer.limits, located.route());
        limits.before(route, input, now).map_err(|exceeded| self.exceed(exceeded))?;
        match self.permit().await {
            Ok(permit) => {
                let plan = self.plan(&permit);
                let wanted = plan.map_or(0, |plan| u64::from(plan.uses));
                let Trail { key, shadows, .. } = &mut self.trail;
                let of_tenant = quotas::plan_of_tenant(route, permit.who(), authorizer.tenants.as_ref(), now);
                let tenant_plan = of_tenant.as_deref();
                let payer = Payer { who: permit.who(), key: key.as_ref(), tenant_plan, more: wanted };
                let Spent { taken, announced } = limits
                    .charge(route, input, payer, now, shadows)
                    .await
                    .map_err(|exceeded| self.exceed(exceeded))?;
                Ok(Within { permit, planned: plan.map(|plan| (plan, taken)), announced })
            }
            // An internal route stays invisible from here, however often a client tries.
            Err(stop @ (Stop::Denied(DenyReason::InternalOnly) | Stop::Failed(_))) => Err(stop),
            Err(stop @ Stop::Denied(_)) => {
                limits
                    .charge_refused(route, input, now, &mut self.trail.shadows)
                    .await
                    .map_err(|exceeded| self.exceed(exceeded))?;
                Err(stop)
            }
        }
    }

    fn exceed(&mut self, exceeded: Exceeded) -> Stop<DenyReason> {
        self.trail.exceeded = Some(exceeded);
        DenyReason::RateLimited.into()
    }

    /// The lease that `permit` could become.
    fn plan(&self, permit: &Permit) -> Option<Plan> {
        let Self { authorizer, located, input, now, trail } = self;
        let (Some(lease), Policy::Session(policy)) = (&located.route().lease, &located.route().policy) else {
            return None;
        };
        if !authorizer.leases.on {
            return None;
        }
        let at = Instant::now();
        let rules = Rules { snapshot: located.snapshot(), policy, lease };
        let plan = grant::plan(rules, input, permit, &trail.shadows, *now, at);
        plan.filter(|_| authorizer.is_fresh(*now, at))
    }
}

/// The headers with API keys, where the policy accepts one: backends never receive it.
fn key_headers(located: &Located, input: &CheckInput<'_>) -> Vec<String> {
    let (Policy::Session(policy), Some(rules)) = (&located.route().policy, &located.snapshot().api_keys)
    else {
        return Vec::new();
    };
    if !policy.accepts(AcceptedCredential::ApiKey) {
        return Vec::new();
    }
    api_key::headers_with_keys(rules, input).map(str::to_owned).collect()
}
