//! The exchange of a pair of the legacy backend for a session of this service.

use axum::response::Response;
use http::header::SET_COOKIE;
use kit::answer;

use crate::app::{App, signed_in};
use crate::error::Error;
use crate::legacy::endpoint::{Endpoint, Fresh, Refreshed};
use crate::legacy::store::Store;
use crate::legacy::token::Proved;
use crate::legacy::{LegacyPair, LegacySessions};
use crate::token::{Genuine, Pair};

/// The legacy backend's text for two genuine tokens of different sessions.
const INVALID_PAIR: &str = "Invalid token pair";

/// Exchanges `pair` and answers with the cookies of the new session.
///
/// # Errors
/// [`Error::Unauthorized`] and [`Error::InvalidPair`] as the legacy backend, [`Error::TooManyRefreshes`], and
/// failures. The client is never signed out by one: either the old pair or the new one works.
pub(crate) async fn exchange(
    app: &App,
    legacy: &LegacySessions,
    pair: &LegacyPair<'_>,
) -> Result<Response, Error> {
    match legacy {
        LegacySessions::Store(store) => {
            let old = pair.prove(store, app.clock.now()).await?;
            signed_in(app, &adopted(app, &old, Some(store)).await?)
        }
        LegacySessions::Endpoint(endpoint) => by_endpoint(app, endpoint, pair).await,
    }
}

async fn by_endpoint(app: &App, endpoint: &Endpoint, pair: &LegacyPair<'_>) -> Result<Response, Error> {
    let (access, refresh) = pair.texts();
    let fresh = match endpoint.refresh(access, refresh).await.map_err(Error::Legacy)? {
        Refreshed::Done(fresh) => fresh,
        Refreshed::Refused(text) if text == INVALID_PAIR => return Err(Error::InvalidPair),
        Refreshed::Refused(_) => return Err(Error::Unauthorized),
    };
    // The legacy backend verified both tokens, so what they claim is proved now.
    let exchanged = match pair.claimed() {
        Some(old) => adopted(app, &old, None).await,
        None => Err(Error::Unauthorized),
    };
    match exchanged {
        Ok(new) => {
            end(endpoint, &fresh).await;
            signed_in(app, &new)
        }
        // The person is gone, or all of their sessions were ended.
        Err(Error::Unauthorized) => {
            end(endpoint, &fresh).await;
            Err(Error::Unauthorized)
        }
        Err(error) => {
            let error = answer::Chain(&error);
            tracing::error!(%error, "a legacy session could not be exchanged and stays at the legacy backend");
            Ok(handed_over(fresh))
        }
    }
}

/// Looks the person up and stores the new session in place of `old`.
async fn adopted(app: &App, old: &Proved, store: Option<&Store>) -> Result<Pair, Error> {
    // Role and tenant are the account's. A failed lookup leaves the old pair unchanged.
    let holder = app.people.by_id(old.subject).await.map_err(Error::Lookup)?.ok_or(Error::Unauthorized)?;
    let token = Genuine {
        session: old.session,
        subject: old.subject,
        tenant: holder.tenant,
        id: old.session.0,
        issued: old.issued,
        expires: old.expires,
    };
    let pair = app.issue(holder)?;
    if app.sessions.adopt(&token, &holder, &pair, store).await? { Ok(pair) } else { Err(Error::Unauthorized) }
}

/// Ends the session that the legacy backend's refresh began. No client knows its tokens, so a failure is only
/// logged.
async fn end(endpoint: &Endpoint, fresh: &Fresh) {
    if let Err(error) = endpoint.end(fresh).await {
        tracing::warn!(%error, "the legacy backend did not end an exchanged session");
    }
}

fn handed_over(fresh: Fresh) -> Response {
    let mut response = answer::created();
    for line in fresh.lines {
        response.headers_mut().append(SET_COOKIE, line);
    }
    response
}
