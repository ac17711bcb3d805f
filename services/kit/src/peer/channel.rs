//! Calls in gRPC, through the edge's listener for services.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{self, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::{CONNECT_TIMEOUT, CallFailed, Inner, Peer};
use crate::startup::StartError;

/// How often an idle connection is probed, so that one that vanished silently is replaced before the next call needs it.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How many calls are under way at once; more wait until one of them has ended, and each has a deadline.
const MAX_CALLS: usize = 256;

/// The longest message of a failed call that is kept, in bytes.
const MAX_MESSAGE_BYTES: usize = 200;

/// What a generated client calls through: the edge's listener for services, with this service's introduction on every call.
pub type Channel = InterceptedService<transport::Channel, Introduction>;

/// Introduces this service, and sends the deadline of the call along (`grpc-timeout`).
#[derive(Clone)]
pub struct Introduction {
    inner: Arc<Inner>,
    within: Duration,
}

impl fmt::Debug for Introduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introduction").finish_non_exhaustive()
    }
}

impl Interceptor for Introduction {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let introduction = self.inner.introduction().map_err(|error| Status::internal(error.to_string()))?;
        let mut value = HeaderValue::try_from(format!("Bearer {introduction}"))
            .map_err(|_| Status::internal("the introduction is no header"))?;
        value.set_sensitive(true);
        let value = MetadataValue::try_from(value.as_bytes())
            .map_err(|_| Status::internal("the introduction is no header"))?;
        request.metadata_mut().insert("authorization", value);
        request.set_timeout(self.within);
        Ok(request)
    }
}

/// Reads the address of the edge.
pub(super) fn endpoint(url: &str) -> Result<Endpoint, StartError> {
    let failed =
        |error: transport::Error| StartError::File(format!("no calls through {url} are possible: {error}"));
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(failed)?
        .connect_timeout(CONNECT_TIMEOUT)
        .concurrency_limit(MAX_CALLS)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_while_idle(true);
    if url.starts_with("https:") {
        endpoint.tls_config(ClientTlsConfig::new().with_native_roots()).map_err(failed)
    } else {
        Ok(endpoint)
    }
}

impl Peer {
    /// Returns what a generated client calls through. It connects with the first call, and again after a connection ended.
    /// It needs a tokio runtime.
    ///
    /// ```ignore
    /// let users = UsersClient::new(peer.channel());
    /// let account = answered(users.clone().get_account(request)).await?;
    /// ```
    #[must_use]
    pub fn channel(&self) -> Channel {
        let introduction = Introduction { inner: Arc::clone(&self.inner), within: self.within };
        InterceptedService::new(self.inner.endpoint.connect_lazy(), introduction)
    }
}

/// Waits for a call of a generated client and returns its message.
///
/// # Errors
/// [`CallFailed::Rpc`] with the status of the call.
pub fn answered<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> impl Future<Output = Result<T, CallFailed>> {
    // The state of a call has a few KiB, which every caller's own state would contain.
    let call = Box::pin(call);
    async move {
        call.await.map(Response::into_inner).map_err(|status| {
            let mut message = status.message().to_owned();
            message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
            CallFailed::Rpc { code: status.code(), message }
        })
    }
}

impl CallFailed {
    /// Whether the call found nothing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Rpc { code: Code::NotFound, .. })
    }
}
