//! The legacy backend itself, when its Redis cannot be reached: its check, its refresh and its sign-out.
//!
//! Only the legacy backend can verify its tokens then, and only its refresh (`PATCH /auth/token`) verifies
//! both. It also ends the old session, once, whatever number of requests carry the pair. The pair that it
//! returns is never shown while the exchange succeeds: it is ended (`DELETE /auth/token`). If the exchange
//! fails it is passed to the client, who stays signed in at the legacy backend.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Method, StatusCode};
use reqwest::Response;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::cookie::{ACCESS_COOKIE, REFRESH_COOKIE};

/// The longest text of a refusal in bytes. The legacy backend's have about twenty.
const MAX_TEXT_BYTES: usize = 1_024;

/// How many calls of one kind are at the legacy backend at once. It has a few workers, so more calls would only wait there,
/// in front of the people whom it still serves itself.
const MOST_CALLS: usize = 32;

/// Sends requests to the legacy backend.
#[derive(Clone)]
pub struct Endpoint {
    client: reqwest::Client,
    url: String,
    patience: Duration,
    /// The places of checks. The edge has verified their sessions.
    checks: Arc<Semaphore>,
    /// The places of refreshes and sign-outs. Any client can make up their tokens, so a flood of them must not take the
    /// places of checks.
    changes: Arc<Semaphore>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The answer of the legacy backend to a refresh.
pub enum Refreshed {
    /// It ended the session of the pair and began another.
    Done(Fresh),
    /// It refused the pair, in these words.
    Refused(String),
}

/// The session that the legacy backend began.
pub struct Fresh {
    /// Its `Set-Cookie` lines.
    pub lines: Vec<HeaderValue>,
}

impl Endpoint {
    /// Uses the legacy backend at `url`, which is not the edge. A request may take `patience`, and before it may wait as long for
    /// its place among [`MOST_CALLS`].
    ///
    /// # Errors
    /// An error message, when the HTTP client cannot be set up.
    pub fn new(url: &str, patience: Duration) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .connect_timeout(patience)
            .timeout(patience)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy from the environment would see the tokens.
            .no_proxy()
            .build()
            .map_err(|error| format!("the client for {url} cannot start: {error}"))?;
        let places = || Arc::new(Semaphore::new(MOST_CALLS));
        Ok(Self { client, url: url.to_owned(), patience, checks: places(), changes: places() })
    }

    /// Asks whether the session of an access token is alive.
    ///
    /// # Errors
    /// When the legacy backend does not answer, or answers none of 200, 401 and 403.
    pub async fn is_alive(&self, access: &str) -> io::Result<bool> {
        match self.send(Method::GET, &format!("{ACCESS_COOKIE}={access}")).await?.status() {
            StatusCode::OK => Ok(true),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(false),
            status => Err(unexpected(status)),
        }
    }

    /// Refreshes a pair.
    ///
    /// # Errors
    /// When the legacy backend does not answer, or answers neither 201 nor 401.
    pub async fn refresh(&self, access: &str, refresh: &str) -> io::Result<Refreshed> {
        let cookie = format!("{ACCESS_COOKIE}={access}; {REFRESH_COOKIE}={refresh}");
        let mut answer = self.send(Method::PATCH, &cookie).await?;
        match answer.status() {
            StatusCode::CREATED => {
                let lines = answer.headers().get_all(SET_COOKIE).iter().cloned().collect();
                Ok(Refreshed::Done(Fresh { lines }))
            }
            StatusCode::UNAUTHORIZED => Ok(Refreshed::Refused(text(&mut answer).await?)),
            status => Err(unexpected(status)),
        }
    }

    /// Signs out with these cookies (`name=value; name=value`). Returns whether the legacy backend knew what
    /// session is meant.
    ///
    /// # Errors
    /// When the legacy backend does not answer, or answers none of 204, 400 and 401.
    pub async fn sign_out(&self, cookie: &str) -> io::Result<bool> {
        match self.send(Method::DELETE, cookie).await?.status() {
            StatusCode::NO_CONTENT => Ok(true),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => Ok(false),
            status => Err(unexpected(status)),
        }
    }

    /// Ends a session that [`Endpoint::refresh`] began.
    ///
    /// # Errors
    /// As [`Endpoint::sign_out`]. The session may be alive, but its tokens are not known to any client.
    pub async fn end(&self, fresh: &Fresh) -> io::Result<()> {
        let pairs = fresh.lines.iter().filter_map(|line| line.to_str().ok()?.split(';').next());
        let cookie = pairs.collect::<Vec<_>>().join("; ");
        self.sign_out(&cookie).await.map(drop)
    }

    async fn send(&self, method: Method, cookie: &str) -> io::Result<Response> {
        let places = if method == Method::GET { &self.checks } else { &self.changes };
        let busy =
            || io::Error::new(io::ErrorKind::TimedOut, "too many calls to the legacy backend are open");
        let place = timeout(self.patience, places.acquire()).await.map_err(|_| busy())?;
        // Held until the answer begins.
        let _place = place.map_err(io::Error::other)?;
        let mut cookie = HeaderValue::from_str(cookie).map_err(io::Error::other)?;
        cookie.set_sensitive(true);
        let request = self.client.request(method, format!("{}/auth/token", self.url)).header(COOKIE, cookie);
        request.send().await.map_err(|error| io::Error::other(error.without_url()))
    }
}

async fn text(answer: &mut Response) -> io::Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|e| io::Error::other(e.without_url()))? {
        if bytes.len() + chunk.len() > MAX_TEXT_BYTES {
            return Err(io::Error::other("the legacy backend's refusal is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unexpected(status: StatusCode) -> io::Error {
    io::Error::other(format!("the legacy backend answered {status}"))
}
