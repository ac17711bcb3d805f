//! Sessions that were ended before their tokens expired.

pub mod revocations;
pub mod tenant_changes;

use std::sync::Arc;

use clock::UnixTime;
use identity::Person;

use crate::credential::AuthenticatedPerson;
use crate::decision::{DenyReason, Stop};
use crate::session::revocations::Revocations;

/// A believed person whose session was not ended. Only [`admit`] makes one.
#[derive(Clone, Debug)]
pub struct LiveSession {
    person: Arc<Person>,
}

impl LiveSession {
    /// Whose session it is.
    #[must_use]
    pub const fn person(&self) -> &Arc<Person> {
        &self.person
    }

    /// Whose session it is.
    #[must_use]
    pub fn into_person(self) -> Arc<Person> {
        self.person
    }
}

/// Lets `authenticated` on when their session is alive at `now`. Without `revocations` a session ends with its
/// tokens only, as the edge file says.
///
/// # Errors
/// [`DenyReason::SessionRevoked`], or a failure when the revocations cannot tell.
pub fn admit(
    authenticated: &AuthenticatedPerson,
    revocations: Option<&Revocations>,
    now: UnixTime,
) -> Result<LiveSession, Stop> {
    let person = Arc::clone(authenticated.person());
    if let Some(revocations) = revocations
        && revocations.ends(&person, authenticated.issued(), now)?
    {
        return Err(DenyReason::SessionRevoked.into());
    }
    Ok(LiveSession { person })
}
