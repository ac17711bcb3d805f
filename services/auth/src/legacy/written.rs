//! New sessions in the legacy backend's form, written into its Redis.
//!
//! With `AUTH_SESSIONS=legacy` every session that begins or is refreshed here is also one of the legacy backend's: its
//! tokens are signed with a key of their own, and that key is in the legacy backend's Redis under the session's id. So
//! the legacy backend accepts, refreshes and ends it without this service, and every route can go back to it.
//!
//! The row in the database stays the record of the sign-in. Row and key begin and end together:
//!
//! | what happens | row | key |
//! |---|---|---|
//! | a sign-in, a refresh here | written | written before the row is committed, so a session without a key is never shown |
//! | the commit fails | rolled back | deleted: no client has the tokens |
//! | a sign-out here, or the end of all sessions ([`follow`](crate::session::follow)) | dead | deleted within the same lock of the person |
//! | a refresh here | joins the family | the old one is kept aside, where the legacy backend does not look: a sign-out with the old pair still ends the sign-in |
//! | a sign-out or a refresh at the legacy backend | stays until it expires | deleted, and the key decides |

use clock::UnixTime;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kit::{SessionId, SubjectId};
use serde::Serialize;
use uuid::Uuid;

use super::session_key::SessionKey;
use crate::error::Error;
use crate::token::{ACCESS_LIFETIME, Holder, Pair, REFRESH_LIFETIME, SigningFailed};

/// The claims of both tokens, in the legacy backend's order.
#[derive(Serialize)]
struct Claims<'c> {
    sub: &'c str,
    iss: &'c str,
    iat: u64,
    exp: u64,
    id: SessionId,
    user_id: SubjectId,
    #[serde(rename = "_a", skip_serializing_if = "Option::is_none")]
    access: Option<bool>,
    #[serde(rename = "_r", skip_serializing_if = "Option::is_none")]
    refresh: Option<bool>,
}

/// Creates the tokens of a new session for `holder` at `now`. `issuer` is the domain of the legacy backend's cookies, which
/// it writes into `iss` and never compares.
///
/// # Errors
/// [`Error::Random`], [`Error::Signing`].
pub fn issue(holder: &Holder, issuer: &str, now: UnixTime) -> Result<Pair, Error> {
    let (session, key) = (SessionId(Uuid::new_v4()), SessionKey::draw().map_err(|_| Error::Random)?);
    let (access_expires, refresh_expires) = (now.plus(ACCESS_LIFETIME), now.plus(REFRESH_LIFETIME));
    let signing = EncodingKey::from_secret(key.as_str().as_bytes());
    let sign = |claims: &Claims<'_>| {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &signing)
            .map_err(|error| Error::Signing(SigningFailed::from(error)))
    };
    let claims = |sub, exp: UnixTime, access, refresh| Claims {
        sub,
        iss: issuer,
        iat: now.seconds(),
        exp: exp.seconds(),
        id: session,
        user_id: holder.subject,
        access,
        refresh,
    };
    Ok(Pair {
        access: sign(&claims("madome access token", access_expires, Some(true), None))?,
        refresh: sign(&claims("madome refresh token", refresh_expires, None, Some(true)))?,
        session,
        // The legacy backend's refresh tokens have no id of their own.
        refresh_id: session.0,
        access_expires,
        refresh_expires,
        key: Some(key),
    })
}
