//! The stages of a decision, for explanations: which passed, which one stopped it, which were not reached.

use edge_config::edge::{Policy, PublicPolicy};
use serde::Serialize;

use crate::decision::{Decision, DenyReason};
use crate::failure::Failure;

/// One stage, in the order of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// This replica knows the revision, route and policy of Envoy's check.
    Route,
    /// No limit is exceeded. An exceeded limit overrides the results of other stages, so those are `not_told`
    /// then.
    Limit,
    /// The listener may serve such a route.
    Exposure,
    /// A credential was verified.
    Credential,
    /// The session was not ended.
    Session,
    /// The tenant is active.
    Tenant,
    /// The caller satisfies the policy.
    Policy,
    /// The identity headers were written.
    Identity,
}

/// The outcome of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The stage.
    pub stage: Stage,
    /// `passed`, `not_reached`, `not_told`, or the code of the reason that stopped the decision here.
    pub outcome: &'static str,
}

/// The path of one decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    stages: &'static [Stage],
    stopped: Option<Stage>,
}

impl Way {
    pub(super) const fn of(policy: Option<&Policy>, decision: &Decision) -> Self {
        let stopped = if is_allow(decision) { None } else { Some(stop(decision)) };
        Self { stages: stages_of(policy), stopped }
    }

    pub(super) fn steps(self, reason: &'static str) -> Vec<Step> {
        let mut reached = true;
        let step = |stage: &Stage| {
            let outcome = match (reached, self.stopped == Some(*stage)) {
                (true, true) => {
                    reached = false;
                    reason
                }
                (true, false) => "passed",
                (false, _) if self.stopped == Some(Stage::Limit) => "not_told",
                (false, _) => "not_reached",
            };
            Step { stage: *stage, outcome }
        };
        self.stages.iter().map(step).collect()
    }
}

/// The stage where a decision stopped. An allow passes all stages.
const fn stop(decision: &Decision) -> Stage {
    match decision {
        Decision::Allow(_) => Stage::Identity,
        Decision::Deny(reason) => match reason {
            DenyReason::NoCredential | DenyReason::Credential(_) => Stage::Credential,
            DenyReason::SessionRevoked => Stage::Session,
            DenyReason::Tenant(_) => Stage::Tenant,
            DenyReason::Policy(_) => Stage::Policy,
            DenyReason::InternalOnly => Stage::Exposure,
            DenyReason::RateLimited => Stage::Limit,
        },
        Decision::Fail(failure) => match failure {
            Failure::MalformedCheck
            | Failure::UnknownRevision
            | Failure::UnknownRoute
            | Failure::PolicyMismatch
            // The log has the place of a defect in the source.
            | Failure::Panicked => Stage::Route,
            Failure::KeysUnavailable
            | Failure::ApiKeysUnavailable
            | Failure::LegacyUnavailable
            | Failure::IntrospectionUnavailable
            | Failure::SigningKeysUnavailable
            | Failure::WebhookSecretsUnavailable
            | Failure::NoncesUnavailable => {
                Stage::Credential
            }
            Failure::RevocationsUnavailable => Stage::Session,
            Failure::TenantsUnavailable => Stage::Tenant,
            Failure::SigningFailed => Stage::Identity,
        },
    }
}

const fn is_allow(decision: &Decision) -> bool {
    matches!(decision, Decision::Allow(_))
}

/// The stages of a policy; an unknown route has only the first.
const fn stages_of(policy: Option<&Policy>) -> &'static [Stage] {
    use Stage::{Credential, Exposure, Identity, Limit, Policy as May, Route, Session, Tenant};
    match policy {
        None => &[Route],
        Some(Policy::Public(PublicPolicy { refuse_ended: false })) => &[Route, Limit, Identity],
        Some(Policy::Public(PublicPolicy { refuse_ended: true })) => &[Route, Limit, Session, Identity],
        Some(Policy::Session(_)) => &[Route, Limit, Credential, Session, Tenant, May, Identity],
        Some(Policy::Internal(_)) => &[Route, Limit, Exposure, Credential, Tenant, May, Identity],
        Some(Policy::Signed(_) | Policy::Webhook(_) | Policy::Certificate(_)) => {
            &[Route, Limit, Credential, May, Identity]
        }
    }
}
