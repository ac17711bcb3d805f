//! What the handlers share: the state, and the answers with the cookies of a session.

use std::sync::Arc;

use axum::extract::FromRef;
use axum::response::Response;
use clock::Clock;
use http::HeaderValue;
use http::header::SET_COOKIE;
use kit::caller::EXPIRES;
use kit::generation::Surface;
use kit::{Gate, Metrics, answer};

use crate::code::Codes;
use crate::cookie::CookieLines;
use crate::error::Error;
use crate::legacy::{LegacySessions, written};
use crate::mail::Mailbox;
use crate::passkey::Passkeys;
use crate::people::People;
use crate::removal::Removal;
use crate::service_token::ServiceTokens;
use crate::session::Sessions;
use crate::settings::SessionForm;
use crate::token::{Holder, Pair, Tokens};

/// The state that handlers share.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) codes: Codes,
    pub(crate) sessions: Sessions,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) people: People,
    pub(crate) passkeys: Passkeys,
    pub(crate) removal: Removal,
    pub(crate) mailbox: Mailbox,
    pub(crate) cookies: CookieLines,
    pub(crate) surface: Surface,
    pub(crate) form: SessionForm,
    pub(crate) root_domain: String,
    pub(crate) gate: Gate,
    pub(crate) service_tokens: Option<ServiceTokens>,
    pub(crate) legacy: Option<LegacySessions>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
}

impl App {
    /// Returns the sessions.
    #[must_use]
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Creates the tokens of a new session for `holder`, in the form that the settings choose.
    pub(crate) fn issue(&self, holder: Holder) -> Result<Pair, Error> {
        match self.form {
            SessionForm::Own => self.tokens.issue(holder).map_err(Error::Signing),
            SessionForm::Legacy => written::issue(&holder, &self.root_domain, self.clock.now()),
        }
    }
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

/// Answers a sign-in with the cookies of its session.
pub(crate) fn signed_in(app: &App, pair: &Pair) -> Result<Response, Error> {
    let lines = app.cookies.set(&pair.access, &pair.refresh).map_err(Error::Header)?;
    let mut response = with_cookies(answer::created(), lines);
    if app.surface == Surface::Later {
        response.headers_mut().insert(EXPIRES, HeaderValue::from(pair.access_expires.seconds()));
    }
    Ok(response)
}

/// Adds cookies to an answer.
pub(crate) fn with_cookies(mut response: Response, lines: Vec<HeaderValue>) -> Response {
    for line in lines {
        response.headers_mut().append(SET_COOKIE, line);
    }
    response
}
