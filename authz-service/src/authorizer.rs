//! The chain of stages, from a question to a decision.
//!
//! Without a clock of its own: the same question at the same moment over the same sources has one decision.

use std::sync::Arc;

use clock::UnixTime;
use edge_config::edge::{
    AcceptedCredential, Answer, Answers, Exposure, InternalPolicy, Policy, SessionPolicy, SignedPolicy,
};
use tokio::time::Instant;

use crate::aside::Aside;
use crate::check::CheckInput;
use crate::credential::accept::{Credentials, Principal};
use crate::credential::api_key::{ApiKeyCredentials, ApiKeyRing};
use crate::credential::assertion::Assertions;
use crate::credential::cache::TokenCache;
use crate::credential::issuers::IssuerKeys;
use crate::credential::legacy::{LegacyCredentials, LegacySessions};
use crate::credential::signed::SignedRequests;
use crate::credential::{Presented, SessionCredentials, present_service};
use crate::decision::{AnswerKind, Decision, DenyReason, Failure, Stop};
use crate::identity_headers::IdentityWriter;
use crate::lease::grant::{self, Granted, Plan, Rules};
use crate::lease::{self, Leases};
use crate::limit::Limits;
use crate::policy::{self, Permit, Who};
use crate::session::{self, revocations::Revocations, tenant_changes::TenantChanges};
use crate::snapshot::{Located, Route, Snapshots};
use crate::tenant::{self, Tenants};

/// Everything that a decision asks.
#[derive(Debug)]
pub struct Authorizer {
    /// The edge file.
    pub snapshots: Arc<Snapshots>,
    /// Keys of access tokens.
    pub keys: Arc<IssuerKeys>,
    /// Tokens that verified before.
    pub tokens: TokenCache,
    /// API keys; absent when the edge has none.
    pub api_keys: Option<Arc<ApiKeyRing>>,
    /// Who knows the legacy's sessions; absent when the edge believes none.
    pub legacy: Option<Arc<LegacySessions>>,
    /// Keys of services.
    pub assertions: Arc<Assertions>,
    /// Signed requests; absent when the edge has no `signatures`.
    pub signed: Option<SignedRequests>,
    /// Revoked sessions; absent when the edge lists none.
    pub revocations: Option<Arc<Revocations>>,
    /// Tenants; absent when the edge has no directory.
    pub tenants: Option<Tenants>,
    /// Which tenant each session was last seen with.
    pub tenant_changes: TenantChanges,
    /// How often.
    pub limits: Limits,
    /// Identity headers.
    pub identities: IdentityWriter,
    /// Which allows may be used again.
    pub leases: Leases,
}

/// A decision with all that its answer and its telling need.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What was decided.
    pub decision: Decision,
    /// The route, when it is known.
    pub route: Option<Arc<Route>>,
    /// Whom the request was for, as far as that was proved before the decision fell.
    pub who: Who,
    /// The words for a refusal.
    pub answers: Arc<Answers>,
    /// What was noticed beside the decision.
    pub aside: Aside,
    /// How an allow may be used again, if it may.
    pub lease: Option<Granted>,
}

impl Verdict {
    /// A failure before anything is known about the route.
    #[must_use]
    pub fn failed(failure: Failure, answers: Arc<Answers>) -> Self {
        Self {
            decision: Decision::Fail(failure),
            route: None,
            who: Who::Anyone,
            answers,
            aside: Aside::default(),
            lease: None,
        }
    }

    /// The person that was proved, if it is one.
    #[must_use]
    pub fn person(&self) -> Option<&identity::Person> {
        match &self.who {
            Who::Person(person) => Some(person),
            Who::Anyone | Who::Service(_) | Who::Client(_) => None,
        }
    }

    /// What a refused caller is told; `None` for an allow.
    #[must_use]
    pub fn answer(&self) -> Option<(AnswerKind, &Answer)> {
        let kind = match &self.decision {
            Decision::Allow(_) => return None,
            Decision::Deny(reason) => reason.answer(),
            Decision::Fail(_) => AnswerKind::Unavailable,
        };
        let answer = match kind {
            AnswerKind::Unauthenticated => &self.answers.unauthenticated,
            AnswerKind::Forbidden => &self.answers.forbidden,
            AnswerKind::NotFound => &self.answers.not_found,
            AnswerKind::TooManyRequests => &self.answers.too_many_requests,
            AnswerKind::Unavailable => &self.answers.unavailable,
        };
        Some((kind, answer))
    }
}

