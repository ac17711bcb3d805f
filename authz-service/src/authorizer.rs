//! Runs the chain of stages, from a check to a decision.
//!
//! | step | stage | stops with |
//! |---|---|---|
//! | 1 | [`snapshot`](crate::snapshot): the route that Envoy matched, in Envoy's revision | 503 |
//! | 2 | [`limit`](crate::limit): an address known to be over a limit | 429 |
//! | 3 | [`credential`](crate::credential): the caller | 401, 503 |
//! | 4 | [`session`]: the session was not ended | 401, 503 |
//! | 5 | [`tenant`]: the tenant is active | 403, 503 |
//! | 6 | [`policy`]: the caller satisfies the policy | 403 |
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

use std::sync::Arc;

use clock::UnixTime;
use edge_config::edge::{
    AcceptedCredential, BesideCookie, Exposure, InternalPolicy, Policy, PublicPolicy, SessionPolicy,
    SignedPolicy, WebhookPolicy,
};
use tokio::time::Instant;

use crate::check::CheckInput;
use crate::credential::accept::{Credentials, Principal, Proved};
use crate::credential::api_key::{self, ApiKeyCredentials, ApiKeyRing};
use crate::credential::assertion::{self, Assertions};
use crate::credential::cache::TokenCache;
use crate::credential::cookie;
use crate::credential::issuers::IssuerKeys;
use crate::credential::legacy::{LegacyCredentials, LegacySessions};
use crate::credential::presented::Presented;
use crate::credential::recognise::{recognise, unclear};
use crate::credential::session::SessionCredentials;
use crate::credential::signed::SignedRequests;
use crate::credential::webhook::Webhooks;
use crate::decision::{Decision, DenyReason};
use crate::failure::{Failure, Stop};
use crate::identity_headers::{HeaderEdits, IdentityWriter};
use crate::lease::Leases;
use crate::lease::grant::{self, Granted, Plan, Rules};
use crate::limit::answer::{self, Exceeded, Reported};
use crate::limit::quotas::Payer;
use crate::limit::{Limits, Spent};
use crate::policy::{self, Permit};
use crate::session::{self, revocations::Revocations, tenant_changes::TenantChanges};
use crate::shadow::Shadows;
use crate::snapshot::{Located, Snapshots};
use crate::tenant::{self, Tenants};
use crate::verdict::{Verdict, last_words};
use crate::who::{Caller, KeyTerms, Who};

/// Everything that a decision depends on.
#[derive(Debug)]
pub struct Authorizer {
    /// The edge file.
    pub snapshots: Arc<Snapshots>,
    /// Keys of access tokens.
    pub keys: Arc<IssuerKeys>,
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

