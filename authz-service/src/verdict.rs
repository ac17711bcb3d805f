//! A finished decision: the wire response is made from it, and the observers read it.

use std::sync::Arc;

use ::lease::Ticket;
use edge_config::edge::{AcceptedCredential, Answers, Policy, RefusalAnswer};
use identity::headers;

use crate::check::CheckInput;
use crate::decision::{AnswerKind, Decision};
use crate::failure::Failure;
use crate::lease::grant::Granted;
use crate::limit::answer::Exceeded;
use crate::shadow::Shadows;
use crate::snapshot::Route;
use crate::who::{Caller, KeyTerms, Who};

/// A decision with everything that its response and the observers need.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// The route, when it is known.
    pub route: Option<Arc<Route>>,
    /// The caller, as far as verified before the decision.
    pub who: Who,
    /// The permissions of the service that a policy refused for a missing one.
    pub permissions: Vec<String>,
    /// The kind of the caller's credential: verified, or only recognised on a public route.
    pub kind: Option<AcceptedCredential>,
    /// What the caller's API key says, if it has one.
    pub key: Option<KeyTerms>,
    /// The route's refusals.
    pub answers: Arc<Answers>,
    /// The limits that refused the request; absent when none did.
    pub exceeded: Option<Exceeded>,
    /// The refusals that only a shadow made.
    pub shadows: Shadows,
    /// The lease with an allow, if there is one.
    pub lease: Option<Granted>,
    /// What ends the request while it is open; absent when nothing does.
    pub stream: Option<Ticket>,
    /// The `Location` of the sign-in page, where a page that a browser opened lacks a session.
    pub sign_in: Option<String>,
}

impl Verdict {
    /// A failure before the route is known.
    #[must_use]
    pub fn failed(failure: Failure, answers: Arc<Answers>) -> Self {
        Self {
            decision: Decision::Fail(failure),
            route: None,
            who: Who::Anyone,
            permissions: Vec::new(),
            kind: None,
            key: None,
            answers,
            exceeded: None,
            shadows: Shadows::default(),
            lease: None,
            stream: None,
            sign_in: None,
        }
    }

    /// The status of a refusal that leads to the sign-in page: the browser opens it with GET.
    pub const SIGN_IN_STATUS: u16 = 302;

    /// The first limit that the request exceeded.
    #[must_use]
    pub fn limit(&self) -> Option<&Arc<str>> {
        self.exceeded.as_ref().and_then(Exceeded::first)
    }

    /// The person, if one was verified.
    #[must_use]
    pub fn person(&self) -> Option<&identity::Person> {
        match &self.who {
            Who::Caller(Caller::Person(person)) => Some(person),
            Who::Anyone | Who::Caller(Caller::Service(_)) | Who::Caller(Caller::Client(_)) => None,
        }
    }

    /// The answer to a refused caller; `None` for an allow.
    #[must_use]
    pub fn answer(&self) -> Option<(AnswerKind, &RefusalAnswer)> {
        let kind = match &self.decision {
            Decision::Allow(_) => return None,
            Decision::Deny(reason) => reason.answer(),
            Decision::Fail(_) => AnswerKind::Unavailable,
        };
        let answer = match kind {
            AnswerKind::Unauthenticated => &self.answers.unauthenticated,
            AnswerKind::Replayed => &self.answers.replayed,
            AnswerKind::Forbidden => &self.answers.forbidden,
            AnswerKind::NotFound => &self.answers.not_found,
            AnswerKind::TooManyRequests => &self.answers.too_many_requests,
            AnswerKind::Unavailable => &self.answers.unavailable,
        };
        Some((kind, answer))
    }
}

/// The `Location` of the sign-in page of `route`, where `input` is a page that a browser opened and `decision` refuses it for
/// the lack of a valid session. A caller without permission has signed in already and stays refused.
#[must_use]
pub fn sign_in(decision: &Decision, route: &Route, input: &CheckInput<'_>) -> Option<String> {
    let lacks_session = match decision {
        Decision::Deny(reason) => reason.answer() == AnswerKind::Unauthenticated,
        Decision::Allow(_) | Decision::Fail(_) => false,
    };
    let redirect = match &route.policy {
        Policy::Session(policy) => policy.sign_in.as_ref()?,
        Policy::Public(_)
        | Policy::Internal(_)
        | Policy::Signed(_)
        | Policy::Webhook(_)
        | Policy::Certificate(_) => return None,
    };
    let is_page = input.method == "GET" && input.values(headers::NAVIGATION).any(|value| value == b"1");
    (lacks_session && is_page).then(|| redirect.location(input.target))
}

/// The refusals for a route that this replica does not know.
#[must_use]
pub fn last_words() -> Arc<Answers> {
    Arc::new(Answers::built_in())
}
