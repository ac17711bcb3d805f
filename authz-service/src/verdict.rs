//! A finished decision: what the wire answers from and the observers read.

use std::sync::Arc;

use edge_config::edge::{Answer, Answers};

use crate::decision::{AnswerKind, Decision};
use crate::failure::Failure;
use crate::lease::grant::Granted;
use crate::limit::answer::Exceeded;
use crate::shadow::Shadows;
use crate::snapshot::Route;
use crate::who::Who;

/// A decision with all that its answer and the observers need.
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
    /// The limits that refused the request; absent when none did.
    pub exceeded: Option<Exceeded>,
    /// What would have been refused if it were not in shadow.
    pub shadows: Shadows,
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
            exceeded: None,
            shadows: Shadows::default(),
            lease: None,
        }
    }

    /// The limit that an exceeded request met first.
    #[must_use]
    pub fn limit(&self) -> Option<&Arc<str>> {
        self.exceeded.as_ref().and_then(Exceeded::first)
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

/// The words for a route that this replica does not know.
#[must_use]
pub fn last_words() -> Arc<Answers> {
    Arc::new(Answers::built_in())
}