    fn credentials<'a>(
        &'a self,
        policy: &SessionPolicy,
        located: &'a Located,
        input: &CheckInput<'_>,
    ) -> Credentials<'a> {
        let snapshot = located.snapshot();
        let (sessions, legacy) = (snapshot.sessions.as_ref(), snapshot.legacy_sessions.as_ref());
        let one_cookie =
            sessions.zip(legacy).is_some_and(|(sessions, legacy)| sessions.cookie == legacy.cookie);
        let shares_cookie = one_cookie
            && policy.accepts(AcceptedCredential::Session)
            && policy.accepts(AcceptedCredential::LegacySession);
        let in_cookie = |name: &str| cookie::count(&input.cookies(), name.as_bytes()) > 0;
        let has_cookie = || {
            let session = sessions.filter(|_| policy.accepts(AcceptedCredential::Session));
            let legacy = legacy.filter(|_| policy.accepts(AcceptedCredential::LegacySession));
            session.is_some_and(|rules| in_cookie(&rules.cookie) || cookie::has_part(&input.cookies(), rules))
                || legacy.is_some_and(|rules| in_cookie(&rules.cookie))
        };
        let ignores_bearer = policy.bearer_beside_cookie == BesideCookie::Ignore && has_cookie();
        Credentials {
            sessions: sessions.map(|rules| SessionCredentials {
                rules,
                bearer: rules.bearer && !ignores_bearer,
                keys: &self.keys,
                cache: &self.tokens,
                shares_cookie,
            }),
            api_keys: snapshot
                .api_keys
                .as_ref()
                .zip(self.api_keys.as_deref())
                .map(|(rules, keys)| ApiKeyCredentials { rules, keys }),
            legacy: legacy.zip(self.legacy.as_deref()).map(|(rules, verifier)| LegacyCredentials {
                rules,
                sessions: verifier,
                shares_cookie,
                reading: sessions.filter(|_| shares_cookie).map(|rules| rules.reading).unwrap_or_default(),
            }),
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
        let trail = Trail { who: Who::Anyone, permissions, kind: None, key, shadows, exceeded: None };
        Self { authorizer, located, input, now, trail }
    }

    async fn verdict(mut self) -> Verdict {
        let (decision, lease) = match self.allow().await {
            Ok((edits, lease)) => (Decision::Allow(edits), lease),
            Err(Stop::Denied(reason)) => (Decision::Deny(reason), None),
            Err(Stop::Failed(failure)) => (Decision::Fail(failure), None),
        };
        let route = self.located.route();
        let Trail { who, permissions, kind, key, shadows, exceeded } = self.trail;
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
                let payer = Payer { who: permit.who(), key: key.as_ref(), more: wanted };
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

    async fn permit(&mut self) -> Result<Permit, Stop<DenyReason>> {
        match &self.located.route().policy {
            Policy::Public(policy) => self.permit_anyone(*policy),
            Policy::Session(policy) => self.permit_person(policy).await,
            Policy::Internal(policy) => self.permit_service(policy).await,
            Policy::Signed(policy) => self.permit_signer(policy).await,
            Policy::Webhook(policy) => self.permit_sender(policy).await,
        }
    }

    /// Envoy sends checks for a public route when it has limits, tells kinds of sessions apart, or refuses ended ones.
    fn permit_anyone(&mut self, policy: PublicPolicy) -> Result<Permit, Stop<DenyReason>> {
        let Self { authorizer, located, input, now, .. } = *self;
        if policy.refuse_ended || located.route().has_kinds {
            let snapshot = located.snapshot();
            let recognised = recognise(input, snapshot.sessions.as_ref(), snapshot.legacy_sessions.as_ref());
            self.trail.kind = recognised.as_ref().map(|recognised| recognised.kind);
            if policy.refuse_ended
                && let Some(fault) =
                    unclear(input, snapshot.sessions.as_ref(), snapshot.legacy_sessions.as_ref())
            {
                return Err(Stop::Denied(DenyReason::Credential(fault)));
            }
            if policy.refuse_ended
                && let Some(claimed) = recognised.and_then(|recognised| recognised.claimed)
            {
                session::refuse_ended(&claimed, authorizer.revocations.as_deref(), now)?;
            }
        }
        Ok(policy::permit_anyone())
    }

    async fn permit_person(&mut self, policy: &SessionPolicy) -> Result<Permit, Stop<DenyReason>> {
        let Self { authorizer, located, input, now, .. } = *self;
        let (route, tenants) = (located.route(), authorizer.tenants.as_ref());
        let credentials = authorizer.credentials(policy, located, input);
        let Proved { principal, kind } = verified(credentials.present(policy.accepted(), input, now).await?)?;
        self.trail.kind = Some(kind);
        let authenticated = match principal {
            Principal::Person(person) => person,
            Principal::Client(client) => {
                self.trail.who = Who::Caller(Caller::Client(Arc::clone(client.client())));
                self.trail.key = Some(client.key().clone());
                let member = tenant::admit_client(&client, tenants, now).await?;
                return Ok(policy::permit_client(&member, policy, route, input, &mut self.trail.shadows)?);
            }
        };
        self.trail.who = Who::Caller(Caller::Person(Arc::clone(authenticated.person())));
        let live = session::admit(&authenticated, authorizer.revocations.as_deref(), now)?;
        authorizer.tenant_changes.note(live.person());
        let member = tenant::admit(live, tenants, now).await?;
        Ok(policy::permit_person(member, policy, route, input, &mut self.trail.shadows)?)
    }

    async fn permit_service(&mut self, policy: &InternalPolicy) -> Result<Permit, Stop<DenyReason>> {
        let Self { authorizer, located, input, now, .. } = *self;
        // Envoy and the edge file must agree that this listener is internal.
        match (input.exposure, located.route().exposure) {
            (Exposure::Internal, Exposure::Internal) => {}
            (Exposure::Public, _) | (_, Exposure::Public) => return Err(DenyReason::InternalOnly.into()),
        }
        let service = verified(assertion::present(&authorizer.assertions, input, now)?)?;
        self.trail.who = Who::Caller(Caller::Service(service.service().clone()));
        let service = tenant::admit_service(service, authorizer.tenants.as_ref(), now).await?;
        let permit = policy::permit_service(&service, policy);
        if permit.is_err() {
            // For the operator: the record names the missing permission beside these.
            self.trail.permissions = service.service().permissions().to_vec();
        }
        Ok(permit?)
    }

    async fn permit_signer(&mut self, policy: &SignedPolicy) -> Result<Permit, Stop<DenyReason>> {
        let Self { authorizer, input, now, .. } = *self;
        // The address comes first: from another address, a client cannot learn whether a signature is valid,
        // or use it up.
        let address = policy::admit_address(input.client, &policy.addresses)?;
        // `edge_config` refuses a signed policy without `signatures`.
        let signed = authorizer.signed.as_ref().ok_or(Failure::SigningKeysUnavailable)?;
        let signer = verified(signed.present(input, now).await?)?;
        self.trail.who = Who::Caller(Caller::Service(signer.service().clone().into()));
        Ok(policy::permit_signer(address, &signer, policy)?)
    }

    async fn permit_sender(&mut self, policy: &WebhookPolicy) -> Result<Permit, Stop<DenyReason>> {
        let Self { authorizer, located, input, now, .. } = *self;
        // First, so that a caller from elsewhere does not learn whether a signature is right.
        if !policy.addresses.is_empty() {
            let _ = policy::admit_address(input.client, &policy.addresses)?;
        }
        // `edge_config` refuses a policy of a webhook that the file does not describe.
        let rules = located.snapshot().webhooks.get(&policy.of).ok_or(Failure::WebhookSecretsUnavailable)?;
        let webhooks = authorizer.webhooks.as_ref().ok_or(Failure::WebhookSecretsUnavailable)?;
        let sender = verified(webhooks.present(&policy.of, rules, input, now).await?)?;
        self.trail.who = Who::Caller(Caller::Service(sender.name().clone().into()));
        Ok(policy::permit_sender(&sender))
    }
}

/// The caller that a credential verified.
fn verified<T>(presented: Presented<T>) -> Result<T, DenyReason> {
    match presented {
        Presented::Verified(caller) => Ok(caller),
        Presented::NotOffered => Err(DenyReason::NoCredential),
        Presented::Failed(fault) => Err(DenyReason::Credential(fault)),
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
