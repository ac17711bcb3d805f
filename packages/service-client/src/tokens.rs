//! Service tokens, and calls that carry them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, UnixTime};
use identity::assertion::key_id;
use identity::keyset::{self, KeyFileError};
use identity::{ServiceName, TenantId};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;
use reqwest::Method;
use serde::{Deserialize, Serialize};

/// How long a client assertion is valid: it is sent at once.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);
/// The edge is on this machine or in the next rack.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// A token request takes some milliseconds; a service that waits for one has callers waiting, too.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(2);
/// A token has under 1 KiB.
const MAX_ANSWER_BYTES: usize = 16_384;
/// A token that ends this soon is not handed out: the call would outlive it.
const MARGIN: Duration = Duration::from_secs(10);
/// The pause after a failure, so that not every caller asks a struggling auth service again.
const PAUSE: Duration = Duration::from_secs(1);

/// A service, as the edge file lists it.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name.
    pub name: ServiceName,
    /// Its private key, Ed25519 in PKCS #8 PEM.
    pub key: PathBuf,
    /// `service_tokens.issuer` of the edge file.
    pub issuer: String,
    /// The edge's service listener, without a trailing slash.
    pub edge_url: String,
    /// The tenant that it acts for; absent when it acts for the platform. `services` in the edge file lists the
    /// tenants that it may act for.
    pub tenant: Option<TenantId>,
}

/// A client that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The private key of the account cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The HTTP client or its TLS library cannot start.
    #[error("the HTTP client cannot start: {0}")]
    Client(#[from] reqwest::Error),
}

/// No token could be had. A later attempt may succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// The auth service could not be reached, or was too slow.
    #[error("no service token: {0}")]
    Transport(String),
    /// The auth service answered with this status and no token.
    #[error("no service token: the auth service answered {0}")]
    Refused(u16),
    /// The reply was not a token.
    #[error("no service token: the answer is not one")]
    Answer,
    /// The assertion could not be signed.
    #[error("no service token: the assertion could not be signed")]
    Signing,
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    expires_in: u64,
}

#[derive(Clone)]
struct Held {
    token: Arc<str>,
    renew_at: UnixTime,
    ends: UnixTime,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failed: Option<(UnixTime, TokenError)>,
}

