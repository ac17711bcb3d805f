//! Calls of the platform's other services, through the edge's listener for services.
//!
//! The caller introduces itself with an assertion that it signs with a key of its own (`keys/NAME.pem`, whose public
//! half the edge file lists under `services`). The edge verifies it, decides whether this service may call that path,
//! and signs the identity that the called service sees. A service never calls another one directly.
//!
//! Calls are in gRPC ([`Peer::channel`], [`answered`]) where `packages/proto` has their messages, and in HTTP ([`Peer::call`])
//! where the called service is any service, such as a participant in the removal of a tenant.

mod channel;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use http::{Method, StatusCode};
use identity::Caller;
use identity::assertion::{Signer, SigningFailed};
use identity::principal::InvalidServiceName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::Code;
use tonic::transport::Endpoint;

use crate::settings::{Home, Reader, Variable};
use crate::startup::StartError;

pub use channel::{Channel, answered};

/// The edge's listener for services.
pub const SERVICE_EDGE_URL: Variable = Variable {
    name: "SERVICE_EDGE_URL",
    default: Some("http://127.0.0.1:8081"),
    help: "The edge's listener for services, used to call the other services",
    secret: false,
};

/// How long a connection to the edge may take. The edge is on this machine or in the next rack.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a whole call may take. A person waits for it, and a stuck service must not pile requests up here.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest answer in bytes. A page of a hundred books has about 100 KiB; tags of a page with all their books can
/// have some MiB. A service with 64 MiB of memory must not read more.
pub const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// A client of the other services, with this service's identity.
#[derive(Clone)]
pub struct Peer {
    inner: Arc<Inner>,
    /// How long a whole call may take.
    within: Duration,
}

struct Inner {
    client: reqwest::Client,
    url: String,
    edge: String,
    endpoint: Endpoint,
    me: Caller,
    signer: Signer,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("url", &self.inner.url).finish_non_exhaustive()
    }
}

/// What another service answered.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The body, of at most 8 MiB.
    pub body: Vec<u8>,
}

impl Reply {
    /// Reads the body of a 200 as JSON.
    ///
    /// # Errors
    /// [`CallFailed`], for another status or another body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallFailed> {
        if self.status != StatusCode::OK {
            return Err(CallFailed::Status(self.status));
        }
        serde_json::from_slice(&self.body).map_err(|error| CallFailed::Answer(error.to_string()))
    }
}

/// A call failed: its question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallFailed {
    /// The edge could not be reached, or was too slow.
    #[error("the edge's service listener did not answer")]
    Transport(#[source] reqwest::Error),
    /// The answer has another status than the question allows.
    #[error("the edge answered {0}")]
    Status(StatusCode),
    /// The answer has another body than the question allows.
    #[error("the answer cannot be read: {0}")]
    Answer(String),
    /// A call in gRPC ended with another status than OK.
    #[error("the call ended with {code:?}: {message}")]
    Rpc {
        /// The status.
        code: Code,
        /// Its message, shortened.
        message: String,
    },
    /// This service could not sign its identity.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
}

/// Reads [`SERVICE_EDGE_URL`], without a slash at its end.
pub fn service_edge_url(reader: &mut Reader) -> String {
    reader.checked(&SERVICE_EDGE_URL, check_url).trim_end_matches('/').to_owned()
}

fn check_url(text: &str) -> Result<(), String> {
    let has_host = reqwest::Url::parse(text).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme()) && url.has_host() && url.query().is_none()
    });
    if has_host { Ok(()) } else { Err("write a URL, such as http://127.0.0.1:8081".to_owned()) }
}

impl Peer {
    /// Calls services as the service `name`, with its key in `home`, through the listener at `url` of the edge `edge`.
    ///
    /// # Errors
    /// [`StartError`], when `keys/NAME.pem` cannot be used or the TLS library cannot start.
    pub fn new(
        home: &Home,
        edge: &str,
        name: &str,
        url: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let signer = Signer::from_file(name, &home.key(&format!("{name}.pem")))?;
        let me: identity::ServiceName =
            name.parse().map_err(|e: InvalidServiceName| StartError::File(e.to_string()))?;
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy from the environment would see the signed identity.
            .no_proxy()
            .build()
            .map_err(|error| StartError::File(format!("the client for {url} cannot start: {error}")))?;
        let endpoint = channel::endpoint(url)?;
        let (url, edge) = (url.to_owned(), edge.to_owned());
        let me = Caller::Service(me.into());
        let inner = Arc::new(Inner { client, url, edge, endpoint, me, signer, clock });
        Ok(Self { inner, within: CALL_TIMEOUT })
    }

    /// Returns the same peer with another limit of a whole call than two seconds, for work that no person waits for.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Gets `target`, a path with its query.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn get(&self, target: &str) -> Result<Reply, CallFailed> {
        self.call(Method::GET, target, None::<&()>).await
    }

    /// Sends a request with a JSON body, if there is one.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn call(
        &self,
        method: Method,
        target: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Reply, CallFailed> {
        let Inner { client, url, .. } = &*self.inner;
        let introduction = self.inner.introduction()?;
        let request = client.request(method, format!("{url}{target}")).timeout(self.within);
        let request = request.bearer_auth(introduction);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        // The URL can hold a person's id, which must not reach a log.
        let transport = |error: reqwest::Error| CallFailed::Transport(error.without_url());
        let mut answer = request.send().await.map_err(transport)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(transport)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(CallFailed::Answer(format!("longer than {MAX_ANSWER_BYTES} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body: bytes })
    }
}

impl Inner {
    /// Signs who calls, for one call.
    fn introduction(&self) -> Result<String, SigningFailed> {
        self.signer.sign(&self.me, &self.edge, self.clock.now())
    }
}
