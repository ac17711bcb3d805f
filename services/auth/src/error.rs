//! Every refusal, with the status and the text that clients know (`contracts/http/auth_code.hurl`,
//! `contracts/http/auth_login.hurl`, `contracts/http/auth_check.hurl`, `contracts/cookies/refresh.hurl`).

use std::borrow::Cow;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use kit::answer;
use kit::generation::Surface;
use kit::peer::CallFailed;
use kit::removal::NotAllowed;
use sea_orm::DbErr;

use crate::token::SigningFailed;

/// Why a request failed. The first group is the client's fault. The second group is the service's fault and
/// answers 500.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not valid for the route. Holds the parser's message.
    #[error("{0}")]
    Invalid(String),
    /// Not an e-mail address.
    #[error("not an e-mail address")]
    InvalidEmail,
    /// No account has this address.
    #[error("no such person")]
    UnknownPerson,
    /// Five codes for this address are still alive.
    #[error("too many codes")]
    TooManyCodes,
    /// The code is wrong, expired or already used.
    #[error("not a valid code")]
    InvalidCode,
    /// The request has no token that is valid here.
    #[error("not signed in")]
    Unauthorized,
    /// The request has two genuine tokens of different sessions.
    #[error("the tokens do not belong together")]
    InvalidPair,
    /// The person refreshes more often than any honest client does.
    #[error("too many refreshes")]
    TooManyRefreshes {
        /// How long until the next refresh is possible.
        wait: Duration,
    },
    /// A sign-out without a token that names a session.
    #[error("no token names a session")]
    InvalidToken {
        /// The surface, on which the status depends.
        surface: Surface,
    },
    /// The person has as many passkeys as are allowed.
    #[error("too many passkeys")]
    TooManyPasskeys,
    /// The id of a passkey is not base64url.
    #[error("not the id of a passkey")]
    InvalidCredentialId,
    /// The person has no such passkey.
    #[error("no such passkey")]
    UnknownPasskey,
    /// The path of a removal has no tenant's id.
    #[error("no such tenant")]
    NoSuchTenant,
    /// The caller's role is too low, or another service may do this.
    #[error("the role is too low")]
    Forbidden,

    /// The database failed.
    #[error("the database failed")]
    Store(#[source] DbErr),
    /// The users service could not be queried.
    #[error("the account could not be looked up")]
    Lookup(#[source] CallFailed),
    /// The mail with the code could not be sent or written.
    #[error("the mail could not be sent")]
    Mail(#[source] std::io::Error),
    /// The revocation could not be written.
    #[error("the revocation could not be written")]
    Revocation(#[source] std::io::Error),
    /// The legacy backend or its Redis could not be queried.
    #[error("the legacy backend's sessions could not be reached")]
    Legacy(#[source] std::io::Error),
    /// The session's tokens could not be signed.
    #[error("the token could not be signed")]
    Signing(#[source] SigningFailed),
    /// The service token could not be signed.
    #[error("the service token could not be signed")]
    ServiceToken(#[source] identity::assertion::SigningFailed),
    /// The Redis that holds the ceremonies of passkeys failed.
    #[error("the state of the passkey's ceremony could not be reached")]
    Ceremony(#[source] std::io::Error),
    /// A ceremony could not begin.
    #[error("the passkey's ceremony could not begin")]
    Passkey(#[source] passki::PasskiError),
    /// A stored passkey or ceremony could not be written or read.
    #[error("the stored passkey is not valid")]
    Stored(#[source] serde_json::Error),
    /// The random number generator failed.
    #[error("the system's random number generator failed")]
    Random,
    /// A cookie line is not a valid header value.
    #[error("the cookie is not a valid header value")]
    Header(#[source] http::header::InvalidHeaderValue),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, text): (StatusCode, Cow<'static, str>) = match self {
            Self::Invalid(why) => (StatusCode::BAD_REQUEST, why.into()),
            Self::InvalidEmail => (StatusCode::BAD_REQUEST, "Invalid email".into()),
            Self::UnknownPerson => (StatusCode::NOT_FOUND, "Not found user".into()),
            Self::TooManyCodes => (StatusCode::TOO_MANY_REQUESTS, "Too many created authcode".into()),
            Self::InvalidCode => (StatusCode::NOT_FOUND, "Invalid authcode".into()),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized".into()),
            Self::InvalidPair => (StatusCode::UNAUTHORIZED, "Invalid token pair".into()),
            Self::TooManyRefreshes { wait } => {
                let text = answer::text(StatusCode::TOO_MANY_REQUESTS, "Too many refreshed token");
                // At least one second: a client that may wait zero seconds retries at once.
                return ([(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)))], text).into_response();
            }
            // The one status in which the legacy backend and the later record differ.
            Self::InvalidToken { surface: Surface::Older } => {
                (StatusCode::BAD_REQUEST, "Invalid token".into())
            }
            Self::InvalidToken { surface: Surface::Later } => {
                (StatusCode::UNAUTHORIZED, "Invalid token".into())
            }
            Self::TooManyPasskeys => (StatusCode::TOO_MANY_REQUESTS, "Too many created passkey".into()),
            Self::InvalidCredentialId => (StatusCode::BAD_REQUEST, "Invalid credential id".into()),
            Self::UnknownPasskey => (StatusCode::NOT_FOUND, "Not found passkey".into()),
            Self::NoSuchTenant => (StatusCode::NOT_FOUND, "Not found".into()),
            Self::Forbidden => (StatusCode::FORBIDDEN, "Permission denied".into()),
            Self::Store(_)
            | Self::Lookup(_)
            | Self::Mail(_)
            | Self::Revocation(_)
            | Self::Legacy(_)
            | Self::Signing(_)
            | Self::ServiceToken(_)
            | Self::Ceremony(_)
            | Self::Passkey(_)
            | Self::Stored(_)
            | Self::Random
            | Self::Header(_) => return answer::internal(&self),
        };
        answer::text(status, text)
    }
}

impl From<NotAllowed> for Error {
    fn from(not: NotAllowed) -> Self {
        match not {
            NotAllowed::Caller => Self::Forbidden,
            NotAllowed::Tenant => Self::NoSuchTenant,
        }
    }
}
