//! The access tokens of a Google service account: a JWT, signed with the account's key, is exchanged for a token that lives
//! for an hour (<https://developers.google.com/identity/protocols/oauth2/service-account#httprest>).

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, UnixTime};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use provider_call::{Answer, call};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use secret_file::MAX_KEY_BYTES;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// What the token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// The grant of RFC 7523.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How long a signed JWT counts: the longest that Google takes.
const ASSERTION_LIFETIME: Duration = Duration::from_hours(1);

/// How long a failed call for a token counts for all deliveries. The first repetition of a delivery comes after a second, too.
const PAUSE: Duration = Duration::from_secs(1);

/// A token is replaced so long before its end, so that none ends on its way.
const MARGIN: Duration = Duration::from_mins(1);

/// The longest lifetime that is believed: a server that says more is asked again all the same.
const LONGEST_LIFETIME: Duration = Duration::from_hours(1);

/// The fields of the account's file that are used.
#[derive(Deserialize)]
struct File {
    project_id: String,
    private_key_id: String,
    private_key: String,
    client_email: String,
    token_uri: String,
}

/// A file that is not a valid service account. The message names the file and the fix, never its content.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnusableAccount(String);

/// Why a token is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAccess {
    /// The server of tokens cannot be reached, or does not answer.
    Unavailable(String),
    /// It refuses the account.
    Refused(String),
}

/// An access token. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// The text, for the header alone.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

/// Gets tokens, and keeps the current one.
pub struct Access {
    project: String,
    email: String,
    key_id: String,
    key: EncodingKey,
    url: Url,
    clock: Arc<dyn Clock>,
    /// One request at a time: the others wait for its token.
    current: Mutex<Option<(Token, UnixTime)>>,
    /// Why the last call failed, and until when no other is made.
    unavailable: Mutex<Option<(NoAccess, UnixTime)>>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("project", &self.project).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

impl Access {
    /// Reads the JSON file of a service account, as Google's console writes it. Only its owner may read it.
    ///
    /// # Errors
    /// [`UnusableAccount`].
    pub fn read(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, UnusableAccount> {
        let unusable = |what: &str| UnusableAccount(format!("{}: {what}", path.display()));
        let secret =
            secret_file::read(path, MAX_KEY_BYTES).map_err(|error| UnusableAccount(error.to_string()))?;
        let file: File = serde_json::from_slice(secret.as_bytes()).map_err(|_| {
            unusable("is not the JSON file of a service account; create a key in the console and write its file here")
        })?;
        let key = EncodingKey::from_rsa_pem(file.private_key.as_bytes())
            .map_err(|_| unusable("`private_key` is not an RSA key in PEM; create a new key"))?;
        let url = provider_call::address(&file.token_uri)
            .map_err(|error| unusable(&format!("`token_uri`: {error}")))?;
        let File { project_id: project, private_key_id: key_id, client_email: email, .. } = file;
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        if project.is_empty() || !project.chars().all(is_name) {
            return Err(unusable("`project_id` is not the name of a project"));
        }
        Ok(Self {
            project,
            email,
            key_id,
            key,
            url,
            clock,
            current: Mutex::default(),
            unavailable: Mutex::default(),
        })
    }

    /// The project of the account.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Returns the current token, or a new one.
    ///
    /// # Errors
    /// [`NoAccess`].
    pub async fn token(&self, client: &Client) -> Result<Token, NoAccess> {
        let mut current = self.current.lock().await;
        let now = self.clock.now();
        if let Some((token, _)) = current.as_ref().filter(|(_, until)| now < *until) {
            return Ok(token.clone());
        }
        // Those that waited for a call that failed do not wait for one of their own: a silent server would hold the last of
        // sixteen for minutes, and a delivery that ends for its time counts as an attempt.
        let mut unavailable = self.unavailable.lock().await;
        if let Some((error, _)) = unavailable.as_ref().filter(|(_, until)| now < *until) {
            return Err(error.clone());
        }
        let fetched = self.fetch(client, now).await;
        *unavailable = match &fetched {
            Err(error @ NoAccess::Unavailable(_)) => Some((error.clone(), self.clock.now().plus(PAUSE))),
            _ => None,
        };
        let (token, lifetime) = fetched?;
        let lives = lifetime.min(LONGEST_LIFETIME).saturating_sub(MARGIN);
        *current = Some((token.clone(), now.plus(lives)));
        Ok(token)
    }

    /// Forgets `token`, which was refused, unless it has been replaced already.
    pub async fn forget(&self, token: &Token) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|(kept, _)| kept == token) {
            *current = None;
        }
    }

    async fn fetch(&self, client: &Client, now: UnixTime) -> Result<(Token, Duration), NoAccess> {
        let claims = Claims {
            iss: &self.email,
            scope: SCOPE,
            aud: self.url.as_str(),
            iat: now.seconds(),
            exp: now.plus(ASSERTION_LIFETIME).seconds(),
        };
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::RS256) };
        let refused = |what: &str| NoAccess::Refused(format!("no access token: {what}"));
        let assertion =
            jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| refused("the key cannot sign"))?;
        let form = serde_urlencoded::to_string([("grant_type", GRANT), ("assertion", &assertion)])
            .map_err(|_| refused("the form cannot be written"))?;
        let request = client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
            .build()
            .map_err(|_| refused("the request cannot be written"))?;
        match call(client, request).await {
            Answer::Answered(answered) if answered.is_success() => {
                let granted: Granted = serde_json::from_slice(&answered.body)
                    .map_err(|_| refused("the answer has no `access_token` with `expires_in`"))?;
                Ok((Token(granted.access_token.into()), Duration::from_secs(granted.expires_in)))
            }
            Answer::Answered(answered) if answered.status >= 500 || answered.status == 429 => {
                Err(NoAccess::Unavailable(format!("the server of access tokens: {}", answered.shown())))
            }
            Answer::Answered(answered) => Err(refused(&answered.shown())),
            // A token that was perhaps made harms nothing.
            Answer::NotSent(error) | Answer::Unknown(error) => {
                Err(NoAccess::Unavailable(format!("the server of access tokens: {error}")))
            }
        }
    }
}