/// The tokens of one service.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    account: Account,
    client: reqwest::Client,
    header: Header,
    key: EncodingKey,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Held by the caller that renews.
    renewing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("account", &self.0.account.name).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens for `account`.
    ///
    /// # Errors
    /// [`SetupError`], naming what to mend.
    pub fn new(account: &Account, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let (key, header) = signing_key(&account.key)?;
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy from the environment would see the token.
            .no_proxy()
            .build()?;
        let (state, renewing) = (Mutex::default(), tokio::sync::Mutex::new(()));
        Ok(Self(Arc::new(Inner { account: account.clone(), client, header, key, clock, state, renewing })))
    }

    /// A GET of `path` on the service listener, with a token.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn get(&self, path: &str) -> Result<reqwest::RequestBuilder, TokenError> {
        self.request(Method::GET, path).await
    }

    /// A call of `path` on the service listener, with a token. Give it a timeout of its own.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn request(&self, method: Method, path: &str) -> Result<reqwest::RequestBuilder, TokenError> {
        let token = self.token().await?;
        let url = format!("{}{path}", self.0.account.edge_url);
        Ok(self.0.client.request(method, url).bearer_auth(token))
    }

    /// A token that is valid for a while yet.
    ///
    /// # Errors
    /// [`TokenError`] when there is no token and none can be had.
    pub async fn token(&self) -> Result<Arc<str>, TokenError> {
        let now = self.0.clock.now();
        match self.held(now) {
            Some(held) if now < held.renew_at => Ok(held.token),
            // It is time, but there is time: one caller renews, the others do not wait for that.
            Some(held) => match self.0.renewing.try_lock() {
                Ok(_one) => match self.renew().await {
                    Ok(token) => Ok(token),
                    Err(error) => {
                        tracing::warn!(%error, "the service token is not renewed yet");
                        Ok(held.token)
                    }
                },
                Err(_) => Ok(held.token),
            },
            None => {
                let _one = self.0.renewing.lock().await;
                // Another caller may have renewed it meanwhile.
                match self.held(self.0.clock.now()) {
                    Some(held) => Ok(held.token),
                    None => self.renew().await,
                }
            }
        }
    }

    /// The token that is held at `now`, unless it is about to end.
    fn held(&self, now: UnixTime) -> Option<Held> {
        let state = self.0.state.lock();
        state.held.clone().filter(|held| now.plus(MARGIN) < held.ends)
    }

    /// Requests a token, unless that failed a moment ago. The caller holds `renewing`.
    async fn renew(&self) -> Result<Arc<str>, TokenError> {
        let now = self.0.clock.now();
        {
            let state = self.0.state.lock();
            // A clock that was stepped back must not lengthen the pause.
            if let Some((at, error)) = &state.failed
                && *at <= now
                && now.since(*at) < PAUSE
            {
                return Err(error.clone());
            }
        }
        let got = self.fetch(now).await;
        let mut state = self.0.state.lock();
        match got {
            Ok(held) => {
                let token = Arc::clone(&held.token);
                *state = State { held: Some(held), failed: None };
                Ok(token)
            }
            Err(error) => {
                state.failed = Some((self.0.clock.now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn fetch(&self, now: UnixTime) -> Result<Held, TokenError> {
        let Inner { account, client, header, key, .. } = &*self.0;
        let claims = Assertion {
            iss: account.name.as_str(),
            sub: account.name.as_str(),
            aud: &account.issuer,
            iat: now.seconds(),
            exp: now.plus(ASSERTION_LIFETIME).seconds(),
            jti: uuid::Uuid::new_v4().to_string(),
        };
        let assertion = jsonwebtoken::encode(header, &claims, key).map_err(|_| TokenError::Signing)?;
        let mut fields = vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()),
            ("client_assertion", assertion),
        ];
        fields.extend(account.tenant.as_ref().map(|tenant| ("tenant_id", tenant.to_string())));
        let transport = |error: reqwest::Error| TokenError::Transport(error.without_url().to_string());
        let mut answer = client
            .post(format!("{}/_/auth/service-token", account.edge_url))
            .timeout(TOKEN_TIMEOUT)
            .form(&fields)
            .send()
            .await
            .map_err(transport)?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(TokenError::Refused(answer.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(transport)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(TokenError::Answer);
            }
            bytes.extend_from_slice(&chunk);
        }
        let granted: Granted = serde_json::from_slice(&bytes).map_err(|_| TokenError::Answer)?;
        if granted.token_type != "Bearer" || granted.access_token.is_empty() {
            return Err(TokenError::Answer);
        }
        // A token is kept for at most an hour, whatever life it claims.
        let life = Duration::from_secs(granted.expires_in.min(3_600));
        Ok(Held {
            token: Arc::from(granted.access_token),
            renew_at: now.plus(life.mul_f64(renewal_share())),
            ends: now.plus(life),
        })
    }
}

/// From three fifths to four fifths of a life: replicas that started together do not renew together.
fn renewal_share() -> f64 {
    let mut byte = [0_u8];
    // Without randomness all renew at the earliest moment, which is safe.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    let [byte] = byte;
    0.6 + 0.2 * f64::from(byte) / 255.0
}

fn signing_key(path: &Path) -> Result<(EncodingKey, Header), KeyFileError> {
    let unusable = |what: String| KeyFileError::Unusable { path: path.to_owned(), what };
    let pem = keyset::read_private(path)?;
    let key = EncodingKey::from_ed_pem(pem.as_bytes())
        .map_err(|e| unusable(format!("not an Ed25519 private key in PKCS #8 PEM ({e})")))?;
    let jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA)
        .map_err(|e| unusable(format!("its public half cannot be derived ({e})")))?;
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("client-authentication+jwt".to_owned());
    header.kid = Some(key_id(&jwk).map_err(unusable)?);
    Ok((key, header))
}
