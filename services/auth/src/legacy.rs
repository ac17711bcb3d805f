//! Sessions that the legacy backend began, when the edge sends their refresh and sign-out here.
//!
//! A refresh *exchanges* a living pair: the session ends at the legacy backend, and a session of this service
//! takes its place, once, whatever number of requests carry the pair. Every other pair gets the refusal that
//! the legacy backend gives: `Unauthorized`, or `Invalid token pair` for two genuine tokens of different
//! sessions. Two ways, by the settings:
//!
//! | way | verifies and ends by | an access token of any age | when the exchange fails |
//! |---|---|---|---|
//! | [`store`] | the signing keys in the legacy backend's Redis | yes | the old pair is alive again; after a crash of this service it can still be exchanged |
//! | [`endpoint`] | the check, the refresh and the sign-out of the legacy backend | yes | the client gets the pair that the legacy backend's refresh returned |
//!
//! With [`written`] new sessions are in the legacy backend's form, too, so that every route can go back to it.
//!
//! The exchanged session is the first of a family whose id is the legacy session's, so it is known in the
//! database which sessions were exchanged ([`Sessions::adopt`](crate::session::Sessions::adopt)).

pub mod endpoint;
pub mod session_key;
pub mod store;
pub mod token;
pub mod written;

use std::io;

use clock::UnixTime;
use kit::SessionId;

use crate::error::Error;
use crate::presented::Presented;
use crate::settings::{Legacy, LegacyWay};
use crate::token::Expiry;

use endpoint::Endpoint;
use store::Store;
use token::{Kind, Proved, Unproved};

/// How many legacy sessions one request can sign out of. The legacy backend's refresh cookie has one path in each
/// generation, so a browser has two at most. Any client can make tokens up, and each costs a call.
const MOST_SIGN_OUTS: usize = 2;

/// Access to the sessions of the legacy backend.
#[derive(Clone, Debug)]
pub enum LegacySessions {
    /// Through its Redis.
    Store(Store),
    /// Through its own endpoint.
    Endpoint(Endpoint),
}

/// The outcome of a sign-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedOut {
    /// The session ended now.
    Ended(Proved),
    /// The token names a session that is not alive. The legacy backend answers that as a sign-out.
    Before,
    /// Nothing shows that the caller may end the session.
    Unproved,
}

/// The two tokens of a request that have the form of the legacy backend's.
#[derive(Debug)]
pub struct LegacyPair<'r> {
    access: Unproved<'r>,
    refresh: Unproved<'r>,
}

impl<'r> LegacyPair<'r> {
    /// Reads the pair in the cookies of a request: the access token, and the refresh token of the same session
    /// if there are several.
    #[must_use]
    pub fn read(presented: &Presented<'r>) -> Option<Self> {
        let access = presented.access().and_then(Unproved::read)?;
        let mut refresh: Vec<Unproved<'r>> =
            presented.refresh().iter().copied().filter_map(Unproved::read).collect();
        let same = refresh.iter().position(|token| token.session() == access.session());
        let refresh = match same {
            Some(at) => refresh.swap_remove(at),
            None => refresh.pop()?,
        };
        Some(Self { access, refresh })
    }

    /// The pair as it was sent: access, then refresh.
    #[must_use]
    pub const fn texts(&self) -> (&'r str, &'r str) {
        (self.access.text(), self.refresh.text())
    }

    /// Returns the person and the session that the refresh token claims, without proof.
    #[must_use]
    pub fn claimed(&self) -> Option<Proved> {
        self.refresh.claimed()
    }

    /// Verifies both tokens with the keys in `store`.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] and [`Error::InvalidPair`] as the legacy backend, [`Error::Legacy`].
    pub async fn prove(&self, store: &Store, now: UnixTime) -> Result<Proved, Error> {
        let key = async |session| store.key(session).await.map_err(Error::Legacy);
        let access = key(self.access.session()).await?;
        let access = access.and_then(|key| self.access.prove(&key, Kind::Access, Expiry::Ignored, now));
        let access = access.ok_or(Error::Unauthorized)?;
        let refresh = key(self.refresh.session()).await?;
        let refresh = refresh.and_then(|key| self.refresh.prove(&key, Kind::Refresh, Expiry::Checked, now));
        let refresh = refresh.ok_or(Error::Unauthorized)?;
        if (access.session, access.subject) == (refresh.session, refresh.subject) {
            Ok(refresh)
        } else {
            Err(Error::InvalidPair)
        }
    }
}

