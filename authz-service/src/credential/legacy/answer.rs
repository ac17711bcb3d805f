//! The legacy backend's answer about one of its sessions.

use identity::Role;
use uuid::Uuid;

use crate::credential::fault::LegacyFault;
use crate::credential::places::{Fingerprint, fingerprint};
use crate::credential::queried;

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

impl queried::Found for Found {
    fn person(&self) -> Fingerprint {
        fingerprint(self.subject.as_bytes())
    }
}