/// What is said on a route that nobody knows: as the services say it, without a content type.
#[must_use]
pub fn last_words() -> Arc<Answers> {
    let answer = |status, body: &str| Answer { status, body: body.to_owned() };
    Arc::new(Answers {
        content_type: None,
        unauthenticated: answer(401, "Unauthorized"),
        forbidden: answer(403, "Permission denied"),
        not_found: answer(404, "Not found"),
        unavailable: answer(503, "Service unavailable"),
        too_many_requests: answer(429, "Too many requests"),
    })
}

impl Authorizer {
    /// Decides about `input` at `now`.
    #[must_use]
    pub async fn decide(&self, input: &CheckInput<'_>, now: UnixTime) -> Verdict {
        let located = match self.snapshots.locate(input) {
            Ok(located) => located,
            Err(failure) => {
                // The words are the newest known ones for that name; the decision is not guessed.
                let answers = self.snapshots.answers(input.route).unwrap_or_else(last_words);
                return Verdict::failed(failure, answers);
            }
        };
        let mut who = Who::Anyone;
        let mut aside = Aside::default();
        let mut lease = None;
        let decision = match self.within_limits(&located, input, now, &mut who, &mut aside).await.and_then(
            |(permit, plan)| Ok((self.identities.write(&permit, &located.route().audience, now)?, plan)),
        ) {
            Ok((mut edits, plan)) => {
                edits.remove_key = key_header(&located);
                if let (Some((plan, uses)), Who::Person(person)) = (plan, &who) {
                    lease = grant::grant(&plan, uses, &edits, person, input, now);
                }
                Decision::Allow(edits)
            }
            Err(Stop::Denied(reason)) => Decision::Deny(reason),
            Err(Stop::Failed(failure)) => Decision::Fail(failure),
        };
        let answers = Arc::clone(&located.route().answers);
        Verdict { decision, route: Some(Arc::clone(located.route())), who, answers, aside, lease }
    }

    /// The lease that `permit` could become.
    fn plan(
        &self,
        located: &Located,
        input: &CheckInput<'_>,
        permit: &Permit,
        aside: &Aside,
        now: UnixTime,
    ) -> Option<Plan> {
        let (Some(lease), Policy::Session(policy)) = (&located.route().lease, &located.route().policy) else {
            return None;
        };
        let at = Instant::now();
        let rules = Rules { snapshot: located.snapshot(), policy, lease };
        let plan = (self.leases.on).then(|| grant::plan(rules, input, permit, aside, now, at)).flatten();
        plan.filter(|_| lease::is_fresh(self, now, at))
    }

    /// The permit, if the limits allow it too, and the lease that it could become with the uses that they gave in
    /// advance. What an address tries in vain is charged to the address.
    async fn within_limits(
        &self,
        located: &Located,
        input: &CheckInput<'_>,
        now: UnixTime,
        who: &mut Who,
        aside: &mut Aside,
    ) -> Result<(Permit, Option<(Plan, u64)>), Stop> {
        let route = located.route();
        self.limits.before(route, input, now, aside)?;
        match self.permit(located, input, now, who, aside).await {
            Ok(permit) => {
                let plan = self.plan(located, input, &permit, aside, now);
                let wanted = plan.map_or(0, |plan| u64::from(plan.uses));
                let uses = self.limits.charge(route, input, permit.who(), wanted, now, aside).await?;
                Ok((permit, plan.map(|plan| (plan, uses))))
            }
            // An internal route is not to be seen from here, however often somebody looks.
            Err(stop @ (Stop::Denied(DenyReason::InternalOnly) | Stop::Failed(_))) => Err(stop),
            Err(stop @ Stop::Denied(_)) => {
                self.limits.charge_refused(route, input, now, aside).await?;
                Err(stop)
            }
        }
    }

    async fn permit(
        &self,
        located: &Located,
        input: &CheckInput<'_>,
        now: UnixTime,
        who: &mut Who,
        aside: &mut Aside,
    ) -> Result<Permit, Stop> {
        match &located.route().policy {
            // Envoy asks about public routes that have limits; whoever else does gets the same answer.
            Policy::Public => Ok(policy::permit_anyone()),
            Policy::Session(policy) => self.permit_person(policy, located, input, now, who, aside).await,
            Policy::Internal(policy) => self.permit_service(policy, located, input, now, who).await,
            Policy::Signed(policy) => self.permit_signer(policy, input, now, who).await,
        }
    }

