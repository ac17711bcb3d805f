//! Sessions that were ended before their tokens expired.

pub mod revocations;
pub mod tenant_changes;

use std::sync::Arc;

use clock::UnixTime;
use identity::Person;

use crate::credential::presented::{AuthenticatedPerson, Proof};
use crate::failure::Stop;
use crate::session::revocations::Revocations;

/// The session was ended before its token expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRevoked;

/// A believed person whose session was not ended. Only [`admit`] makes one.
#[derive(Clone, Debug)]
pub struct LiveSession {
    person: Arc<Person>,
    token: Option<Proof>,
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

    /// What their token says about how long; `None` when it is not to be counted on beyond this request.
    #[must_use]
    pub const fn token(&self) -> Option<Proof> {
        self.token
    }
}

/// Lets `authenticated` on when their session is alive at `now`. Without `revocations` a session ends with its
/// tokens only, as the edge file says.
///
/// # Errors
/// [`SessionRevoked`], or a failure when the revocations cannot tell.
pub fn admit(
    authenticated: &AuthenticatedPerson,
    revocations: Option<&Revocations>,
    now: UnixTime,
) -> Result<LiveSession, Stop<SessionRevoked>> {
    let person = Arc::clone(authenticated.person());
    if let Some(revocations) = revocations
        && revocations.ends(&person, authenticated.issued(), now)?
    {
        return Err(Stop::Denied(SessionRevoked));
    }
    // One that is to end at a later second is alive now, and nothing more.
    let ends_soon = revocations.is_some_and(|revocations| revocations.is_listed(person.session));
    Ok(LiveSession { person, token: authenticated.token().filter(|_| !ends_soon) })
}
