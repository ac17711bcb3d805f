//! Calls to the services that have data of tenants, through the edge's listener for services.
//!
//! | call | asks the service to |
//! |---|---|
//! | `PUT /_/NAME/tenants/{tenant}/removal` | prepare the removal: 204, or 409 with the reason |
//! | `DELETE /_/NAME/tenants/{tenant}/removal` | take that back: 204 |
//! | `DELETE /_/NAME/tenants/{tenant}` | remove the tenant's data: 204 |
//!
//! Each can come twice and then changes nothing more.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use http::{Method, StatusCode};
use identity::assertion::Signer;
use identity::{Caller, ServiceName};
use kit::TenantId;

use super::progress::Task;

/// How long a connection to the edge may take. The edge is on this machine or in the next rack.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);

/// How long one call may take. A removal deletes many rows; it is still less than the lease of an offboarding, so that two
/// workers never take the same step at once.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(20);

/// The most bytes of a reason that are kept.
const MAX_REASON_BYTES: usize = 200;

/// The services with data of tenants.
#[derive(Clone)]
pub struct Participants(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    url: String,
    edge: String,
    me: Caller,
    signer: Signer,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Participants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participants").field("url", &self.0.url).finish_non_exhaustive()
    }
}

/// Why a call had no effect that is known.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The service refused, and would again.
    #[error("{service} refused: {reason}")]
    Refused {
        /// The service.
        service: ServiceName,
        /// Its reason, shortened.
        reason: String,
    },
    /// It may succeed later.
    #[error("{service} did not do it: {reason}")]
    Failed {
        /// The service.
        service: ServiceName,
        /// What happened.
        reason: String,
    },
}

impl Participants {
    /// Calls through `url` (the edge called `edge`) as the service `me`, which signs with `signer`.
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
            .connect_timeout(CONNECT_WITHIN)
            .timeout(CALL_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy from the environment would see the signed identity.
            .no_proxy()
            .build()?;
        let (url, edge) = (url.to_owned(), edge.to_owned());
        Ok(Self(Arc::new(Inner { client, url, edge, me: Caller::Service(me.into()), signer, clock })))
    }

    /// Has a participant take `task` for `tenant`. [`Task::Delete`] and [`Task::Restore`] are no calls.
    pub(crate) async fn take(&self, task: &Task, tenant: TenantId) -> Result<(), NotDone> {
        match task {
            Task::Prepare(service) => self.call(Method::PUT, service, &format!("{tenant}/removal")).await,
            Task::TakeBack(service) => self.call(Method::DELETE, service, &format!("{tenant}/removal")).await,
            Task::Remove(service) => self.call(Method::DELETE, service, &tenant.to_string()).await,
            Task::Delete | Task::Restore => Ok(()),
        }
    }

    async fn call(&self, method: Method, service: &ServiceName, path: &str) -> Result<(), NotDone> {
        let Inner { client, url, edge, me, signer, clock } = &*self.0;
        let failed = |reason: String| NotDone::Failed { service: service.clone(), reason };
        let introduction = signer.sign(me, edge, clock.now()).map_err(|error| failed(error.to_string()))?;
        let answer = client
            .request(method, format!("{url}/_/{service}/tenants/{path}"))
            .bearer_auth(introduction)
            .send()
            .await
            .map_err(|error| failed(error.without_url().to_string()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::CONFLICT => {
                Err(NotDone::Refused { service: service.clone(), reason: reason(answer).await })
            }
            status => Err(failed(format!("it answered {}", status.as_u16()))),
        }
    }
}

/// Returns the start of the answer's body, as one line.
async fn reason(mut answer: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_REASON_BYTES
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        bytes.extend_from_slice(chunk.get(..MAX_REASON_BYTES).unwrap_or(&chunk));
    }
    bytes.truncate(MAX_REASON_BYTES);
    String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
