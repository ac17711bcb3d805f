//! The legacy backend's answer about one of its sessions.

use identity::Role;
use prometheus::IntCounter;
use uuid::Uuid;

use crate::credential::fault::LegacyFault;
use crate::failure::Failure;

/// A person that the legacy backend knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The person. The legacy backend's ids are UUIDs.
    pub subject: Uuid,
    /// The session.
    pub session: Uuid,
    /// The second in which the session's token was issued, as its `iat` says; 0 when the token does not say.
    pub issued: u64,
    /// The role, when the answer has one.
    pub role: Option<Role>,
}

/// A completed lookup: a person, or a refusal.
pub type SessionCheck = Result<Found, LegacyFault>;

/// Counts lookups in the legacy backend or its store, by outcome. Cached and malformed tokens cause no
/// lookup.
#[derive(Clone, Debug)]
pub struct Questions {
    /// A person was found.
    pub found: IntCounter,
    /// The session was refused.
    pub refused: IntCounter,
    /// There was no answer, or an invalid one.
    pub unavailable: IntCounter,
    /// All places were taken: no lookup was made.
    pub crowded: IntCounter,
}

impl Questions {
    /// Counts one lookup that ended in `outcome`.
    pub fn count(&self, outcome: &Result<SessionCheck, Failure>) {
        match outcome {
            Ok(Ok(_)) => &self.found,
            Ok(Err(_)) => &self.refused,
            Err(_) => &self.unavailable,
        }
        .inc();
    }
}