    async fn permit_person(
        &self,
        policy: &SessionPolicy,
        located: &Located,
        input: &CheckInput<'_>,
        now: UnixTime,
        who: &mut Who,
        aside: &mut Aside,
    ) -> Result<Permit, Stop> {
        let authenticated =
            match self.credentials(policy, located).present(policy.accepted(), input, now).await? {
                Presented::Verified(Principal::Person(person)) => person,
                Presented::Verified(Principal::Client(client)) => {
                    *who = Who::Client(Arc::clone(client.client()));
                    let member = tenant::admit_client(&client, self.tenants.as_ref(), now).await?;
                    return policy::permit_client(&member, policy, located.route(), input, aside);
                }
                Presented::NotOffered => return Err(DenyReason::NoCredential.into()),
                Presented::Failed(fault) => return Err(DenyReason::Credential(fault).into()),
            };
        *who = Who::Person(Arc::clone(authenticated.person()));
        let live = session::admit(&authenticated, self.revocations.as_deref(), now)?;
        self.tenant_changes.note(live.person());
        let member = tenant::admit(live, self.tenants.as_ref(), now).await?;
        policy::permit_person(member, policy, located.route(), input, aside)
    }

    fn credentials<'a>(&'a self, policy: &SessionPolicy, located: &'a Located) -> Credentials<'a> {
        let snapshot = located.snapshot();
        let (sessions, legacy) = (snapshot.sessions.as_ref(), snapshot.legacy_sessions.as_ref());
        let one_cookie =
            sessions.zip(legacy).is_some_and(|(sessions, legacy)| sessions.cookie == legacy.cookie);
        let shares_cookie = one_cookie
            && policy.accepts(AcceptedCredential::Session)
            && policy.accepts(AcceptedCredential::LegacySession);
        Credentials {
            sessions: sessions.map(|rules| SessionCredentials {
                rules,
                keys: &self.keys,
                cache: &self.tokens,
                shares_cookie,
            }),
            api_keys: snapshot
                .api_keys
                .as_ref()
                .zip(self.api_keys.as_deref())
                .map(|(rules, keys)| ApiKeyCredentials { header: &rules.header, keys }),
            legacy: legacy.zip(self.legacy.as_deref()).map(|(rules, sessions)| LegacyCredentials {
                rules,
                sessions,
                shares_cookie,
            }),
        }
    }

    async fn permit_service(
        &self,
        policy: &InternalPolicy,
        located: &Located,
        input: &CheckInput<'_>,
        now: UnixTime,
        who: &mut Who,
    ) -> Result<Permit, Stop> {
        // Envoy's word and the edge file's must both say that this listener is internal.
        match (input.exposure, located.route().exposure) {
            (Exposure::Internal, Exposure::Internal) => {}
            (Exposure::Public, _) | (_, Exposure::Public) => return Err(DenyReason::InternalOnly.into()),
        }
        let service = match present_service(&self.assertions, input, now)? {
            Presented::Verified(service) => service,
            Presented::NotOffered => return Err(DenyReason::NoCredential.into()),
            Presented::Failed(fault) => return Err(DenyReason::Credential(fault).into()),
        };
        *who = Who::Service(service.service().clone());
        let service = tenant::admit_service(service, self.tenants.as_ref(), now).await?;
        policy::permit_service(&service, policy)
    }
    async fn permit_signer(
        &self,
        policy: &SignedPolicy,
        input: &CheckInput<'_>,
        now: UnixTime,
        who: &mut Who,
    ) -> Result<Permit, Stop> {
        // The address comes first: from elsewhere, nobody learns whether a signature is good, or uses it up.
        let address = policy::admit_address(input.client, policy)?;
        // `edge_config` refuses a signed policy without `signatures`.
        let signed = self.signed.as_ref().ok_or(Failure::SigningKeysUnavailable)?;
        let signer = match signed.present(input, now).await? {
            Presented::Verified(signer) => signer,
            Presented::NotOffered => return Err(DenyReason::NoCredential.into()),
            Presented::Failed(fault) => return Err(DenyReason::Credential(fault).into()),
        };
        *who = Who::Service(signer.service().clone().into());
        policy::permit_signer(address, &signer, policy)
    }
}

/// The header with the API key, where the policy accepts one: no backend learns it.
fn key_header(located: &Located) -> Option<String> {
    let Policy::Session(policy) = &located.route().policy else { return None };
    let rules = located.snapshot().api_keys.as_ref()?;
    policy.accepts(AcceptedCredential::ApiKey).then(|| rules.header.clone())
}
