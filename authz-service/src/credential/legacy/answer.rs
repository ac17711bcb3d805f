//! What the legacy says about one of its sessions.

use identity::{Role, SessionId, SubjectId};
use prometheus::IntCounter;

use crate::credential::fault::LegacyFault;
use crate::failure::Failure;

/// Somebody that the legacy knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Who.
    pub subject: SubjectId,
    /// In which session.
    pub session: SessionId,
    /// The role, when the legacy says one.
    pub role: Option<Role>,
}

/// A question to the legacy that was answered: somebody, or a refusal.
pub type Answer = Result<Found, LegacyFault>;

/// Counts of questions to the legacy or its store, by what came of them. What is remembered or refused unread asks
/// nobody.
#[derive(Clone, Debug)]
pub struct Questions {
    /// Somebody was found.
    pub found: IntCounter,
    /// The answer was no.
    pub refused: IntCounter,
    /// There was no answer that could be understood.
    pub unavailable: IntCounter,
    /// There was no place for one more question: not asked.
    pub crowded: IntCounter,
}

impl Questions {
    /// Counts one question that ended in `outcome`.
    pub fn count(&self, outcome: &Result<Answer, Failure>) {
        match outcome {
            Ok(Ok(_)) => &self.found,
            Ok(Err(_)) => &self.refused,
            Err(_) => &self.unavailable,
        }
        .inc();
    }
}
