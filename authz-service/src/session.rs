//! Refuses sessions that were ended before their tokens expired.

pub mod revocations;
pub mod tenant_changes;

use std::sync::Arc;

use clock::UnixTime;
use identity::Person;

use crate::credential::presented::{AuthenticatedPerson, Proof};
use crate::credential::recognise::Claimed;
use crate::failure::Stop;
use crate::session::revocations::Revocations;

/// The session was ended before its token expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRevoked;

/// A verified person whose session was not ended. Only [`admit`] makes one.
#[derive(Clone, Debug)]
pub struct LiveSession {
    person: Arc<Person>,
    token: Option<Proof>,
}

impl LiveSession {
    /// The person.
    #[must_use]
    pub const fn person(&self) -> &Arc<Person> {
        &self.person
    }

    /// The person, shared.
    #[must_use]
    pub fn into_person(self) -> Arc<Person> {
        self.person
    }

    /// The token's proof; `None` when the session should be trusted for this request only.
    #[must_use]
    pub const fn token(&self) -> Option<Proof> {
        self.token
    }
}

/// Admits `authenticated` when their session is alive at `now`. Without `revocations` a session ends with its
/// tokens only, as the edge file requests.
///
/// # Errors
/// [`SessionRevoked`], or a failure when the revocations cannot answer.
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
    // A session that ends at a later second is alive now, but not to be trusted beyond this request.
    let ends_soon =
        revocations.zip(person.session.as_ref()).is_some_and(|(list, session)| list.is_listed(session));
    Ok(LiveSession { person, token: authenticated.token().filter(|_| !ends_soon) })
}

/// Refuses a request whose `claimed` session, or its person or tenant, was ended at `now`. The claims are unverified, so the
/// request is refused for what its own client said.
///
/// # Errors
/// [`SessionRevoked`], or a failure when the revocations cannot answer.
pub fn refuse_ended(
    claimed: &Claimed,
    revocations: Option<&Revocations>,
    now: UnixTime,
) -> Result<(), Stop<SessionRevoked>> {
    match revocations {
        Some(revocations) if revocations.ends(&claimed.person, claimed.issued, now)? => {
            Err(Stop::Denied(SessionRevoked))
        }
        Some(_) | None => Ok(()),
    }
}
