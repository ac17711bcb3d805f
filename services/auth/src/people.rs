//! Looks up accounts at the users service, through the edge's listener for services. This service introduces
//! itself with a signed identity.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use http::StatusCode;
use identity::assertion::{Signer, SigningFailed};
use identity::{Caller, Role, ServiceName};
use kit::{SubjectId, TenantId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::escape;
use crate::token::Holder;

/// How long a connection to the edge may take. The edge is on this machine or in the next rack.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a whole lookup may take. A person waits for it at the login form, and a stuck edge must not pile
/// requests up.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest answer in bytes. An account is under 1 KiB.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// A client of the users service, with only the lookups that this service needs.
#[derive(Clone)]
pub struct People(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    url: String,
    edge: String,
    me: Caller,
    signer: Signer,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("People").field("url", &self.0.url).finish_non_exhaustive()
    }
}

/// The fields of an account that every sign-in needs.
#[derive(Deserialize)]
struct Account {
    id: SubjectId,
    role: Role,
    tenant_id: Option<TenantId>,
}

/// How an account is shown to its owner, by an authenticator that asks which account to use.
#[derive(Clone, Debug, Deserialize)]
pub struct Profile {
    /// The e-mail address.
    pub email: String,
    /// The displayed name.
    pub name: String,
}

/// The lookup failed. This does not mean that the account does not exist.
#[derive(Debug, thiserror::Error)]
pub enum LookupFailed {
    /// The edge could not be reached, or was too slow.
    #[error("the edge's service listener did not answer")]
    Transport(#[source] reqwest::Error),
    /// The edge answered neither 200 nor 404.
    #[error("the edge answered {0}")]
    Status(StatusCode),
    /// The body is not an account.
    #[error("the answer is not an account: {0}")]
    Answer(String),
    /// This service could not sign its identity.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
}

impl People {
    /// Queries the service behind `url` (the edge called `edge`) as the service `me`, which signs with
    /// `signer`.
    ///
    /// # Errors
    /// When the TLS library cannot start.
    pub fn new(
        url: &str,
        edge: &str,
        me: ServiceName,
        signer: Signer,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(LOOKUP_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy from the environment would see the signed identity.
            .no_proxy()
            .build()?;
        let (url, edge) = (url.to_owned(), edge.to_owned());
        Ok(Self(Arc::new(Inner { client, url, edge, me: Caller::Service(me.into()), signer, clock })))
    }

    /// Finds the account with this e-mail address. `None` when there is none, or when it has no tenant and so
    /// cannot sign in.
    ///
    /// # Errors
    /// [`LookupFailed`].
    pub async fn by_email(&self, email: &str) -> Result<Option<Holder>, LookupFailed> {
        // As a query: an address may contain bytes that the edge refuses in a path.
        self.look_up(&format!("?email={}", escape::percent(email))).await
    }

    /// Finds the account with this id.
    ///
    /// # Errors
    /// [`LookupFailed`].
    pub async fn by_id(&self, id: SubjectId) -> Result<Option<Holder>, LookupFailed> {
        self.look_up(&format!("/{id}")).await
    }

    /// Finds how the account with this id is shown.
    ///
    /// # Errors
    /// [`LookupFailed`].
    pub async fn profile(&self, id: SubjectId) -> Result<Option<Profile>, LookupFailed> {
        self.read(&format!("/{id}")).await
    }

    async fn look_up(&self, whom: &str) -> Result<Option<Holder>, LookupFailed> {
        let account: Option<Account> = self.read(whom).await?;
        let holder =
            |Account { id, role, tenant_id }| tenant_id.map(|tenant| Holder { subject: id, tenant, role });
        Ok(account.and_then(holder))
    }

    async fn read<T: DeserializeOwned>(&self, whom: &str) -> Result<Option<T>, LookupFailed> {
        let Inner { client, url, edge, me, signer, clock } = &*self.0;
        let introduction = signer.sign(me, edge, clock.now())?;
        let mut answer = client
            .get(format!("{url}/_/users{whom}"))
            .bearer_auth(introduction)
            .send()
            .await
            // The URL holds a person's address, which must not reach a log.
            .map_err(|e| LookupFailed::Transport(e.without_url()))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(LookupFailed::Status(status)),
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| LookupFailed::Transport(e.without_url()))? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(LookupFailed::Answer(format!("longer than {MAX_ANSWER_BYTES} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes).map(Some).map_err(|e| LookupFailed::Answer(e.to_string()))
    }
}