impl LegacySessions {
    /// Prepares the way that `settings` choose. Connects with the first request.
    ///
    /// # Errors
    /// An error message, which contains no password.
    pub fn new(settings: &Legacy) -> Result<Self, String> {
        Ok(match &settings.way {
            LegacyWay::Redis { url, prefix } => Self::Store(Store::new(url, prefix, settings.timeout)?),
            LegacyWay::Endpoint { url } => Self::Endpoint(Endpoint::new(url, settings.timeout)?),
        })
    }

    /// Returns the legacy backend's Redis, if that is the way.
    #[must_use]
    pub const fn store(&self) -> Option<&Store> {
        match self {
            Self::Store(store) => Some(store),
            Self::Endpoint(_) => None,
        }
    }

    /// Signs out of the legacy sessions in the cookies of a request: those of the refresh tokens, without one
    /// that of the access token. Tokens that are not the legacy backend's are left out, and so are all but the last
    /// [`MOST_SIGN_OUTS`].
    ///
    /// Through the endpoint the legacy backend decides whose session ends, and it does not verify the signature. Its refresh
    /// would, but it refuses a pair that is expired or ended, whose sign-out must succeed.
    ///
    /// The error of Redis or of the legacy backend is the last outcome: the sessions after it are not tried, because each
    /// would wait as long. They may be alive, and so may be the one that failed.
    pub async fn sign_out(&self, presented: &Presented<'_>, now: UnixTime) -> Vec<io::Result<SignedOut>> {
        let mut tokens: Vec<(Unproved<'_>, Kind)> = presented
            .refresh()
            .iter()
            .filter_map(|text| Some((Unproved::read(text)?, Kind::Refresh)))
            .collect();
        if tokens.is_empty() {
            tokens.extend(presented.access().and_then(Unproved::read).map(|token| (token, Kind::Access)));
        }
        // The last ones count, as among equal names.
        tokens.drain(..tokens.len().saturating_sub(MOST_SIGN_OUTS));
        let mut outcomes = Vec::with_capacity(tokens.len());
        for (token, kind) in &tokens {
            let outcome = match self {
                Self::Store(store) => sign_out_by_key(store, token, *kind, now).await,
                Self::Endpoint(endpoint) => sign_out_there(endpoint, token, *kind).await,
            };
            let has_failed = outcome.is_err();
            outcomes.push(outcome);
            if has_failed {
                break;
            }
        }
        outcomes
    }

    /// Returns the access token of the living session `session`, if the request has it. Through the endpoint the legacy
    /// backend has verified the token when its check says yes.
    ///
    /// # Errors
    /// The error of Redis or of the legacy backend.
    pub async fn living_access(
        &self,
        presented: &Presented<'_>,
        session: SessionId,
        now: UnixTime,
    ) -> io::Result<Option<Proved>> {
        let token = presented.access().and_then(Unproved::read);
        let Some(token) = token.filter(|token| token.session() == session) else { return Ok(None) };
        match self {
            Self::Store(store) => {
                let key = store.living_key(session).await?;
                Ok(key.and_then(|key| token.prove(&key, Kind::Access, Expiry::Checked, now)))
            }
            Self::Endpoint(endpoint) => {
                let is_alive = endpoint.is_alive(token.text()).await?;
                Ok(token.claimed().filter(|_| is_alive))
            }
        }
    }
}

async fn sign_out_there(endpoint: &Endpoint, token: &Unproved<'_>, kind: Kind) -> io::Result<SignedOut> {
    let name = match kind {
        Kind::Access => crate::cookie::ACCESS_COOKIE,
        Kind::Refresh => crate::cookie::REFRESH_COOKIE,
    };
    let is_known = endpoint.sign_out(&format!("{name}={}", token.text())).await?;
    Ok(if is_known { SignedOut::Before } else { SignedOut::Unproved })
}

async fn sign_out_by_key(
    store: &Store,
    token: &Unproved<'_>,
    kind: Kind,
    now: UnixTime,
) -> io::Result<SignedOut> {
    let Some(key) = store.key(token.session()).await? else { return Ok(SignedOut::Before) };
    // The legacy backend does not check this signature, so that any client could end a session whose id it
    // knows.
    let Some(proved) = token.prove(&key, kind, Expiry::Ignored, now) else { return Ok(SignedOut::Unproved) };
    store.end(&[token.session()]).await?;
    Ok(SignedOut::Ended(proved))
}
