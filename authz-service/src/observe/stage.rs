//! The stages of a decision, for explanations: which passed, which one stopped it, which were never reached.

use edge_config::edge::Policy;
use serde::Serialize;

use crate::decision::{Decision, DenyReason};
use crate::failure::Failure;

/// One stage, in the order of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Envoy's question is one that this replica understands: revision, route, policy.
    Route,
    /// It did not happen too often. A limit that is exceeded counts before whatever other stages said, so those
    /// are `not_told` then.
    Limit,
    /// The listener may lead to such a route.
    Exposure,
    /// Somebody proved who they are.
    Credential,
    /// Their session was not ended.
    Session,
    /// Their tenant gets something.
    Tenant,
    /// They are what the policy asks for.
    Policy,
    /// The identity headers were written.
    Identity,
}

/// What came of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which.
    pub stage: Stage,
    /// `passed`, `not_reached`, `not_told`, or the code of the reason that stopped the decision here.
    pub outcome: &'static str,
}

/// The way of one decision.
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

/// Where a decision stopped. An allow went through to the end.
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
            // Where a defect struck is in the log, with its place in the source.
            | Failure::Panicked => Stage::Route,
            Failure::KeysUnavailable
            | Failure::ApiKeysUnavailable
            | Failure::LegacyUnavailable
            | Failure::SigningKeysUnavailable
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

/// The stages of a policy; a route that is not known has none beyond finding it.
const fn stages_of(policy: Option<&Policy>) -> &'static [Stage] {
    use Stage::{Credential, Exposure, Identity, Limit, Policy as May, Route, Session, Tenant};
    match policy {
        None => &[Route],
        Some(Policy::Public) => &[Route, Limit, Identity],
        Some(Policy::Session(_)) => &[Route, Limit, Credential, Session, Tenant, May, Identity],
        Some(Policy::Internal(_)) => &[Route, Limit, Exposure, Credential, Tenant, May, Identity],
        Some(Policy::Signed(_)) => &[Route, Limit, Credential, May, Identity],
    }
}
